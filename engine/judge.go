package engine

import (
	"context"
	"errors"

	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
)

// judged is one attempt, with changed_when and failed_when.
func (r *run) judged(ctx context.Context, h *host, s *playbook.BoundStep, sc *scope) result {
	it, err := r.prepare(ctx, h, s, sc)
	if err != nil {
		res := r.planFailure(err)
		if it != nil {
			res.target = it.target
		}
		return res
	}
	res := it.once(ctx)
	res.target = it.target
	if err := r.judge(s, sc, &res); err != nil {
		r.spoil(&res, err)
	}
	return res
}

func (r *run) judge(s *playbook.BoundStep, sc *scope, res *result) error {
	if res.status == event.Unknown || isLost(res.err) || r.opt.Check && res.changed {
		return nil
	}
	sc = sc.with(registerName(s), res.registered())
	if len(s.ChangedWhen) > 0 {
		yes, err := sc.all(s.ChangedWhen)
		switch {
		case err == nil:
			res.changed = yes
			if res.status == event.OK || res.status == event.Changed {
				res.status = changedOr(yes)
			}
		case res.status != event.Failed:
			return err
		}
	}
	if len(s.FailedWhen) == 0 {
		return nil
	}
	yes, err := sc.all(s.FailedWhen)
	switch {
	case err != nil:
		return err
	case yes && res.status != event.Failed:
		res.status, res.err = event.Failed, errors.New("`failed_when` holds")
	case !yes && res.status == event.Failed && !isEngineFailure(res.err):
		res.status, res.err = changedOr(res.changed), nil
	}
	return nil
}

func changedOr(changed bool) event.Status {
	if changed {
		return event.Changed
	}
	return event.OK
}

// spoil: what the step gave stands, but cannot be judged.
func (r *run) spoil(res *result, err error) {
	f := r.planFailure(err)
	res.status, res.unknown, res.err = f.status, f.unknown, together(res.err, f.err)
}

// isEngineFailure: what `failed_when` must not talk away, because the task did not do its work.
func isEngineFailure(err error) bool {
	var nc *NotConvergedError
	var p *PanicError
	return errors.As(err, &nc) || errors.As(err, &p) || errors.Is(err, errStopped) || errors.Is(err, context.DeadlineExceeded)
}

func registerName(s *playbook.BoundStep) string {
	if s.Register != "" {
		return s.Register
	}
	return "_result"
}
