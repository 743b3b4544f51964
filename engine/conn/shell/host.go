package shell

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/secret"
)

// startLimit is how long a login shell and sudo may take until our command begins.
const startLimit = conn.HandshakeLimit

// abortLimit bounds the clearing up after a command that was ended.
const abortLimit = 4 * time.Second

// endLimit bounds the same on the host, for one that is slower.
const endLimit = 30 * time.Second

// Host runs commands and moves files on one host. Its fields are set once,
// before the first call; its methods may be called at the same time.
type Host struct {
	Name     string       // inventory name; used in errors
	Login    string       // account of the link
	Method   string       // how to become another account: "" or "sudo"
	Password secret.Value // for sudo
	Start    Start
	// Upload puts r's bytes into the new file temp, mode 0600, as account as.
	// It is used for what is too large to go along with the script that
	// commits it. nil means: with cat.
	Upload func(ctx context.Context, as, temp string, r io.Reader) error

	become becomeState
}

// Running is a command that has begun: its start text ran, its outputs flow.
type Running struct {
	host    *Host
	as, id  string
	guard   *conn.Guard
	process Process
	done    chan struct{} // closed when exit and err are set
	exit    Exit
	err     error
}

// Stdin is the command's input; Close ends it.
func (r *Running) Stdin() io.WriteCloser { return r.process.Stdin() }

// Done is closed when the command has ended.
func (r *Running) Done() <-chan struct{} { return r.done }

// Release lets go of the command; Done follows soon. Wait and Abort include it.
func (r *Running) Release() { r.process.Release() }

// Wait returns when the command has ended, or ends it when ctx does, with ctx's error.
func (r *Running) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-r.done:
		r.process.Release()
		return r.exit, r.err
	case <-ctx.Done():
		r.Abort(ctx)
		return Exit{}, ctx.Err()
	}
}

