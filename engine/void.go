package engine

import (
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/journal"
)

// A plan's Finally removes the staging folder that the plan made. A plan that is
// taken up again makes it anew: what the memory has of it is void.

// voidPast voids what an earlier controller's own Finally took back.
func (r *run) voidPast() error {
	m := r.opt.Memory
	for i, s := range m.Steps {
		if s.Change.Kind != (&change.Remove{}).Kind() || s.Stage != 0 || s.State != journal.Done || s.Again {
			continue
		}
		c, err := r.decode(r.opt.RunID, s.Change)
		if err != nil {
			return err
		}
		if rm, ok := c.(*change.Remove); !ok || !rm.Staging {
			continue
		}
		if err := r.void(s.At, s.Change.Host, c, m.Steps[:i]); err != nil {
			return err
		}
		if err := r.again(s); err != nil { // it is to be done once more, too
			return err
		}
	}
	return nil
}

// void notes of those steps that c took back that they are to be made again.
func (r *run) void(at journal.Place, host string, c change.Change, steps []*journal.Step) error {
	for _, s := range steps {
		if s.At != at || s.Change.Host != host || s.State != journal.Done || s.Again {
			continue
		}
		made, err := r.decode(r.opt.RunID, s.Change)
		if err != nil {
			return err
		}
		if !change.Voids(c, made) {
			continue
		}
		if err := r.again(s); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) again(s *journal.Step) error {
	s.Again = true
	return r.opt.Journal.Append(journal.Record{Kind: journal.Done, Time: r.opt.Now().UTC(), At: s.At, ID: s.ID, Again: true})
}
