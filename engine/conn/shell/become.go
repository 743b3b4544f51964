package shell

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/dayops/dayops/engine/conn"
)

// becomeState remembers what sudo thought of the password. Until it was taken
// once, escalations go one after the other, so that a wrong one is tried once.
type becomeState struct {
	once   sync.Once
	turn   chan struct{} // one token: the right to try
	mu     sync.Mutex
	proven bool
	wrong  *conn.BecomeError
}

func (b *becomeState) known() (proven bool, wrong *conn.BecomeError) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.proven, b.wrong
}

// enter waits for the right to try; leave gives it back with the outcome.
func (b *becomeState) enter(ctx context.Context) (leave func(error), err error) {
	b.once.Do(func() { b.turn = make(chan struct{}, 1) })
	if proven, wrong := b.known(); wrong != nil {
		return nil, wrong
	} else if proven {
		return func(error) {}, nil
	}
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if _, wrong := b.known(); wrong != nil {
		<-b.turn
		return nil, wrong
	}
	return b.leave, nil
}

func (b *becomeState) leave(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var refused *conn.BecomeError
	switch {
	case err == nil:
		b.proven = true
	case errors.As(err, &refused) && refused.Reason == conn.WrongPassword:
		b.wrong = refused
	}
	<-b.turn
}

// openAs starts text as another account.
func (h *Host) openAs(ctx context.Context, text string, o opening, stdout, stderr io.Writer) (*Running, error) {
	if h.Method != "" && h.Method != "sudo" {
		return nil, h.becomeError(o.as, conn.BecomeFailed, "the method "+h.Method+" is not supported, only sudo")
	}
	leave, err := h.become.enter(ctx)
	if err != nil {
		return nil, err
	}
	if h.Password.IsSet() {
		o.prompt = "[dayops " + newID() + "] password: "
	}
	text = sudoText(text, o.as, o.prompt)
	o.prompt = strings.TrimSpace(o.prompt)
	r, err := h.open(ctx, text, o, stdout, stderr)
	leave(err)
	return r, err
}

// refuse ends sudo when it asks a second time: the password was wrong.
func (h *Host) refuse(r *Running, errs *gate) error {
	r.process.Stdin().Close() // sudo reads the end of its input and gives up
	select {
	case <-r.done:
	case <-time.After(3 * time.Second):
	}
	r.process.Release()
	return h.becomeError(r.as, conn.WrongPassword, "")
}

func (h *Host) becomeError(as string, reason conn.BecomeReason, detail string) error {
	if reason == conn.WrongPassword || reason == conn.NeedsPassword {
		detail = "" // says nothing that the reason does not
	}
	return &conn.BecomeError{Host: h.Name, Login: h.Login, User: as, Reason: reason, Detail: detail}
}

// becomeReason reads what sudo (1.8 to 1.9) or sudo-rs said in the C locale.
func becomeReason(said string, code, prompts int) conn.BecomeReason {
	has := func(texts ...string) bool {
		for _, t := range texts {
			if strings.Contains(said, t) {
				return true
			}
		}
		return false
	}
	switch {
	case has("must have a tty"):
		return conn.RequiresTTY
	case has("not in the sudoers file", "not allowed to execute", "not allowed to run sudo", "may not run sudo", "I'm afraid I can't do that"):
		return conn.NotAllowed
	case has("unknown user") || has("user") && has("' not found"):
		return conn.NoSuchUser
	case prompts > 0 && has("incorrect password", "Incorrect password", "incorrect authentication", "Sorry, try again", "Authentication failed", "authentication failure"):
		return conn.WrongPassword
	case prompts == 0 && has("password is required", "authentication is required", "no password was provided", "terminal is required"):
		return conn.NeedsPassword
	case code == 127 || has("sudo: not found", "sudo: command not found"):
		return conn.NoSudo
	}
	return conn.BecomeFailed
}

// lastLine is the last line of text that says something, fit for an error message.
func lastLine(text, none string) string {
	lines := strings.Split(text, "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		line := strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || r == unicode.ReplacementChar {
				return ' '
			}
			return r
		}, lines[i]))
		if line != "" && !strings.Contains(line, "error initializing audit plugin") {
			if len(line) > 300 {
				line = strings.ToValidUTF8(line[:300], "") + "..."
			}
			return line
		}
	}
	return none
}
