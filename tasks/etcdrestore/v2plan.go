package etcdrestore

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdmember"
)

// From v2 and v3 data one member begins as a cluster of one (PROCEDURES 4.3): a
// copy of the v2 store can do no more. The others are added to it, empty.

const (
	memberLimit  = 2 * time.Minute
	snapshotting = time.Minute
	rehearsing   = 5 * time.Minute  // of an etcd that reads a whole database
	counting     = 15 * time.Minute // six lists of 60 s, twice
	proving      = 2 * time.Minute  // for the rest of a command that waits
)

// v2stages are those of a set with v2 data. Taken up again, a member that has begun
// alone begins so no second time: who has joined it since would be lost.
func (p *planner) v2stages() []task.Stage {
	first, others := p.members[0], p.members[1:]
	on := func(m *member, list []change.Change) []task.Step {
		var out []task.Step
		for _, c := range list {
			out = append(out, task.Step{Host: m.Target, Change: c})
		}
		return out
	}
	todo := func(of func(*member) []change.Change) []task.Step {
		return p.steps(func(m *member) []change.Change {
			if m.placed {
				return nil
			}
			return of(m)
		})
	}
	forced := first.placed && first.State.Places.Forced
	all := []task.Stage{
		{Name: "bring v2 and v3 data to " + first.Target, Steps: todo(p.v2upload)},
		{Name: "rehearse: begin a cluster of one from them, beside the running data", Steps: todo(p.v2rehearsed)},
		{Name: "stop API servers and controllers", Steps: p.controls(Service.stop)},
	}
	if !forced {
		all = append(all,
			task.Stage{Name: "stop all members", Steps: p.steps(stopped)},
			task.Stage{Name: "put the restored data in place", Steps: todo(p.v2placed)},
			task.Stage{Name: "start " + first.in.Name + " alone", Steps: on(first, p.alone(first))},
		)
	}
	all = append(all,
		task.Stage{Name: "start " + first.in.Name + " as usual", Steps: on(first, p.usual(first))},
		task.Stage{Name: "correct its peer URL", Steps: on(first, []change.Change{p.corrected(first)})},
	)
	for i, m := range others {
		all = append(all,
			task.Stage{Name: "add " + m.in.Name, Steps: on(first, []change.Change{p.added(first, m)})},
			task.Stage{Name: "start " + m.in.Name, Steps: on(m, reloading(m.in.StartTogether()))},
		)
		if learner(m) {
			all = append(all, task.Stage{Name: "promote " + m.in.Name, Steps: on(first, []change.Change{p.promoted(first, m)})})
		}
		all = append(all, task.Stage{Name: fmt.Sprintf("%s is healthy, %d of %d", m.in.Name, i+2, len(p.members)),
			Steps: on(m, p.free(m))})
	}
	return filled(append(all,
		task.Stage{Name: "every member is healthy", Steps: p.steps(func(m *member) []change.Change { return []change.Change{m.in.Healthy(p.within())} })},
		task.Stage{Name: "the members are those of the plan", Steps: p.steps(p.listed)},
		task.Stage{Name: "no v2 key is missing", Steps: p.steps(p.counted)},
		task.Stage{Name: "start API servers and controllers", Steps: p.controls(Service.start)},
	))
}

func (p *planner) within() time.Duration { return p.params.HealthyWithin.Std() }

func (p *planner) first(m *member) bool { return m == p.members[0] }

// v2upload brings the data to the first member; the others need the folder alone.
func (p *planner) v2upload(m *member) []change.Change {
	out := p.folders(m)
	if !p.first(m) {
		return out
	}
	known, src, fit := p.known, p.src, m.State.Fitted
	content := func(made Made, which func(*files) *os.File) change.Content {
		return change.Content{Size: made.Size, SHA256: made.SHA256, Open: func() (io.ReadCloser, error) { return known.open(src, fit.Bump, which) }}
	}
	return append(out,
		m.bring(v2Name, content(fit.V2, func(f *files) *os.File { return f.v2 })),
		m.bring("db", content(fit.DB, func(f *files) *os.File { return f.db })))
}

