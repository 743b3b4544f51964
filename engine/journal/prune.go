package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// prunedPrefix marks a run's folder on its way out: no run's id has a dot.
const prunedPrefix = ".pruned-"

// Policy says which runs stay. A run goes only if every rule that is set lets it go.
type Policy struct {
	Keep   int       // the newest so many stay; 0: no rule
	Before time.Time // what began at that time or later stays; zero: no rule
	Now    time.Time // what began longer than openFor before it may be past; zero: no rule
	Force  bool      // also runs that a resume would take up, and records that cannot be read
}

// openFor is how long a run that lost a host, was refused or locked out waits
// for its resume: playbooks and inventories move on.
const openFor = 90 * 24 * time.Hour

// Empty tells a policy without a rule, which would let every run go.
func (p Policy) Empty() bool { return p.Keep <= 0 && p.Before.IsZero() }

// Candidate is a run that the rules let go.
type Candidate struct {
	Entry
	Bytes      int64 // of its folder
	Unreadable bool  // Start is the folder's time of change then
	Held       bool  // under way: stays in any case
	GoesOn     bool  // as Memory.GoesOn has it
	InDoubt    bool  // a change of it is
	Past       bool  // it ended, and there is no more to a resume of it than to a new run
}

// Stays tells why a candidate stays nevertheless; "" means that it goes.
func (c Candidate) Stays(force bool) string {
	switch {
	case c.Held:
		return "is under way"
	case c.Unreadable && !force:
		return "has a record that cannot be read"
	case !c.Ended && !force:
		return "did not end: it could be resumed"
	case force || !c.GoesOn || c.Check:
		return ""
	case c.InDoubt:
		return "left a change in doubt: it could be resumed"
	case c.Code == CodeInterrupted:
		return "was interrupted: it could be resumed"
	case !c.Past:
		return fmt.Sprintf("ended with exit %d: it could be resumed", c.Code)
	}
	return ""
}

// look reads what a resume would make of the run.
func (c *Candidate) look(h *History) {
	m, err := h.Read(c.Run)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, ErrNotBegun):
	case err != nil:
		c.Unreadable = true
	default:
		c.GoesOn, c.InDoubt = m.GoesOn(), len(m.InDoubt()) > 0
		c.Past = c.Past || len(m.Steps) == 0
	}
}

// replaces tells whether a later run was to do all that the run before was, and
// began to: what is left to do is then its own.
func (c Candidate) replaces(before Candidate) bool {
	began := !notDone(c.Code) || c.Changes > 0
	return c.Ended && !c.Check && began && c.Playbook == before.Playbook && c.Inventory == before.Inventory &&
		!slices.ContainsFunc(before.hosts, func(host string) bool { return !slices.Contains(c.hosts, host) })
}

// ErrEmptyPolicy: nothing says what stays.
var ErrEmptyPolicy = errors.New("nothing says which runs stay")

// Candidates lists the runs that the rules let go, the oldest first. It removes nothing.
func (h *History) Candidates(p Policy) ([]Candidate, error) {
	if p.Empty() {
		return nil, ErrEmptyPolicy
	}
	all, err := h.all()
	if err != nil {
		return nil, err
	}
	var out []Candidate
	for i, c := range all[:max(0, len(all)-max(0, p.Keep))] {
		if !p.Before.IsZero() && !c.Start.Before(p.Before) {
			continue
		}
		dir := filepath.Join(h.dir, c.Run)
		if c.Bytes, err = size(dir); err != nil {
			return nil, err
		}
		c.Held = h.Held(c.Run)
		c.Past = !p.Now.IsZero() && c.Start.Before(p.Now.Add(-openFor)) || slices.ContainsFunc(all[i+1:], func(later Candidate) bool { return later.replaces(c) })
		c.look(h)
		out = append(out, c)
	}
	return out, nil
}

// all gives every run, also those whose record cannot be read, the newest last.
func (h *History) all() ([]Candidate, error) {
	dirs, err := h.runs()
	if err != nil {
		return nil, err
	}
	var out []Candidate
	for _, d := range dirs {
		c := Candidate{Entry: Entry{Run: d.Name()}}
		if err := h.Replay(d.Name(), c.add); err != nil || c.Start.IsZero() {
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			c.Entry, c.Unreadable = Entry{Run: d.Name(), Start: info.ModTime()}, true
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Candidate) int { return byStart(a.Entry, b.Entry) })
	return out, nil
}

// Remove deletes one run: under its lock, so that nobody resumes it meanwhile,
// and by another name first, so that half a run is never taken for a whole one.
func (h *History) Remove(c Candidate, force bool) error {
	lock := flock.New(filepath.Join(h.dir, c.Run, lockFile), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	defer lock.Close()
	got, err := lock.TryLock()
	switch {
	case err != nil:
		return err
	case !got:
		return ErrHeld
	}
	// It may have been resumed between the listing and the lock.
	now := Candidate{Entry: Entry{Run: c.Run}, Past: c.Past}
	err = h.Replay(c.Run, now.add)
	now.look(h)
	now.Unreadable = now.Unreadable || err != nil || now.Start.IsZero()
	if why := now.Stays(force); why != "" {
		return &StaysError{Run: c.Run, Why: why}
	}
	gone := filepath.Join(h.dir, prunedPrefix+c.Run)
	if err := os.Rename(filepath.Join(h.dir, c.Run), gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// StaysError: the run is not to be removed.
type StaysError struct{ Run, Why string }

func (e *StaysError) Error() string { return "run " + e.Run + " " + e.Why }

// Sweep finishes removals that were cut off.
func (h *History) Sweep() error {
	dirs, err := os.ReadDir(h.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, d := range dirs {
		if strings.HasPrefix(d.Name(), prunedPrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(h.dir, d.Name())))
		}
	}
	return err
}

// size adds up the regular files below dir; what vanishes meanwhile counts nothing.
func size(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				n += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return n, err
}
