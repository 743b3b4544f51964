package etcdgate

import (
	"context"
	"time"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// watch waits for a member that was put at risk.
type watch struct {
	g      *Gate
	c      engine.Claim
	member etcd.Member
	e      effect
	within time.Duration // not 0: until the member was seen to go, at most
	was    mark          // it, then
	going  bool          // the host goes down after the command has ended
	boot   string        // id before
	left   bool          // it was seen to be down since
}

// wait returns when the member is healthy again, when it is stopped for good, or
// after healLimit; a host that was told to go down and does not, after leaveLimit.
// A member that is to go some time after the change is waited for before that.
func (w *watch) wait() {
	limit := healLimit
	if w.going && w.e.power == halts {
		limit = leaveLimit
	}
	if w.within > 0 && !w.goes(context.Background()) {
		return // it stays marked: it may still go
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if w.e.later && w.within == 0 && !pause(ctx, settle) {
		return
	}
	leave := time.NewTimer(leaveLimit)
	defer leave.Stop()
	for {
		if w.over(ctx) {
			return
		}
		select {
		case <-leave.C:
			if w.going && !w.left {
				return // it stays marked: it may still go
			}
		default:
		}
		if !pause(ctx, pulse) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// over tells whether there is nothing to wait for any more.
func (w *watch) over(ctx context.Context) bool {
	in, ok, err := find(ctx, w.c, w.c.Host)
	if err == nil && !w.going {
		if !ok || in.Down() && !waking(in) { // stopped, or failed: not soon
			return w.within == 0 || w.e.power == halts || in.Service.ActiveState == "failed"
		}
		v, err := count(ctx, w.c, w.c.Host, in)
		return err == nil && well(v, w.member.ID)
	}
	if err == nil && w.going {
		id := bootID(ctx, w.c)
		w.left = w.left || id != "" && id != w.boot
		if !w.left {
			return false
		}
		if v, err := count(ctx, w.c, w.c.Host, in); err == nil && well(v, w.member.ID) {
			w.g.unmark(w.c.Host)
			return true
		}
		return false
	}
	healthy, heard := w.fromOthers(ctx)
	if !heard {
		return false
	}
	if w.left = w.left || !healthy; w.going && w.e.power == halts {
		return w.left
	}
	if healthy && (w.left || !w.going) {
		w.g.unmark(w.c.Host)
		return true
	}
	return false
}

// well tells that the member sees a leader and has caught up.
func well(v etcd.Votes, id uint64) bool {
	for _, m := range v.Members {
		if m.ID == id {
			return v.Own != nil && v.Own.Leader != 0 && m.Healthy
		}
	}
	return v.Own != nil && v.Own.Leader != 0 && len(v.Members) > 0 // it is no member any more
}

// fromOthers asks the other members about one whose host does not answer us.
func (w *watch) fromOthers(ctx context.Context) (healthy, heard bool) {
	for _, h := range others(w.c) {
		if said, ok, err := w.g.ask(ctx, w.c, h); err == nil && ok && said.v.Quorate() {
			return answers(said.v, w.member.ID), true
		}
	}
	return false, false
}

// answers is another member's word; who is no member any more is not waited for.
func answers(v etcd.Votes, id uint64) bool {
	for _, m := range v.Members {
		if m.ID == id {
			return m.Healthy
		}
	}
	return true
}
