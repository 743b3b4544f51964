package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// ErrNotBegun: the run ended before it was journalled, so nothing was done.
var ErrNotBegun = errors.New("its journal has no beginning: nothing was done")

// Memory is what a journal says about a run.
type Memory struct {
	Run     Run
	Ended   bool
	Code    int
	Taken   int // how often it was taken up again
	EndedAt int // Taken when a controller last came to the end of the run; -1: none did
	Results map[Place]json.RawMessage
	Plans   map[Place]Plan
	// Rollbacks are plans that failed and whose changes are being taken back, or
	// have been. Nothing of them is done forward any more.
	Rollbacks map[Place]string // why
	Steps     []*Step          // in the order in which they were begun

	byID map[int64]*Step
}

// Plan is a plan that was begun.
type Plan struct {
	Now     time.Time
	Finally []Change
	After   []Change        // of the first controller that had any: later ones find the cluster half done
	Stages  map[int][]Stage // by controller (Taken): each makes the plan anew
}

// Step is what is known of one change.
type Step struct {
	ID      int64
	Stage   int   // of its plan, from 1; 0: Finally
	Back    int64 // the change that it takes back; 0: none
	Undone  bool  // it was taken back
	At      Place
	Change  Change
	Inverse []Change
	Taken   int  // which controller began it: 0 is the first, n came with the nth resume
	State   Kind // Intent: in doubt; Done; Failed
	Again   bool // it was looked at and is not made
	Outcome json.RawMessage
	Error   string
	Time    time.Time
}

func newMemory() *Memory {
	return &Memory{EndedAt: -1, Results: map[Place]json.RawMessage{}, Plans: map[Place]Plan{}, Rollbacks: map[Place]string{}, byID: map[int64]*Step{}}
}

// Read reads the journal of a run without taking it up.
func (h *History) Read(run string) (*Memory, error) {
	m, _, err := h.read(run)
	return m, err
}

// Resume reads the journal of a run and takes it up: its lines go on where a
// crash cut them off. It fails with ErrHeld while another process has the run.
func (h *History) Resume(run string) (*Journal, *Memory, error) {
	j, err := h.open(run, 0)
	if err != nil {
		return nil, nil, err
	}
	m, whole, err := h.read(run)
	if err == nil {
		err = j.file.Truncate(whole)
		j.size = whole
		j.taken = m.Taken
		for _, s := range m.Steps {
			j.last = max(j.last, s.ID)
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, j.Close())
	}
	return j, m, nil
}

// read gives the memory and the length of the whole lines. What was lost with
// the power before it was synced was never acted upon: it is not there.
func (h *History) read(run string) (*Memory, int64, error) {
	f, err := os.Open(filepath.Join(h.dir, run, journalFile))
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	seal, err := newSealer(filepath.Dir(h.dir))
	if err != nil {
		return nil, 0, err
	}
	m, whole, marks := newMemory(), int64(0), false
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", f.Name(), err)
		}
		if len(line) == 1 { // before a mark
			whole++
			continue
		}
		r, err := decode(line[:len(line)-1], seal)
		if errors.Is(err, errChecksum) && m.neverSynced(in, whole, marks, seal) {
			break
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: after %d bytes: %w", f.Name(), whole, err)
		}
		m.add(r)
		marks = marks || r.Kind == Synced
		whole += int64(len(line))
	}
	if m.Run.ID == "" {
		return nil, 0, fmt.Errorf("run %s: %w", run, ErrNotBegun)
	}
	return m, whole, nil
}

// neverSynced tells whether a bad line at an offset, and so all that is after it,
// was still on its way to the disk when the power went: nothing valid follows,
// or only what was written before a sync of it ended. A journal without marks
// cannot tell that from damage.
func (m *Memory) neverSynced(rest *bufio.Reader, at int64, marks bool, s sealer) bool {
	valid, begun := false, map[int64]bool{}
	for {
		line, err := readLine(rest)
		if errors.Is(err, io.EOF) {
			return !valid || marks
		}
		if err != nil {
			return false
		}
		r, err := decode(line[:len(line)-1], s)
		if errors.Is(err, errChecksum) {
			continue
		}
		valid = true
		switch r.Kind {
		case Intent:
			begun[r.ID] = true
		case Done, Failed: // acted upon: its intent was synced, and is lost
			if m.byID[r.ID] == nil && !begun[r.ID] {
				return false
			}
		case Synced:
			if marks = true; r.ID > at {
				return false
			}
		}
	}
}

