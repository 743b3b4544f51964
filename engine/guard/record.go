package guard

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/dayops/dayops/engine/conn"
)

// State is what became of a recorded command.
type State string

// States.
const (
	Absent  State = "absent"  // never started; see Record.Rebooted
	Running State = "running" // it, or a process that it left behind when its shell was killed
	Ended   State = "ended"   // with Code
	Died    State = "died"    // killed with its shell, or by a reboot: how far it came is not known
)

// Record is what a host remembers of a command.
type Record struct {
	State          State
	Code           int    // of one that has Ended; 128+n when signal n ended it
	Stdout, Stderr []byte // their start, conn.GuardOutput bytes at most; so far, while it is running
	PID            int
	Began          time.Duration // ago, in whole seconds
	// Rebooted: the host has booted since the run first had its lock. After a power
	// failure a record that was not on the disk yet is Absent.
	Rebooted bool
}

// Look tells what became of command id of run. dir is Lock.Dir.
func Look(ctx context.Context, c conn.Conn, as, dir, run, id string) (Record, error) {
	if !name.MatchString(run) || !name.MatchString(id) {
		return Record{}, fmt.Errorf("%q of run %q is no recorded command", id, run)
	}
	_, a, err := operate(ctx, c, as, lookScript, dir, run, id, strconv.Itoa(conn.GuardOutput))
	if err != nil {
		return Record{}, err
	}
	return a.record(run, id)
}

// record reads what lookScript printed of command id.
func (a answer) record(run, id string) (Record, error) {
	r := Record{Code: int(a.number("code")), PID: int(a.number("pid")), Rebooted: a.word["rebooted"] != ""}
	switch a.word["state"] {
	case "Absent":
		return Record{State: Absent, Rebooted: r.Rebooted}, nil
	case "Running":
		r.State = Running
	case "Ended":
		r.State = Ended
	case "Died":
		r.State = Died
	default:
		return Record{}, fmt.Errorf("the host says nothing of use about command %s of run %s", id, run)
	}
	r.Began = time.Duration(max(0, min(a.number("age"), 1<<31))) * time.Second
	out, errs := int(a.number("out")), int(a.number("err"))
	if out < 0 || errs < 0 || out > len(a.rest) || errs > len(a.rest)-out {
		return Record{}, fmt.Errorf("the outputs of command %s of run %s came in part", id, run)
	}
	r.Stdout, r.Stderr = a.rest[:out:out], a.rest[out:out+errs:out+errs]
	return r, nil
}

// Await is Look that waits for the end of one that is Running, but no longer
// than limit: then it is Running still.
func Await(ctx context.Context, c conn.Conn, as, dir, run, id string, limit time.Duration) (Record, error) {
	late := time.NewTimer(limit)
	defer late.Stop()
	pause := 50 * time.Millisecond
	for {
		r, err := Look(ctx, c, as, dir, run, id)
		if err != nil || r.State != Running {
			return r, err
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, 2*time.Second)
		case <-late.C:
			return r, nil
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}

// Conn is c, but every Run and Put of it is guarded, under the id that it is
// given at that moment; Get is not. A command that has a guard keeps it.
func (l *Lock) Conn(c conn.Conn, id func() string) conn.Conn {
	return &guarded{Conn: c, lock: l, id: id}
}

type guarded struct {
	conn.Conn
	lock *Lock
	id   func() string
}

func (g *guarded) guard() *conn.Guard {
	return &conn.Guard{Dir: g.lock.Dir, Run: g.lock.Run, ID: g.id(), Token: g.lock.Token}
}

func (g *guarded) Run(ctx context.Context, c conn.Cmd) (conn.Result, error) {
	if c.Guard == nil {
		c.Guard = g.guard()
	}
	return g.Conn.Run(ctx, c)
}

func (g *guarded) Put(ctx context.Context, p conn.Put, r io.Reader) error {
	if p.Guard == nil {
		p.Guard = g.guard()
	}
	return g.Conn.Put(ctx, p, r)
}
