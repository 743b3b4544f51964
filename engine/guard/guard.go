// Package guard is what dayops keeps on a host while it changes it: a lock that
// one run holds at a time, and a record of each command that changes something,
// by which the command is found again after a broken connection. Both live in
// one folder of the account that the commands run as; conn.Guard starts
// commands under it.
//
// The lock expires by the host's own uptime, and is then anybody's, but not
// while a recorded command of its run still runs. Operations on the lock
// exclude one another by flock(1), which the host must have.
package guard

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
)

// Limits. They are printed by --help; change them there too.
const (
	Expiry   = 60 * time.Second // of a lock that is not refreshed; refresh it every third of that
	OpLimit  = 60 * time.Second // one operation on a lock or a record
	Patience = 30 * time.Second // a resumed run waits so long for its own commands
)

// Bounds of what stays on a host.
const (
	keptMost = 64 << 20 // bytes of one run; checked at each Refresh
	keptDays = 30       // records of runs that nobody has resumed
)

// Owner is who wants a lock.
type Owner struct {
	Run   string // letters, digits, dots, dashes, underscores
	User  string // on the control machine
	Host  string // the control machine
	PID   int
	Start time.Time
}

// Options of Acquire.
type Options struct {
	Expiry time.Duration // 0 is Expiry; at least a second
	// Resume takes over at once what the same run holds, when the commands that
	// it left have ended. Those are waited for.
	Resume bool
	// After is Resume for the lock of another run, whose controller is known to be dead.
	After    string
	Patience time.Duration // how long Resume and After wait; 0 is Patience
	Dir      string        // "" is /var/lib/dayops for root, ~/.local/state/dayops for others
}

// Lock is a lock that is held.
type Lock struct {
	Dir, Token, Run string
	PerUser         bool // not root: it keeps out only runs as the same account

	conn conn.Conn
	as   string
}

// Process is a recorded command that is running.
type Process struct {
	ID  string
	PID int
}

// Holder is who holds a lock, as the lock says. It comes from the host: data,
// without control characters.
type Holder struct {
	Owner
	Dir     string
	Token   string
	PerUser bool
	Expires time.Duration // from now; negative: it has expired
	Live    []Process     // commands of the run that are running on the host
}

// LockedError: another run holds the lock.
type LockedError struct{ Holder Holder }

func (e *LockedError) Error() string {
	h := e.Holder
	s := fmt.Sprintf("locked by run %s of %s@%s (pid %d, since %s)", h.Run, h.User, h.Host, h.PID, h.Start.UTC().Format(time.DateTime))
	switch {
	case len(h.Live) > 0 && h.Expires < 0:
		return s + fmt.Sprintf("; it has expired, but its command %s still runs (pid %d)", h.Live[0].ID, h.Live[0].PID)
	case h.Expires < 0:
		return s + "; it has expired"
	}
	return s + fmt.Sprintf("; it expires in %s unless that run goes on", h.Expires.Round(time.Second))
}

// RunningError: commands of the run are still running on the host.
type RunningError struct {
	Run  string
	Live []Process
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("command %s of run %s is still running (pid %d)", e.Live[0].ID, e.Run, e.Live[0].PID)
}

// Acquire takes the lock of account as ("" is the login account), or fails with
// *LockedError; with opt.Resume or opt.After also with *RunningError.
func Acquire(ctx context.Context, c conn.Conn, as string, o Owner, opt Options) (*Lock, error) {
	if !name.MatchString(o.Run) {
		return nil, fmt.Errorf("%q is no id of a run", o.Run)
	}
	if opt.Expiry == 0 {
		opt.Expiry = Expiry
	}
	if opt.Patience == 0 {
		opt.Patience = Patience
	}
	resume := opt.After
	if opt.Resume {
		resume = o.Run
	}
	token := newToken()
	wait, cancel := context.WithTimeout(ctx, opt.Patience)
	defer cancel()
	for {
		code, a, err := operate(ctx, c, as, acquireScript, opt.Dir, token, o.Run, oneLine(o.User), oneLine(o.Host), strconv.Itoa(o.PID),
			o.Start.UTC().Format(time.RFC3339), strconv.FormatInt(max(opt.Expiry, time.Second).Milliseconds()/10, 10), resume, strconv.Itoa(keptDays))
		switch {
		case err != nil:
			return nil, err
		case code == 0:
			h := a.holder()
			return &Lock{Dir: h.Dir, Token: token, Run: o.Run, PerUser: h.PerUser, conn: c, as: as}, nil
		case code == 10:
			return nil, &LockedError{a.holder()}
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-wait.Done():
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, &RunningError{Run: resume, Live: a.live}
		}
	}
}

var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func newToken() string {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// oneLine is s fit for a line of the lock.
func oneLine(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s))
	return s[:min(len(s), 200)]
}

// Refresh puts the expiry off, also after a reboot of the host. It fails with
// *conn.LockLostError when somebody else has the lock.
func (l *Lock) Refresh(ctx context.Context) error {
	_, _, err := operate(ctx, l.conn, l.as, refreshScript, l.Dir, l.Token, strconv.Itoa(keptMost>>10))
	return l.lost(err)
}

// Release gives the lock back and removes the run's records. While a command of
// the run is running it fails with *RunningError and keeps both; with
// *conn.LockLostError when somebody else has the lock.
func (l *Lock) Release(ctx context.Context) error { return l.release(ctx, "") }

// Leave is Release that keeps the run's records: a resume wants to read them.
func (l *Lock) Leave(ctx context.Context) error { return l.release(ctx, "keep") }

func (l *Lock) release(ctx context.Context, keep string) error {
	code, a, err := operate(ctx, l.conn, l.as, releaseScript, l.Dir, l.Token, l.Run, keep)
	if err == nil && code == 11 {
		return &RunningError{Run: l.Run, Live: a.live}
	}
	return l.lost(err)
}

// Share is the same lock, used over another connection: two names of one host.
// It is refreshed and released once, by either.
func (l *Lock) Share(c conn.Conn, as string) *Lock {
	s := *l
	s.conn, s.as = c, as
	return &s
}

func (l *Lock) lost(err error) error {
	if errors.Is(err, errNotOurs) {
		return &conn.LockLostError{Run: l.Run, Dir: l.Dir}
	}
	return err
}

// Holders tells who holds the lock of account as; none or one. dir is as in Options.
func Holders(ctx context.Context, c conn.Conn, as, dir string) ([]Holder, error) {
	_, a, err := operate(ctx, c, as, holdersScript, dir)
	if err != nil || a.word["token"] == "" {
		return nil, err
	}
	return []Holder{a.holder()}, nil
}

// Remove takes h's lock away from it; its next command is refused. What runs
// goes on, and records stay. A lock that is another's by now stays too: *conn.LockLostError.
func Remove(ctx context.Context, c conn.Conn, as string, h Holder) error {
	_, _, err := operate(ctx, c, as, removeScript, h.Dir, h.Token)
	return (&Lock{Run: h.Run, Dir: h.Dir}).lost(err)
}
