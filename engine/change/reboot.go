package change

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
)

var _ Change = (*Reboot)(nil)

// RebootLimit is how long a host may take to come back. It is printed by
// --help; change it there too.
const RebootLimit = 10 * time.Minute

const bootIDFile = "/proc/sys/kernel/random/boot_id"

// Kind is "reboot".
func (r *Reboot) Kind() string { return "reboot" }

// Summary is one line for people.
func (r *Reboot) Summary() string {
	return "reboot, back within " + r.limit().String()
}

func (r *Reboot) limit() time.Duration {
	if r.Limit <= 0 {
		return RebootLimit
	}
	return r.Limit
}

// Diff is "".
func (r *Reboot) Diff() string { return "" }

// Risk is Disruptive.
func (r *Reboot) Risk() Risk { return Disruptive }

// Reversal is None.
func (r *Reboot) Reversal() Reversal { return Reversal{None, "a reboot cannot be taken back"} }

// Opaque is false.
func (r *Reboot) Opaque() bool { return false }

func (r *Reboot) observe(ctx context.Context, h Host) (Where, error) {
	now, err := h.bootID(ctx)
	if err != nil {
		return Neither, err
	}
	return side(r.BootID != "" && now != r.BootID, true), nil
}

func (h Host) bootID(ctx context.Context) (string, error) {
	id, err := h.read().ReadFile(ctx, bootIDFile, 100)
	return reader.Printable(strings.TrimSpace(string(id))), err
}

// RebootError: a reboot did not end well.
type RebootError struct {
	What  string // what became of it
	Limit time.Duration
	Err   error // what the last attempt to connect said
}

func (e *RebootError) Error() string {
	s := e.What
	if e.Limit > 0 {
		s += " within " + e.Limit.String()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *RebootError) Unwrap() error { return e.Err }

// rebootScript asks for it and returns: the host goes a moment later. An old
// systemd lets a session wait for what it runs, so nothing is left running.
const rebootScript = `message=$1
if command -v shutdown >/dev/null; then shutdown -r now ${message:+"$message"} </dev/null
elif command -v systemctl >/dev/null; then systemctl reboot </dev/null
else exit 113
fi`

const (
	redialPause = 2 * time.Second
	redialLimit = 30 * time.Second // one attempt, with a look at the boot id
)

// apply is cut short by our death only: resume sees by the boot id whether the
// host has booted since.
func (r *Reboot) apply(ctx context.Context, h Host) (Outcome, error) {
	was, err := h.bootID(ctx)
	if err != nil || r.BootID != "" && was != r.BootID {
		return Outcome{}, err
	}
	if own, err := os.ReadFile(bootIDFile); h.Redial == nil || err == nil && strings.TrimSpace(string(own)) == was {
		return Outcome{}, &RebootError{What: "the machine that dayops runs on is not rebooted, nor what cannot be connected to anew"}
	}
	if err := sleep(ctx, r.Delay); err != nil {
		return Outcome{}, err
	}
	res, err := h.script(ctx, rebootScript, nil, r.Message)
	var lost *conn.LostError
	switch {
	case errors.As(err, &lost): // it went before it answered
	case err != nil:
		return Outcome{}, err
	case res.Code == codeMissing:
		return Outcome{}, &StepError{Doing: r.Summary(), Output: "the host has neither shutdown nor systemctl"}
	case res.Code != 0 && res.Signal == "":
		return Outcome{}, stepFailed(r.Summary(), res)
	}
	if err := r.await(ctx, h, was); err != nil {
		return Outcome{Changed: true}, err
	}
	return Outcome{Changed: true, Rebooted: true}, sleep(ctx, r.Settle)
}

// await connects again and again. Whatever is refused while a host comes up is
// tried again, except a key that is not its own.
func (r *Reboot) await(ctx context.Context, h Host, was string) error {
	limited, cancel := context.WithTimeout(ctx, r.limit())
	defer cancel()
	var away, same bool
	var last error
	for sleep(limited, redialPause) == nil {
		id, err := r.try(limited, h, was)
		var key *conn.HostKeyError
		switch {
		case err == nil && id != was:
			return nil
		case err == nil:
			same, last = true, nil
		case errors.As(err, &key):
			return &RebootError{What: "another host's key where it should come back", Err: err}
		case limited.Err() == nil:
			last = err
			away, same = away || id == "", same && id != ""
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	what := "did not come back"
	switch {
	case same && away:
		what = "was away and is back with the same boot id: it did not boot"
	case same:
		what = "did not go down: it has the same boot id"
	case last != nil && !away:
		what = "is back, but not ready"
	}
	return &RebootError{What: what, Limit: r.limit(), Err: last}
}

// try is the boot id by a new connection; with an error, the host is there and not ready.
func (r *Reboot) try(ctx context.Context, h Host, was string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, redialLimit)
	defer cancel()
	c, err := h.Redial(ctx)
	if err != nil {
		return "", err
	}
	defer c.Close()
	fresh := reader.New(c, h.As)
	anew := h
	anew.Conn, anew.Reader = c, fresh
	id, err := anew.bootID(ctx)
	if err != nil || id == was {
		return id, err
	}
	return id, r.tested(ctx, fresh)
}

func (r *Reboot) tested(ctx context.Context, host Looker) error {
	if len(r.Test) == 0 {
		return nil
	}
	res, err := host.Probe(ctx, r.Test...)
	if err == nil && res.Code != 0 {
		err = stepFailed(strings.Join(r.Test, " "), res)
	}
	return err
}

// Ready waits for the rest of a reboot that Observe has found done: until the
// host is back as it was asked for.
func (r *Reboot) Ready(ctx context.Context, h Host) error {
	limited, cancel := context.WithTimeout(ctx, r.limit())
	defer cancel()
	for {
		err := r.tested(limited, h.read())
		var lost *conn.LostError
		switch {
		case err == nil:
			return sleep(ctx, r.Settle)
		case errors.As(err, &lost) || ctx.Err() != nil:
			return err
		case sleep(limited, redialPause) == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		default:
			return &RebootError{What: "is back, but not ready", Limit: r.limit(), Err: err}
		}
	}
}

func (r *Reboot) effect(*Overlay) {}