// v2rehearsed makes the data folders; on the first member etcd is started on a copy.
func (p *planner) v2rehearsed(m *member) []change.Change {
	if !p.first(m) {
		return []change.Change{&change.Exec{
			Argv: shell(emptyScript, m.dressed(p)...), Limit: restoreLimit, Staging: true, Done: &change.Probe{Path: m.staging + "/data"},
			Purpose: "make an empty data folder in " + m.staging,
		}}
	}
	words := []string{m.staging, cmp.Or(m.in.Program, "etcd"), strconv.Itoa(int(rehearsing / time.Second)),
		strconv.FormatInt(p.src.Revision+m.State.Fitted.Bump, 10), p.v2keys(), "--quota-backend-bytes", strconv.FormatInt(m.in.Quota, 10)}
	leads := "until it leads and has revision " + words[3]
	if words[4] != "" {
		leads += " and " + words[4] + " v2 keys, or more"
	}
	if m.toolVersion().AtLeast(3, 4, 0) {
		words = append(words, "--enable-v2")
	}
	return []change.Change{
		&change.Exec{
			Argv: shell(unpackScript, m.dressed(p)...), Limit: restoreLimit, Staging: true, Done: &change.Probe{Path: m.staging + "/data"},
			Purpose: "put v2 and v3 data together in " + m.staging,
		},
		&change.Exec{
			Argv: append(append([]string{}, m.in.Ctl.Wrap...), shell(rehearseScript, words...)...), Limit: rehearsing + proving, Staging: true,
			Done: &change.Probe{Path: m.staging + "/rehearsed"}, Purpose: "start etcd there on a copy, behind a socket of its own, " + leads,
		},
	}
}

// v2keys is how many keys the v2 store must list; "" where that is not known.
func (p *planner) v2keys() string {
	if p.src.V2.Keys < 0 {
		return ""
	}
	return strconv.FormatInt(p.src.V2.Keys, 10)
}

// counted compares a member's v2 keys with the backup, before API servers and
// controllers are there to change them.
func (p *planner) counted(m *member) []change.Change {
	keys := p.v2keys()
	if keys == "" {
		return nil
	}
	mark := m.in.DataDir + "/member/" + countedMark + p.tag
	return []change.Change{&change.Exec{
		Argv: shell(countScript, append([]string{keys, mark}, m.in.Ctl.V2Words(m.in.Endpoint, strings.Fields(listWords)...)...)...),
		Done: &change.Probe{Path: mark}, Limit: counting, Class: change.Safe, Purpose: "count the v2 keys of " + m.in.Name + ": " + keys + " at least", Undo: stays(mark),
	}}
}

// v2placed puts the data in place. Members without data are told first that they
// are to join a cluster: started by anybody, they never begin one.
func (p *planner) v2placed(m *member) []change.Change {
	if p.first(m) {
		return []change.Change{m.place(p)}
	}
	out := m.State.Hold.on("the member joins the one whose data were restored", "ETCD_INITIAL_CLUSTER_STATE=existing",
		"ETCD_INITIAL_CLUSTER="+p.upTo(m), "ETCD_INITIAL_ADVERTISE_PEER_URLS="+strings.Join(m.peers, ","))
	out = append(out, reloading(m.in.StopTogether())...)
	return append(append(out, m.in.Gone(goneLimit)), m.place(p))
}

// upTo is the list of members that m is told, itself last.
func (p *planner) upTo(m *member) string {
	var all []string
	for _, x := range p.members {
		for _, u := range x.peers {
			all = append(all, x.in.Name+"="+u)
		}
		if x == m {
			break
		}
	}
	return strings.Join(all, ",")
}

// alone starts the member as a cluster of one, and notes that it was. Raft's
// snapshot is made meanwhile: the copy's log has nothing of v3, and a member that
// got that instead of a snapshot would have no v3 keys.
func (p *planner) alone(m *member) []change.Change {
	mark := m.in.DataDir + "/member/" + forcedMark + p.tag
	out := append(m.State.Hold.on("the member begins a cluster of one from its restored data", "ETCD_FORCE_NEW_CLUSTER=true", "ETCD_SNAPSHOT_COUNT=1"), reloading(m.in.StartTogether())...)
	return append(out, m.in.Healthy(p.within()), m.has(p.src.Revision+m.State.Fitted.Bump), &change.Exec{
		Argv: shell(begunScript, m.in.DataDir+"/member/snap", fmt.Sprintf("%016x", p.src.V2.Copy.Last), strconv.Itoa(int(snapshotting/time.Second)), mark),
		Done: &change.Probe{Path: mark}, Limit: snapshotting + proving, Class: change.Safe, Purpose: "wait until it has put all of its log into a snapshot", Undo: stays(mark),
	})
}

