package etcdcerts

import (
	"io/fs"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/internal/etcdroll"
)

// request is for what takes a pair's place.
func (pl *planner) request(h etcdroll.Host, p Pair) etcdca.Request {
	return etcdca.Request{Use: p.Use, CN: p.Cert.Certs[0].CN, Names: names(pl.states[h.Name], p.Cert, h.Facts), Into: pl.into(h)}
}

// into is where a member's new files are made.
func (pl *planner) into(h etcdroll.Host) string {
	return pl.states[pl.ca].Authority.Into(h.Name, pl.now)
}

// plan signs everything first, so that a failure there leaves the members alone.
func (pl *planner) plan(turn []etcdroll.Host, expired bool) task.Plan {
	plan := task.Plan{Findings: pl.f}
	sign := task.Stage{Name: "sign the new certificates"}
	for _, h := range turn {
		into := pl.into(h)
		sign.Steps = append(sign.Steps, etcdroll.Steps(pl.ca, etcdca.Prepare(into))...)
		for _, p := range due(pl.states[h.Name], pl.p, pl.now) {
			sign.Steps = append(sign.Steps, etcdroll.Steps(pl.ca, pl.states[pl.ca].Authority.Sign(pl.request(h, p)))...)
		}
		plan.Finally = append(plan.Finally, pl.c.Again(h, pl.p.Healthy.Std())...)
		plan.Finally = append(plan.Finally, etcdroll.Steps(pl.ca, etcdca.Clear(into))...)
	}
	plan.Stages = []task.Stage{sign}
	if expired {
		plan.Stages = append(plan.Stages, pl.atOnce(turn)...)
		return plan
	}
	one := task.Stage{Name: "bring them in, one member after the other", Window: 1}
	for _, h := range turn {
		one.Steps = append(one.Steps, etcdroll.Steps(h.Name, pl.bring(h)...)...)
		one.Steps = append(one.Steps, pl.c.Restart(h, pl.p.Healthy.Std())...)
	}
	plan.Stages = append(plan.Stages, one)
	return plan
}

// atOnce is for members that refuse one another: each needs the others' new
// certificates before it can be healthy.
func (pl *planner) atOnce(turn []etcdroll.Host) []task.Stage {
	bring, restart, healthy := task.Stage{Name: "bring them in"}, task.Stage{Name: "restart the members"}, task.Stage{Name: "healthy again"}
	for _, h := range turn {
		bring.Steps = append(bring.Steps, etcdroll.Steps(h.Name, pl.bring(h)...)...)
		restart.Steps = append(restart.Steps, etcdroll.Steps(h.Name, h.State.Instance.Restart()...)...)
		healthy.Steps = append(healthy.Steps, etcdroll.Steps(h.Name, pl.c.Back(h, pl.p.Healthy.Std()))...)
	}
	return []task.Stage{bring, restart, healthy}
}

// bring puts a member's new files in their places: the keys first. etcd reads
// them at the next handshake, and all of them at its restart.
func (pl *planner) bring(h etcdroll.Host) (out []change.Change) {
	for _, p := range due(pl.states[h.Name], pl.p, pl.now) {
		q := pl.request(h, p)
		const others = fs.FileMode(0o007)
		out = append(out, etcdca.Bring(pl.ca, q.Key(), p.Key, attr(p.Key, p.Key.Mode&^others)), etcdca.Bring(pl.ca, q.Cert(), p.Cert.File, attr(p.Cert.File, p.Cert.File.Mode)))
	}
	return out
}

func attr(f reader.File, mode fs.FileMode) change.Attr {
	return change.Attr{Mode: &mode, Owner: f.Owner, Group: f.Group}
}
