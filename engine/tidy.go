package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/dayops/dayops/engine/guard"
	"github.com/dayops/dayops/engine/journal"
)

// tidy gives back what earlier controllers left on hosts that were done: the
// lock and the records of commands. A host that is away or another's by now keeps them.
func (r *run) tidy(ctx context.Context) {
	left := r.leftByOthers()
	keys := slices.Collect(maps.Keys(left))
	atOnce(r.opt.Forks, len(keys), func(i int) {
		if r.interrupted(ctx) {
			return
		}
		l, err := r.connect(ctx, keys[i].host)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, ProbeLimit)
		defer cancel()
		opt := left[keys[i]]
		opt.Expiry, opt.Patience, opt.Dir = r.opt.LockExpiry, time.Second, r.opt.HostDir
		if lock, err := guard.Acquire(ctx, l.conn, keys[i].as, r.opt.Owner, opt); err == nil {
			_ = lock.Release(ctx)
		}
	})
}

// leftByOthers are the locks that ended controllers may have left: of this run,
// where it was taken up again, and of the one that it takes back. Who came to the
// end of a run left nothing, but on hosts that were lost.
func (r *run) leftByOthers() map[holdKey]guard.Options {
	left, targets := map[holdKey]guard.Options{}, r.opt.Playbook.HostNames()
	free := func(s *journal.Step) (holdKey, bool) {
		k := holdKey{s.Change.Host, s.Change.As}
		return k, !r.holds.has(k) && r.host(k.host).lost == nil
	}
	if m := r.opt.Undone; m != nil && !r.opt.Check && r.play != nil { // not where it was refused
		for _, s := range m.Steps {
			if k, ok := free(s); ok && s.Taken > m.EndedAt && (r.opt.UndoneOn == nil || slices.Contains(r.opt.UndoneOn, k.host)) {
				left[k] = guard.Options{After: m.Run.ID}
			}
		}
	}
	if m := r.opt.Memory; m != nil {
		for _, s := range m.Steps {
			if k, ok := free(s); ok && (s.Taken > m.EndedAt || slices.Contains(targets, k.host)) && s.State != journal.Intent {
				left[k] = guard.Options{Resume: true}
			}
		}
	}
	return left
}

// undoes is the run that this one takes back, "" where it is no undo.
func (o *Options) undoes() string {
	if o.Undone == nil {
		return ""
	}
	return o.Undone.Run.ID
}
