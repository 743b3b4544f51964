package shell

import (
	"context"
	"io"
	"strconv"
)

// Process is a started text on a host.
type Process interface {
	// Stdin is the input of the process. Close ends the input.
	Stdin() io.WriteCloser
	// Wait returns when the process has ended and all its output is written:
	// with a *conn.LostError when the link broke first.
	Wait() (Exit, error)
	// Signal sends TERM or KILL to the process and its group, as far as the link can.
	Signal(name string)
	// Release lets go of the process. Wait returns soon after.
	Release()
}

// Exit is how a process ended.
type Exit struct {
	Code   int    // 128+n when signal n ended it
	Signal string // "TERM", ...; "" when it exited by itself
}

// Start runs text under /bin/sh on a host, in the login account's home.
// It returns when ctx ends, but a started process lives on until Release.
type Start func(ctx context.Context, text string, stdout, stderr io.Writer) (Process, error)

func signalNumbers() map[string]int {
	return map[string]int{
		"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9, "USR1": 10,
		"SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "XCPU": 24, "XFSZ": 25, "SYS": 31,
	}
}

// SignalExit is the Exit of a process that the named signal ended.
func SignalExit(name string) Exit {
	return Exit{Code: 128 + signalNumbers()[name], Signal: name}
}

// SignalName is the name of signal number n, or the number itself.
func SignalName(n int) string {
	for name, number := range signalNumbers() {
		if number == n {
			return name
		}
	}
	return strconv.Itoa(n)
}
