package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// controlWait is how long the lock of this machine is waited for, when a plan
// only has to note something here at its end: runs over other clusters have it
// for as long as they take.
const controlWait = 15 * time.Minute

// controlMachine is this machine as a member of a cluster task, where the plan
// names it and no member has its name; nil elsewhere. It is changed as the
// account that dayops runs as.
func (r *run) controlMachine(ctx context.Context, s *playbook.BoundStep, plan task.Plan, members []*member) (*member, error) {
	const name = task.ControlMachine
	if memberNamed(members, name) != nil || !slices.ContainsFunc(plan.Changes(), func(st task.Step) bool {
		t, ok := st.Change.(*change.Transfer)
		return st.Host == name || ok && t.FromPeer == name
	}) {
		return nil, nil
	}
	t, err := r.target(name)
	if err != nil {
		return nil, err
	}
	if t.Kind != "local" {
		return nil, fmt.Errorf("%s of the inventory is reached by %s: it is not this machine, which this step has to change: give it ansible_connection: local", name, t.Kind)
	}
	l, err := r.pool.dial(ctx, t)
	if err != nil {
		return nil, err
	}
	h := r.host(name)
	if r.holds != nil { // a look ahead holds nothing
		if err := r.holds.patient(ctx, holdKey{name, ""}, controlWait); err != nil {
			return nil, err
		}
	}
	m := &member{h: h, ours: true, in: task.AnyInput{Host: name, Target: name}}
	m.it = &item{r: r, h: h, s: s, sc: r.scope(h, s), target: name, link: l, conn: l.conn, base: reader.New(l.conn, "")}
	if i := slices.IndexFunc(members, func(m *member) bool { return m.it != nil && m.it.params != nil }); i >= 0 {
		m.it.params = members[i].it.params
	}
	return m, nil
}