// Open starts c and returns once it has begun. c.Stdin, c.Stdout and c.Limit
// are not looked at. What c writes goes to stdout and stderr, without the
// noise of start-up files; their errors are not looked at either.
func (h *Host) Open(ctx context.Context, c conn.Cmd, stdout, stderr io.Writer) (*Running, error) {
	r, err := h.start(ctx, c, stdout, stderr)
	if err != nil && r != nil {
		h.clear(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// start is Open, but returns what it started also with an error.
func (h *Host) start(ctx context.Context, c conn.Cmd, stdout, stderr io.Writer) (*Running, error) {
	as := c.As
	if as == h.Login {
		as = ""
	}
	id := newID()
	text, err := commandText(c, id, as != "")
	if err != nil {
		return nil, err
	}
	if as == "" {
		return h.open(ctx, text, opening{id: id, guard: c.Guard}, stdout, stderr)
	}
	return h.openAs(ctx, text, opening{id: id, as: as, guard: c.Guard}, stdout, stderr)
}

// opening is how a text tells that it has begun, and as whom.
type opening struct {
	id, as string
	prompt string // of sudo; "" when it must not ask
	guard  *conn.Guard
}

// open returns what it started also with an error, for clear.
func (h *Host) open(ctx context.Context, text string, o opening, stdout, stderr io.Writer) (*Running, error) {
	if len(text) > maxScript {
		return nil, fmt.Errorf("the command is %d bytes long; a host takes %d (feed it on stdin)", len(text), maxScript)
	}
	out, errs := newGate(o.id, "", stdout), newGate(o.id, o.prompt, stderr)
	p, err := h.Start(ctx, text, out, errs)
	if err != nil {
		return nil, err
	}
	r := &Running{host: h, as: o.as, id: o.id, guard: o.guard, process: p, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.exit, r.err = p.Wait()
	}()
	return r, h.begin(ctx, r, errs)
}

// clear ends what did not begin in time. Its start text dies when it writes the
// mark, because nobody reads that any more. Only where it may have begun just
// now it is looked for; through sudo only when that is sure not to try a wrong
// password again, and not on a host that is too slow to start a shell.
func (h *Host) clear(ctx context.Context, r *Running) {
	if proven, _ := h.become.known(); ctx.Err() != nil && (r.as == "" || proven) {
		r.Abort(ctx)
		return
	}
	r.process.Signal("TERM")
	r.process.Release()
}

// begin waits for the mark, and answers sudo's prompt.
func (h *Host) begin(ctx context.Context, r *Running, errs *gate) error {
	late := time.NewTimer(startLimit)
	defer late.Stop()
	prompts := 0
	for {
		select {
		case <-errs.opened:
			return nil
		case <-errs.asked:
			if prompts++; prompts > 1 {
				return h.refuse(r, errs)
			}
			// The password fits any pipe; a peer that takes nothing is cut off by Release.
			go func() { _, _ = io.WriteString(r.process.Stdin(), h.Password.Reveal()+"\n") }()
		case <-r.done:
			select {
			case <-errs.opened: // it began and ended
				return nil
			default:
			}
			return h.notBegun(r, errs.before(), prompts)
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			if r.as != "" {
				return h.becomeError(r.as, conn.BecomeFailed, fmt.Sprintf("no answer in %s", startLimit))
			}
			return fmt.Errorf("the login shell of %s did not start a command in %s: %w", h.Login, startLimit, context.DeadlineExceeded)
		}
	}
}

// notBegun says why a process ended before its mark.
func (h *Host) notBegun(r *Running, said string, prompts int) error {
	if r.err != nil {
		return r.err
	}
	if err := guardRefused(h.Name, r.guard, r.id, said); err != nil {
		return err
	}
	if r.as != "" {
		reason := becomeReason(said, r.exit.Code, prompts)
		return h.becomeError(r.as, reason, lastLine(said, ""))
	}
	return fmt.Errorf("the login shell of %s ended with exit code %d before the command began: %s",
		h.Login, r.exit.Code, lastLine(said, "(it said nothing)"))
}

// Abort ends the command on the host: every process that carries its id gets
// TERM, and KILL a second later. It takes no longer than abortLimit; on a host
// that is slower than that the end goes on behind it. It gives up silently when
// the link is gone.
func (r *Running) Abort(ctx context.Context) {
	r.process.Signal("TERM")
	r.process.Release() // the link may have room for one only
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortLimit)
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.end()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	if r.guard != nil { // its shell has an end to record
		select {
		case <-r.done:
		case <-time.After(time.Second):
		}
	}
	r.process.Signal("KILL")
	select {
	case <-r.done:
	case <-ctx.Done():
	}
}

// end runs endScript. It lasts as long as that takes, but no longer than
// endLimit or the link. What it starts is never ended the same way again: on a
// host that is too slow for the one, the other would not fare better.
func (r *Running) end() {
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	k, err := r.host.start(ctx, conn.Cmd{As: r.as, Argv: []string{"/bin/sh", "-c", endScript, "dayops-end", marker + "=" + r.id}}, io.Discard, io.Discard)
	if k == nil {
		return
	}
	defer k.process.Release()
	if err != nil {
		return
	}
	k.Stdin().Close()
	select {
	case <-k.done:
	case <-ctx.Done():
	}
}

// endScript ends every process whose environment has the word $1. The
// environment goes to all descendents, also through setsid and sudo's shell.
// Looking for them is dear on a busy host; whether they are still there is not.
const endScript = `
for s in TERM 0 KILL KILL; do
  n=
  for f in $(grep -ls -- "$1" /proc/[0-9]*/environ 2>/dev/null); do f=${f#/proc/}; f=${f%/environ}; kill -$s $f 2>/dev/null && n="$n $f"; done
  [ "$n" ] || exit 0
  for i in 1 2 3 4 5; do
    here=; for p in $n; do kill -0 $p 2>/dev/null && here=1; done
    [ "$here" ] || break
    sleep 0.1 2>/dev/null || { sleep 1; break; }
  done
done`
