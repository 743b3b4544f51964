package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/vars"
)

// hostStep runs a host task on one host: loop, condition, retries.
func (r *run) hostStep(ctx context.Context, h *host, s *playbook.BoundStep) result {
	return guarded(func() result {
		sc := r.scope(h, s)
		if s.Loop == nil {
			return r.conditioned(ctx, h, s, sc)
		}
		values, err := sc.list(s.Loop)
		if err != nil {
			res := r.noLoop(s, sc, err)
			res.hidden = sc.hidden()
			return res
		}
		return r.loop(ctx, h, s, sc, values)
	})
}

// PanicError: a task or a connection has a mistake of its own. It is the
// failure of the host on which it showed, not of the run.
type PanicError struct{ Value any }

func (e *PanicError) Error() string { return fmt.Sprintf("unexpected: panic: %v", e.Value) }

func guarded(f func() result) (res result) {
	defer func() {
		if p := recover(); p != nil {
			res = failure(&PanicError{p})
		}
	}()
	return f()
}

// noLoop: the loop has no values. That is no failure where the condition is
// false whatever the item, as in "loop: r.results, when: r is not skipped".
func (r *run) noLoop(s *playbook.BoundStep, sc *scope, err error) result {
	if yes, werr := sc.all(s.When); werr == nil && !yes {
		return result{status: event.Skipped, text: "condition"}
	}
	return r.planFailure(err)
}

func (r *run) loop(ctx context.Context, h *host, s *playbook.BoundStep, sc *scope, values []any) result {
	items := []result{}
	for i, v := range values {
		if r.stopped() || ctx.Err() != nil {
			r.emit(event.Event{Kind: event.Note, Status: event.Warn, Play: r.play.Title(), Host: h.name(), Step: s.Title(),
				Text: fmt.Sprintf("interrupted: %d of %d items of the loop are done", i, len(values))})
			break
		}
		for _, t := range vars.Secrets(map[string]any{s.LoopVar: v}) {
			r.opt.Redactor.Add(t)
		}
		one := r.conditioned(ctx, h, s, sc.item(i, v))
		one.item, one.loopVar, one.value = r.itemText(v), s.LoopVar, v
		items = append(items, one)
		// An item after a lost connection can only fail the same way.
		if isLost(one.err) {
			break
		}
	}
	return merge(items)
}

// itemText is how a loop's value is shown: text, or JSON. Secrets go before it
// is cut: half of one would not be known again.
func (r *run) itemText(v any) string {
	text, ok := v.(string)
	if !ok {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			fmt.Fprint(&b, v)
		}
		text = strings.TrimRight(b.String(), "\n")
	}
	text = r.opt.Redactor.Redact(text)
	if runes := []rune(text); len(runes) > 80 {
		text = string(runes[:79]) + "…"
	}
	return text
}

// conditioned is one host, or one item of its loop.
func (r *run) conditioned(ctx context.Context, h *host, s *playbook.BoundStep, sc *scope) result {
	if res, ok := r.recall(sc.at); ok {
		return res
	}
	back := r.tookBack(sc.at)
	res := guarded(func() result {
		if back != nil {
			return failure(back)
		}
		yes, err := sc.all(s.When)
		if err != nil {
			return r.planFailure(err)
		}
		if !yes {
			return result{status: event.Skipped, text: "condition"}
		}
		return r.attempts(ctx, h, s, sc)
	})
	res.hidden = sc.hidden()
	r.cloud(ctx, h, s, &res)
	r.keep(sc.at, &res)
	return res
}

// cloud: nobody knows what a step that cannot be planned yet leaves on its
// target, so what later steps do not find there may be there by then. An
// opaque step has been foreseen.
func (r *run) cloud(ctx context.Context, h *host, s *playbook.BoundStep, res *result) {
	if res.status != event.Unknown || s.Def.Control || s.ChangesNothing() || res.unknown == s.Title() {
		return
	}
	target := h.name()
	if res.target != "" {
		target = res.target
	}
	release, err := r.pool.link(target).take(ctx, nil)
	if err != nil {
		return
	}
	defer release()
	th := r.host(target)
	th.mu.Lock()
	defer th.mu.Unlock()
	if th.overlay.Opaque == "" {
		th.overlay.Opaque = res.unknown
	}
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
	repeats := len(s.Until) > 0 || s.Retries != nil
	for try := 1; ; try++ {
		if repeats {
			sc = sc.tried(try)
		}
		res := r.judged(ctx, h, s, sc)
		if r.opt.Check || isLost(res.err) || !repeats {
			return res
		}
		res.attempts = try
		done, err := r.enough(s, sc, &res)
		if err != nil {
			r.spoil(&res, err)
			return res
		}
		if done || try > retries {
			if !done && len(s.Until) > 0 && res.status != event.Failed {
				res.status, res.err = event.Failed, fmt.Errorf("`until` did not hold after %d attempts", try)
			}
			return res
		}
		r.emit(event.Event{Kind: event.Note, Play: r.play.Title(), Host: h.name(), Step: s.Title(), StepID: s.ID,
			Text: fmt.Sprintf("not yet; the next of %d more attempts is in %s", retries-try+1, delay)})
		if err := r.pause(ctx, delay); err != nil {
			res.status, res.err = event.Failed, together(res.err, err)
			return res
		}
	}
}

// tried is the scope of one attempt.
func (sc *scope) tried(n int) *scope {
	c := *sc
	c.at.Try = n
	return &c
}

// enough tells whether no further attempt is needed.
func (r *run) enough(s *playbook.BoundStep, sc *scope, res *result) (bool, error) {
	if len(s.Until) == 0 {
		return res.status != event.Failed, nil
	}
	return sc.with(registerName(s), res.registered()).all(s.Until)
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