// has waits until the member has the revision, or a higher one.
func (m *member) has(revision int64) *change.Wait {
	return &change.Wait{Argv: m.in.Ctl.Status(m.in.Endpoint), Match: `"revision":(` + atLeast(revision) + `)[,}]`, Limit: statusLimit,
		What: fmt.Sprintf("%s to have revision %d", m.in.Name, revision)}
}

// atLeast is a regular expression for the numbers from n on.
func atLeast(n int64) string {
	digits := strconv.FormatInt(max(n, 1), 10)
	out := []string{digits, fmt.Sprintf("[1-9][0-9]{%d,}", len(digits))}
	for i, d := range digits {
		if d < '9' {
			out = append(out, fmt.Sprintf("%s[%c-9][0-9]{%d}", digits[:i], d+1, len(digits)-i-1))
		}
	}
	return strings.Join(out, "|")
}

// usual starts the member without being forced.
func (p *planner) usual(m *member) []change.Change {
	out := append(m.State.Hold.off(), reloading(m.in.StopTogether())...)
	out = append(append(out, m.in.Gone(goneLimit)), m.in.StartTogether()...)
	return append(out, m.in.Healthy(p.within()))
}

// free takes away what told a member to join; daemon-reload alone has no opposite
// by which a run that is taken up would know that it is needed again.
func (p *planner) free(m *member) []change.Change {
	out := append([]change.Change{m.in.Healthy(p.within()), m.has(p.src.Revision + p.members[0].State.Fitted.Bump)}, m.State.Hold.off()...)
	return append(out, reloading(m.in.StartTogether())...)
}

// stays takes nothing back: what is below the restored data goes with them.
func stays(path string) []*change.Exec {
	return []*change.Exec{{Argv: []string{"true"}, Done: &change.Probe{Path: path}, Purpose: "nothing: the member list goes with the restored data"}}
}

// at finds a member by its peer URL.
func (p *planner) at(first, m *member) change.Query {
	return change.Query{Argv: first.in.Ctl.MemberList(first.in.Endpoint), List: "members", Key: "peerURLs", Value: m.peers[0], What: "member " + m.in.Name}
}

// corrected gives the first member its peer URL: it has begun with localhost, or
// with one that says how it was made.
func (p *planner) corrected(m *member) change.Change {
	there := p.at(m, m)
	id := change.Query{Argv: there.Argv, List: "members", Field: "ID", Hex: true, What: "the ID of " + m.in.Name}
	return &change.Exec{
		Argv: m.in.Ctl.MemberUpdate(m.in.Endpoint, "{member}", m.peers...), Login: m.in.Ctl.Login(), Words: map[string]change.Query{"member": id},
		Limit: memberLimit, Class: change.Disruptive, Again: etcdmember.NotYet, AgainFor: etcdmember.NotYetLimit,
		Done: &change.Probe{Find: &there}, Purpose: "member update " + m.in.Name + " " + strings.Join(m.peers, ","), Undo: stays(m.in.DataDir),
	}
}

// learner: where the version has learners, a member gets its vote when it has the data.
func learner(m *member) bool { return m.toolVersion().HasLearners() }

func (p *planner) added(first, m *member) change.Change {
	there := p.at(first, m)
	return &change.Exec{
		Argv: first.in.Ctl.MemberAdd(first.in.Endpoint, m.in.Name, strings.Join(m.peers, ","), learner(m)), Login: first.in.Ctl.Login(),
		Limit: memberLimit, Class: change.Disruptive, Again: etcdmember.NotYet, AgainFor: etcdmember.NotYetLimit,
		Done: &change.Probe{Find: &there}, Purpose: "member add " + m.in.Name + " " + strings.Join(m.peers, ","), Undo: stays(first.in.DataDir),
	}
}

