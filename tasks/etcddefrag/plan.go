package etcddefrag

import (
	"fmt"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdroll"
)

const (
	mib      = 1 << 20
	askLimit = 30 * time.Second // for a member that is healthy to say something more
)

// planner is one plan being made.
type planner struct {
	p       Params
	c       *etcdroll.Cluster
	f       etcdroll.Findings
	left    map[string]string // by host
	nospace bool
}

// Plan goes through the members that are worth it.
func (defrag) Plan(in input) (task.Plan, error) {
	pl := &planner{left: map[string]string{}}
	var hosts []etcdroll.Host
	hosts, pl.p = etcdroll.Hosts(in, func(s State) etcdroll.State { return s.State })
	for _, h := range in.Hosts {
		pl.left[h.Target] = h.State.Left
	}
	pl.c = etcdroll.Gather(hosts, in.Now)
	pl.alarms()
	var turn []etcdroll.Host
	for _, h := range pl.c.Turn() {
		if pl.worth(h) {
			turn = append(turn, h)
			pl.may(h)
		}
	}
	pl.c.Judge(&pl.f, etcdroll.Limits{Spread: pl.p.Spread.Std(), Alarms: true}, turn)
	pl.c.Absent(&pl.f)
	if len(turn) > 0 {
		pl.bugs()
	}
	if pl.f.Failed() || len(turn) == 0 {
		return task.Plan{Findings: pl.f}, nil
	}
	return task.Plan{Findings: pl.f, Stages: pl.stages(turn)}, nil
}

// alarms refuses what a defragmentation makes worse.
func (pl *planner) alarms() {
	for _, a := range pl.c.Alarms() {
		text := fmt.Sprintf("alarm %s raised by %s", a.Kind, pl.c.Name(a.MemberID))
		switch {
		case a.Kind == "NOSPACE" && pl.p.Disarm:
			pl.nospace = true
			pl.f.Warn("", text+": all is compacted, every member defragmented, and the alarm taken back", "")
		case a.Kind == "NOSPACE":
			pl.f.Warn("", text+": it stays, and so do writes refused", "disarm: yes also compacts and takes the alarm back")
		default:
			pl.f.Fail(text, "replace this member from the healthy ones: dayops run builtin:etcd-replace.yml")
		}
	}
	if !pl.nospace {
		return
	}
	if n := len(pl.c.Turn()); n < len(pl.c.Members) {
		pl.f.Fail(fmt.Sprintf("the alarm can be taken back when every member has room: the play covers %d of %d", n, len(pl.c.Members)), "run it without --limit, on all etcd hosts")
	}
	if !pl.c.Version.HasHashKV() {
		pl.f.Fail(fmt.Sprintf("etcd %s does not tell whether it is compacted (3.3 does)", pl.c.Version), "compact by hand (etcdctl compaction REVISION), run this with always: yes, then etcdctl alarm disarm")
	}
}

// worth tells whether enough is unused.
func (pl *planner) worth(h etcdroll.Host) bool {
	st := h.State.Live.Status
	switch {
	case st == nil:
		return false
	case st.Learner: // it takes no such command
		return false
	case pl.p.Always || pl.nospace:
		return true
	case st.DBInUse <= 0:
		pl.f.Warn(h.Name, fmt.Sprintf("etcd %s does not tell how much of its database (%s) is unused: it is left", st.Version, etcd.Size(st.DBSize)), "always: yes defragments it")
		return false
	}
	return percent(*st) > pl.p.Percent && st.DBSize-st.DBInUse > int64(pl.p.MiB)*mib
}

// may refuses a member that would not come through.
func (pl *planner) may(h etcdroll.Host) {
	st, in := h.State.Live.Status, h.State.Instance
	// The new database is made beside the old one; out of room, versions before
	// 3.4.35 and 3.5.17 crash.
	const spare = 64 * mib
	need := st.DBSize
	if st.DBInUse > 0 && !pl.nospace {
		need = st.DBInUse
	}
	if need += need/10 + spare; h.State.Free >= 0 && h.State.Free < need {
		pl.f.Fail(fmt.Sprintf("%s has %s free at %s, the new database needs %s beside the old one", h.Name, etcd.Size(h.State.Free), reader.Printable(in.DataDir), etcd.Size(need)), "make room on the host first")
	}
	if left := pl.left[h.Name]; left != "" && !cleansUp(pl.c.Version) {
		pl.f.Fail(fmt.Sprintf("%s has %s of an earlier defragmentation that was cut short: etcd %s would mix it into the new database", h.Name, reader.Printable(left), pl.c.Version), "remove the file, or upgrade to 3.2.29, 3.3.19, 3.4.4 or later")
	}
}

