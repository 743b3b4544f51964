package conn

import "fmt"

// GuardOutput is how much of an output stream a guarded command leaves on the
// host: its start. The connected caller gets what every command gives.
const GuardOutput = 256 << 10

// Guard marks a command that changes its host. The host remembers it in a
// record, and starts it only while the lock is held. Once begun, it runs to its
// natural end however the connection fares; engine/guard finds it again.
//
// A Result of a guarded command has no Signal: its Code is 128+n, and the host's
// shell may add a line to stderr that says the same ("Killed"). NUL bytes in
// the first line of stderr are lost (of stdout: see Cmd.Text). An input that
// was on its way when the connection broke ends early: a command that reads one
// may have done something else than it was asked for, whatever its exit code.
// The login shell must take line breaks in a command, which csh does not.
type Guard struct {
	Dir   string // absolute folder on the host, made by guard.Acquire, 0700: holds "lock" and "runs/<run>/"
	Run   string // letters, digits, dots, dashes, underscores; as in ID and Token
	ID    string // names the record within the run; a second command with the same ID fails with *GuardError
	Token string // must be the first line of Dir/lock, else nothing is started: *LockLostError
}

// LockLostError: the lock on the host is not this run's, or not any more.
// Nothing was started.
type LockLostError struct {
	Host, Run, Dir string
}

func (e *LockLostError) Error() string {
	return fmt.Sprintf("run %s does not hold the lock %s/lock on the host (any more); nothing was started", e.Run, e.Dir)
}

// GuardError: the host cannot remember a command, or has one of that ID.
// Nothing was started.
type GuardError struct {
	Host, Run, ID string
	Used          bool   // there is a record of that ID
	Detail        string // what the host said
}

func (e *GuardError) Error() string {
	if e.Used {
		return fmt.Sprintf("command %s of run %s was started before; it is not started again", e.ID, e.Run)
	}
	return fmt.Sprintf("cannot record command %s of run %s; nothing was started: %s", e.ID, e.Run, e.Detail)
}