func (p *planner) promoted(first, m *member) change.Change {
	id, vote := p.at(first, m), p.at(first, m)
	id.Field, id.Hex, vote.Field = "ID", true, "isLearner"
	var leaders []string // the leader alone promotes
	for _, x := range p.members {
		if x == m {
			break
		}
		leaders = append(leaders, x.in.Endpoint)
	}
	argv, limit := etcdmember.Retry(p.within(), leaders, etcdmember.Promoted, first.in.Ctl.MemberPromote(etcdmember.Anywhere, "{member}"))
	return &change.Exec{
		Argv: argv, Login: first.in.Ctl.Login(), Words: map[string]change.Query{"member": id}, Limit: limit, Class: change.Disruptive,
		Done: &change.Probe{Find: &vote, Is: "false"}, Purpose: "member promote " + m.in.Name + " as soon as it has caught up", Undo: stays(first.in.DataDir),
	}
}

// v2finally also has the first member never forced again. The others keep what
// tells them to join, until they have.
func (p *planner) v2finally() []task.Step {
	return p.finish(func(m *member) []change.Change {
		var out []change.Change
		if p.first(m) {
			out = append(m.State.Hold.off(), &change.Unit{DaemonReload: true})
		}
		if m.ran() {
			out = append(append(out, m.mend(p)), reloading(m.backUp(p))...)
		}
		return out
	})
}

// v2judge looks for reasons against a set with v2 data, on a member.
func (p *planner) v2judge(m *member) {
	alone := "from: " + p.src.Path + " restores the v3 data alone"
	v := m.toolVersion()
	if s := m.server(); s.Known() {
		v = s
	}
	var told []string
	for _, name := range []string{"ETCD_FORCE_NEW_CLUSTER", "ETCD_INITIAL_CLUSTER", "ETCD_INITIAL_CLUSTER_STATE", "ETCD_INITIAL_ADVERTISE_PEER_URLS"} {
		if _, ok := m.in.Options[name]; ok && (!p.first(m) || name == "ETCD_FORCE_NEW_CLUSTER") {
			told = append(told, "--"+strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, "ETCD_"), "_", "-")))
		}
	}
	switch {
	case v.AtLeast(3, 6, 0):
		p.fail(m.Target, fmt.Sprintf("etcd %s has no v2 store, and the set has v2 data", v), alone)
	case !m.in.ServesV2(v):
		p.fail(m.Target, "etcd does not serve the v2 API here, and the set has v2 data", "set ETCD_ENABLE_V2=true on all members; "+alone)
	case m.in.Runtime != etcd.UnitRuntime:
		p.fail(m.Target, fmt.Sprintf("etcd runs as a %s: dayops cannot have it begin as a cluster of one (--force-new-cluster) there, as v2 data need", m.in.Runtime),
			"restore them by hand, or run etcd as a unit for the restore; "+alone)
	case m.in.YAML != "":
		p.fail(m.Target, "etcd reads its settings from "+m.in.YAML+" alone: dayops cannot have it begin as a cluster of one", "give them by the unit's environment; "+alone)
	case len(told) > 0:
		p.fail(m.Target, fmt.Sprintf("%s has %s in its command line, where no other setting counts", m.in.Unit, strings.Join(told, " ")), "give them by the unit's EnvironmentFile; "+alone)
	}
	if !plainName.MatchString(m.in.Name) {
		p.fail(m.Target, fmt.Sprintf("the member's name %q is not of letters, digits, dots, dashes and underscores", m.in.Name), "set ETCD_NAME")
	}
	if p.first(m) && m.State.Fitted.Problem != "" {
		p.fail("", m.State.Fitted.Problem, "make room there, or set TMPDIR to a folder that has it")
	}
}

// v2Room is what the data need on a member: on the first one the archive, what is
// unpacked, the database, both once more for the rehearsal, and a WAL.
func (p *planner) v2Room(m *member) (need int64, why string) {
	const wal = 128 << 20
	if !p.first(m) {
		return p.src.Size + wal, "the size of the snapshot, and 128 MiB"
	}
	return 4*p.src.Size + m.State.Fitted.V2.Size + 2*p.src.V2.Copy.Size + wal, "four times the snapshot, twice the v2 data, and 128 MiB"
}