// cleansUp tells versions that do not go on writing to the file that an earlier
// defragmentation left behind (etcd's fix 11613).
func cleansUp(v etcd.Version) bool {
	switch v.Line() {
	case "3.2":
		return v.AtLeast(3, 2, 29)
	case "3.3":
		return v.AtLeast(3, 3, 19)
	}
	return v.AtLeast(3, 4, 4)
}

// bugs warns of what the version gets wrong.
func (pl *planner) bugs() {
	if v := pl.c.Version; v.Line() == "3.5" && !v.AtLeast(3, 5, 6) {
		pl.f.Warn("", fmt.Sprintf("etcd %s: a member that crashes while it is defragmented comes back with other revisions than the rest (14685, fixed in 3.5.6)", v), "upgrade first; if one does crash, compare the hashes: dayops run etcd-health.yml")
	}
}

func (pl *planner) stages(turn []etcdroll.Host) []task.Stage {
	var out []task.Stage
	if pl.nospace {
		out = append(out, task.Stage{Name: "compact", Steps: pl.compact(turn[0])})
	}
	one := task.Stage{Name: "defragment one member after the other", Window: 1}
	for _, h := range turn {
		one.Steps = append(one.Steps, pl.part(h)...)
	}
	out = append(out, one)
	if pl.nospace {
		out = append(out, task.Stage{Name: "take the alarm back", Steps: pl.disarm(turn[0])})
	}
	return out
}

// part is one member's.
func (pl *planner) part(h etcdroll.Host) []task.Step {
	in, limit := h.State.Instance, pl.p.Healthy.Std()
	size := change.Query{Argv: in.Ctl.Status(in.Endpoint), Field: sizeField}
	small := size
	small.AtMost = middle(*h.State.Live.Status)
	steps := pl.c.MoveLeader(h)
	steps = append(steps, &change.Exec{
		Argv: in.Ctl.Defrag(in.Endpoint), Login: in.Ctl.Login(), Limit: etcd.DefragLimit + time.Minute, Class: change.Disruptive,
		Done:    &change.Probe{Find: &small},
		Purpose: fmt.Sprintf("defragment %s (%s)", in.Name, unused(State{State: h.State})),
	}, pl.c.Back(h, limit))
	quiet := change.Query{Argv: in.Ctl.Alarms(in.Endpoint), List: "alarms", What: "an alarm"}
	if len(pl.c.Alarms()) > 0 {
		quiet.Key, quiet.Value, quiet.What = "alarm", "2", "an alarm CORRUPT"
	}
	steps = append(steps,
		&change.Wait{Find: &quiet, Gone: true, Limit: askLimit, What: "no new alarm"},
		&change.Wait{Find: &size, Limit: askLimit, What: "the new size of " + in.Name})
	return etcdroll.Steps(h.Name, steps...)
}

// middle is a size that the database has only once it is defragmented: half of
// what is unused is gone. It is rounded, so that a plan made a moment later says the same.
func middle(st etcd.Status) int64 {
	const parts = 4
	free := max(0, st.DBSize-st.DBInUse)
	grain := int64(1)
	for grain*2 <= free/parts {
		grain *= 2
	}
	return max(1, (st.DBSize-free/2)/grain*grain)
}

func (pl *planner) compact(h etcdroll.Host) []task.Step {
	in, rev := h.State.Instance, int64(0)
	for _, x := range pl.c.Hosts {
		if st := x.State.Live.Status; st != nil {
			rev = max(rev, st.Revision)
		}
	}
	done := change.Query{Argv: in.Ctl.HashKV(in.Endpoint, 0), Key: "HashKV.compact_revision", Value: fmt.Sprint(rev)}
	return etcdroll.Steps(h.Name, &change.Exec{
		Argv: in.Ctl.Compact(in.Endpoint, rev), Login: in.Ctl.Login(), Limit: etcd.DefragLimit + time.Minute, Class: change.Disruptive,
		Done: &change.Probe{Find: &done}, Purpose: fmt.Sprintf("compact all that is before revision %d", rev),
	})
}

func (pl *planner) disarm(h etcdroll.Host) []task.Step {
	in := h.State.Instance
	alarm := change.Query{Argv: in.Ctl.Alarms(in.Endpoint), List: "alarms", Key: "alarm", Value: "1", What: "the alarm NOSPACE"}
	return etcdroll.Steps(h.Name, &change.Exec{
		Argv: in.Ctl.Disarm(in.Endpoint), Login: in.Ctl.Login(), Limit: time.Minute, Done: &change.Probe{Find: &alarm, Absent: true}, Purpose: "take the alarm NOSPACE back",
	}, &change.Wait{Find: &alarm, Gone: true, Limit: askLimit, What: "the alarm NOSPACE to be gone"}, in.Healthy(pl.p.Healthy.Std()))
}