// readLine returns a line with its end, or io.EOF where the end is missing.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLine {
			return nil, errors.New("a line is too long")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

func (m *Memory) add(r Record) {
	switch r.Kind {
	case Began:
		if r.Run != nil {
			m.Run = *r.Run
		}
	case Taken:
		m.Taken++
		m.Ended = false
	case Planned:
		stages := m.Plans[r.At].Stages
		if len(r.Stages) > 0 {
			stages = maps.Clone(stages)
			if stages == nil {
				stages = map[int][]Stage{}
			}
			stages[m.Taken] = r.Stages
		}
		after := m.Plans[r.At].After
		if len(after) == 0 {
			after = r.After
		}
		m.Plans[r.At] = Plan{Now: r.Now, Finally: r.Finally, After: after, Stages: stages}
	case Intent:
		if r.Change == nil || m.byID[r.ID] != nil {
			return
		}
		step := &Step{ID: r.ID, Stage: r.Stage, Back: r.Back, At: r.At, Change: *r.Change, Inverse: r.Inverse, Taken: m.Taken, State: Intent, Time: r.Time}
		m.byID[r.ID] = step
		m.Steps = append(m.Steps, step)
	case Done, Failed:
		if s := m.byID[r.ID]; s != nil {
			s.State, s.Again, s.Outcome, s.Error = r.Kind, r.Again, r.Outcome, r.Error
			if r.Inverse != nil {
				s.Inverse = r.Inverse
			}
		}
	case RolledBack:
		m.Rollbacks[r.At] = r.Error
	case Undone:
		if s := m.byID[r.ID]; s != nil {
			s.Undone = true
		}
	case Finished:
		m.Results[r.At] = r.Result
	case Forgotten:
		m.forget(r.At)
	case Ended:
		m.Ended, m.Code, m.EndedAt = true, r.Code, m.Taken
	}
}

// forget drops the result of a step on a host, so that it is done again. What
// was made there is made again too.
func (m *Memory) forget(at Place) {
	delete(m.Results, at)
	for p := range m.Rollbacks {
		if p.Step == at.Step && (p.Host == "" || p.Host == at.Host && p.Item == at.Item) {
			delete(m.Rollbacks, p)
		}
	}
	for _, s := range m.Steps {
		if s.At.Step == at.Step && s.At.Host == at.Host && s.At.Item == at.Item && s.State != Intent {
			s.Again = true
		}
	}
}

// Begun tells whether any host has begun a step.
func (m *Memory) Begun(step string) bool {
	for at := range m.Results {
		if at.Step == step {
			return true
		}
	}
	return slices.ContainsFunc(m.Steps, func(s *Step) bool { return s.At.Step == step })
}

// Knows tells whether a host has begun a step.
func (m *Memory) Knows(step, host string) bool {
	for at := range m.Results {
		if at.Step == step && at.Host == host {
			return true
		}
	}
	return slices.ContainsFunc(m.Steps, func(s *Step) bool { return s.At.Step == step && s.At.Host == host && !s.Again })
}

// Exit codes of runs that have ended and are not done all the same. The program
// has its own from here.
const (
	CodeUnreachable = 4 // a host was lost
	CodeRefused     = 6
	CodeLocked      = 11
	CodeInterrupted = 130
)

func notDone(code int) bool {
	return slices.Contains([]int{CodeUnreachable, CodeRefused, CodeLocked, CodeInterrupted}, code)
}

// GoesOn tells whether a resume takes the run up: it did not end, was
// interrupted, refused or kept out, lost a host, or left a change in doubt.
func (m *Memory) GoesOn() bool { return !m.Ended || notDone(m.Code) || len(m.InDoubt()) > 0 }

// InDoubt are the changes that were begun and of which nothing more is known.
func (m *Memory) InDoubt() []*Step {
	return slices.DeleteFunc(slices.Clone(m.Steps), func(s *Step) bool { return s.State != Intent })
}
