package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/engine/vars"
)

// hostStep runs a host task on one host: condition, loop, retries.
func (r *run) hostStep(ctx context.Context, h *host, s *playbook.BoundStep) (res result) {
	defer func() {
		if p := recover(); p != nil {
			res = failure(fmt.Errorf("panic: %v", p))
		}
	}()
	if s.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Timeout)
		defer cancel()
	}
	sc := r.scope(h, s)
	if s.Loop == nil {
		return r.conditioned(ctx, h, s, sc)
	}
	values, err := sc.list(s.Loop)
	if err != nil {
		return r.planFailure(err)
	}
	items := []result{}
	for _, v := range values {
		if r.stopped() {
			break
		}
		one := r.conditioned(ctx, h, s, sc.with(s.LoopVar, v))
		one.item = itemText(v)
		items = append(items, one)
		// An item after a lost connection can only fail the same way.
		if isLost(one.err) {
			break
		}
	}
	return merge(items)
}

// itemText is how a loop's value is shown.
func itemText(v any) string {
	s := fmt.Sprint(v)
	if r := []rune(s); len(r) > 80 {
		s = string(r[:79]) + "…"
	}
	return s
}

func (r *run) conditioned(ctx context.Context, h *host, s *playbook.BoundStep, sc *scope) result {
	yes, err := sc.all(s.When)
	if err != nil {
		return r.planFailure(err)
	}
	if !yes {
		return result{status: event.Skipped, text: "condition"}
	}
	return r.attempts(ctx, h, s, sc)
}

// attempts repeats until `until` holds, as often as `retries` says (3 times
// when it does not), `delay` seconds apart (5).
func (r *run) attempts(ctx context.Context, h *host, s *playbook.BoundStep, sc *scope) result {
	retries, delay := 0, 5*time.Second
	if len(s.Until) > 0 {
		retries = 3
	}
	if err := sc.number(s.Retries, func(n float64) { retries = int(n) }); err != nil {
		return r.planFailure(err)
	}
	if err := sc.number(s.Delay, func(n float64) { delay = time.Duration(n * float64(time.Second)) }); err != nil {
		return r.planFailure(err)
	}
	for try := 0; ; try++ {
		res := r.judged(ctx, h, s, sc)
		if r.opt.Check || isLost(res.err) || res.status == event.Skipped {
			return res
		}
		done, err := r.enough(s, sc, &res)
		if err != nil {
			return r.planFailure(err)
		}
		if done || try >= retries {
			if !done && len(s.Until) > 0 && res.status != event.Failed {
				res.status, res.err = event.Failed, fmt.Errorf("`until` did not hold after %d attempts", try+1)
			}
			return res
		}
		if err := r.pause(ctx, delay); err != nil {
			res.status, res.err = event.Failed, together(res.err, err)
			return res
		}
	}
}

// enough tells whether no further attempt is needed.
func (r *run) enough(s *playbook.BoundStep, sc *scope, res *result) (bool, error) {
	if len(s.Until) == 0 {
		return res.status != event.Failed || s.Retries == nil, nil
	}
	return sc.with(registerName(s), res.value()).all(s.Until)
}

func (r *run) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.opt.Stop:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// judged is one attempt, with changed_when and failed_when.
func (r *run) judged(ctx context.Context, h *host, s *playbook.BoundStep, sc *scope) result {
	it, err := r.prepare(ctx, h, s, sc)
	if err != nil {
		return r.planFailure(err)
	}
	res := it.once(ctx)
	res.hidden = it.hidden()
	if err := r.judge(s, sc, &res); err != nil {
		return r.planFailure(err)
	}
	return res
}

func (r *run) judge(s *playbook.BoundStep, sc *scope, res *result) error {
	if res.status == event.Unknown || isLost(res.err) || r.opt.Check && res.changed {
		return nil
	}
	sc = sc.with(registerName(s), res.value())
	if len(s.ChangedWhen) > 0 && res.status != event.Failed {
		yes, err := sc.all(s.ChangedWhen)
		if err != nil {
			return err
		}
		res.changed = yes
		if res.status != event.Partial {
			res.status = event.OK
			if yes {
				res.status = event.Changed
			}
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
		res.status, res.err = event.OK, nil
		if res.changed {
			res.status = event.Changed
		}
	}
	return nil
}

// isEngineFailure: what `failed_when` must not talk away, because the task did not do its work.
func isEngineFailure(err error) bool {
	var nc *NotConvergedError
	return errors.As(err, &nc) || errors.Is(err, errStopped) || errors.Is(err, context.DeadlineExceeded)
}

func registerName(s *playbook.BoundStep) string {
	if s.Register != "" {
		return s.Register
	}
	return "_result"
}

// settle draws the consequences of a step for its host: register, notify,
// counts, failed or lost, and the events.
func (r *run) settle(h *host, s *playbook.BoundStep, sc *scope, res *result) {
	if isLost(res.err) {
		r.lose(h, res.err)
		return
	}
	if res.status == event.Failed {
		if ignore, err := sc.flag(s.IgnoreErrors); err == nil && ignore {
			res.status = event.Ignored
		}
	}
	r.remember(h, s, res)
	r.count(h, res)
	if res.changed || res.status == event.Unknown {
		r.notify(h, s, sc, res)
	}
	r.emitResults(h, s, res)
	if res.status == event.Failed {
		h.failed = true
	}
}

// remember keeps what later steps may read.
func (r *run) remember(h *host, s *playbook.BoundStep, res *result) {
	for k, v := range res.facts {
		if res.hidden || vars.SecretName(k) {
			r.hide(v)
		}
		h.learn(k, v)
	}
	if res.hidden || s.Register != "" && vars.SecretName(s.Register) {
		r.hide(res.value())
	}
	if s.Register != "" {
		if r.opt.Check && !knowable(taskKind(s, res), res.changes, res) {
			h.cannotKnow(s.Register, s.Title())
		} else {
			h.learn(s.Register, res.value())
		}
	}
	if res.status == event.Unknown {
		// A step that cannot be planned yet may make anything; an opaque one has been foreseen.
		if o := h.overlay; !s.Def.Control && o.Opaque == "" && res.unknown != s.Title() {
			o.Opaque = res.unknown
		}
		for _, name := range s.Sets() {
			h.cannotKnow(name, s.Title())
		}
	}
}

// hide keeps every text in v out of what people and programs read from here on.
func (r *run) hide(v any) {
	for _, t := range vars.SecretTexts(v) {
		r.opt.Redactor.Add(t)
	}
}

func taskKind(s *playbook.BoundStep, res *result) task.Kind {
	for _, c := range res.changes {
		if c.Kind == "exec" || c.Kind == "transfer" {
			return task.Action
		}
	}
	return task.State
}
