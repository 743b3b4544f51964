package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/guard"
)

// mayPurge refuses a purge that nobody has approved and nobody can be asked
// about. ask is nil where there is no need or no terminal to ask at.
func (a *app) mayPurge(ctx context.Context, f *asideFlags) (ask func(context.Context, engine.Ask) bool, err error) {
	risk, err := f.approved()
	if err != nil || !f.purge || risk >= change.Destructive {
		return nil, err
	}
	if ask = a.approver(&f.flags, ctx.Done()); ask == nil {
		return nil, a.notPurged()
	}
	return ask, nil
}

func (a *app) notPurged() error {
	return &coded{code: exitRefused, err: errors.New("nothing was removed: not approved, and what lies aside would be lost for good; -y is not enough for that"),
		hint: a.retype(change.Destructive)}
}

// purge removes what was shown, after the approval that any loss of data needs.
func (a *app) purge(ctx context.Context, hosts []*asideHost, forks int, ask func(context.Context, engine.Ask) bool) error {
	yes := ask == nil || ask(ctx, purgeQuestion(hosts))
	switch {
	case ctx.Err() != nil:
		return nil // told by who has the context
	case !yes:
		return a.notPurged()
	}
	dir, _, err := a.hostFolders()
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	owner := a.owner("purge-" + id)
	each(hosts, forks, func(h *asideHost) {
		if len(h.entries) > 0 && h.err == nil {
			h.err = h.purge(ctx, owner, dir)
		}
	})
	return nil
}

func purgeQuestion(hosts []*asideHost) engine.Ask {
	s := engine.RefusedStep{Step: "remove for good what was moved aside", Risk: change.Destructive}
	for _, h := range hosts {
		if len(h.entries) > 0 {
			s.Hosts = append(s.Hosts, h.target.Name)
		}
		for _, e := range h.entries {
			s.Changes = append(s.Changes, fmt.Sprintf("%s: %s of run %s", h.target.Name, cmp.Or(e.Path, e.Data), e.Run))
		}
	}
	return engine.Ask{Need: change.Destructive, Steps: []engine.RefusedStep{s}, Hosts: s.Hosts}
}

// purge removes the runs that were shown, and no others, under the lock of the
// host: a run that is under way there may need them for its way back.
func (h *asideHost) purge(ctx context.Context, owner guard.Owner, dir string) error {
	lock, err := guard.Acquire(ctx, h.host.Conn, h.host.As, owner, guard.Options{Dir: dir})
	var locked *guard.LockedError
	if errors.As(err, &locked) && locked.Holder.Run == owner.Run {
		return nil // another name of this host, which removes the same
	}
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engine.AbortGrace)
		defer cancel()
		_ = lock.Release(ctx) // else it expires by itself
	}()
	now, err := h.read(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(now, func(e change.AsideEntry) bool { return !slices.ContainsFunc(h.entries, e.Same) }) {
		return errors.New("more lies aside by now than was shown, and nothing was removed here; look again: dayops aside " + h.target.Name)
	}
	n := 0
	guarded := h.host
	guarded.Conn = lock.Conn(h.host.Conn, func() string { n++; return fmt.Sprint(n) })
	for i, e := range now {
		if i > 0 && e.Run == now[i-1].Run {
			continue
		}
		if err := errors.Join(lock.Refresh(ctx), ctx.Err()); err != nil {
			return err
		}
		if err := change.PurgeAside(ctx, guarded, e.Run); err != nil {
			return err
		}
	}
	return nil
}
