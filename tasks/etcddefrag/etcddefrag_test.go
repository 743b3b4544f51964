package etcddefrag

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdroll/rolltest"
	"github.com/dayops/dayops/tasks/tasktest"
)

var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func decode(t *testing.T, text string) Params {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	return p.(Params)
}

// wasteful is a cluster of which 300 of 400 MiB are unused everywhere.
func wasteful(t *testing.T, n int, params string) []host {
	var out []host
	for _, s := range rolltest.Healthy(n, now) {
		s.Live.Status.DBSize, s.Live.Status.DBInUse = 400*mib, 100*mib
		out = append(out, host{Groups: []string{"etcd"}, Input: task.Input[Params, State]{Host: s.Instance.Name, Target: s.Instance.Name,
			Params: decode(t, params), State: State{State: s}, Facts: facts.Host{Clock: now}}})
	}
	return out
}

func version(v string) func([]host) {
	return func(h []host) {
		for i := range h {
			h[i].State.Live.Status.Version = v
		}
	}
}

func alarm(kind string) func([]host) {
	return func(h []host) {
		for i := range h {
			h[i].State.Live.Alarms = []etcd.Alarm{{MemberID: 1, Kind: kind}}
		}
	}
}

func TestPlans(t *testing.T) {
	part := func(name, wait, quiet string) []string {
		return []string{name + ": defragment " + name + " (400 MiB, 75% unused)", name + ": wait for etcd member " + name + " to " + wait + ", at most 5m0s",
			name + ": wait for no new alarm, at most 30s", name + ": wait for the new size of " + name + ", at most 30s"}
	}
	all := func(parts ...[]string) (out []string) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	well := func(name string) []string { return part(name, "be healthy", "") }
	moved := []string{"b: move the leadership from b to a"}
	for _, c := range []struct {
		name, params string
		n            int
		make         func(h []host)
		steps, said  []string
	}{
		{"three", "{}", 3, nil, all(well("a"), well("c"), moved, well("b")), nil},
		{"one is worth it", "{}", 3, func(h []host) { h[0].State.Live.Status.DBInUse, h[1].State.Live.Status.DBInUse = 390*mib, 390*mib }, well("c"), nil},
		{"much of little", "{}", 1, func(h []host) { h[0].State.Live.Status.DBSize, h[0].State.Live.Status.DBInUse = 90*mib, mib }, nil, nil},
		{"little of much", "{}", 1, func(h []host) { h[0].State.Live.Status.DBInUse = 290 * mib }, nil, nil},
		{"other limits", "{unused_percent: 80}", 1, nil, nil, nil},
		{"a single one", "{}", 1, nil, well("a"), []string{"warn the only voter answers nobody while it is defragmented: nothing can be read or written then"}},
		{"two", "{}", 2, nil, nil, []string{"fail 2 voters, 2 healthy; stopping a leaves 1, 2 are needed"}},
		{"one down", "{}", 3, func(h []host) { rolltest.Down(&h[2].State.State) }, nil,
			[]string{"fail member c does not answer at https://c:2379: connection refused", "fail 3 voters, 2 healthy; stopping a leaves 1, 2 are needed"}},
		{"no room", "{}", 3, func(h []host) { h[0].State.Free = 100 * mib }, nil, []string{"fail a has 100 MiB free at /var/lib/etcd, the new database needs 174 MiB beside the old one"}},
		{"does not tell", "{}", 1, func(h []host) { version("3.2.22")(h); h[0].State.Live.Status.DBInUse = 0 }, nil,
			[]string{"warn etcd 3.2.22 does not tell how much of its database (400 MiB) is unused: it is left"}},
		{"left behind", "{always: yes}", 3, func(h []host) { version("3.2.22")(h); h[2].State.Left = "/var/lib/etcd/member/snap/db.tmp" }, nil,
			[]string{"fail c has /var/lib/etcd/member/snap/db.tmp of an earlier defragmentation that was cut short: etcd 3.2.22 would mix it into the new database"}},
		{"left behind, and cleaned up", "{}", 3, func(h []host) { h[2].State.Left = "/var/lib/etcd/member/snap/db.tmp" }, all(well("a"), well("c"), moved, well("b")), nil},
		{"a bug", "{}", 3, version("3.5.5"), all(well("a"), well("c"), moved, well("b")),
			[]string{"warn etcd 3.5.5: a member that crashes while it is defragmented comes back with other revisions than the rest (14685, fixed in 3.5.6)"}},
		{"corrupt", "{}", 3, alarm("CORRUPT"), nil, []string{"fail alarm CORRUPT raised by a"}},
		{"no space, not asked", "{}", 1, alarm("NOSPACE"), part("a", "have a leader", ""), []string{
			"warn alarm NOSPACE raised by a: it stays, and so do writes refused", "warn the only voter answers nobody while it is defragmented: nothing can be read or written then"}},
		{"no space", "{disarm: yes}", 3, alarm("NOSPACE"), all([]string{"a: compact all that is before revision 40"}, part("a", "have a leader", ""), part("c", "have a leader", ""), moved,
			part("b", "have a leader", ""), []string{"a: take the alarm NOSPACE back", "a: wait for the alarm NOSPACE to be gone, at most 30s", "a: wait for etcd member a to be healthy, at most 5m0s"}),
			[]string{"warn alarm NOSPACE raised by a: all is compacted, every member defragmented, and the alarm taken back"}},
		{"no space, limited", "{disarm: yes}", 3, func(h []host) { alarm("NOSPACE")(h); h[2].Reach = true }, nil, []string{
			"warn alarm NOSPACE raised by a: all is compacted, every member defragmented, and the alarm taken back",
			"fail the alarm can be taken back when every member has room: the play covers 2 of 3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := wasteful(t, c.n, c.params)
			if c.make != nil {
				c.make(h)
			}
			p, err := defrag{}.Plan(input{Hosts: h, Now: now})
			require.NoError(t, err)
			tasktest.Hinted(t, p)
			var steps, said []string
			for _, s := range p.Changes() {
				steps = append(steps, s.Host+": "+s.Change.Summary())
			}
			for _, f := range p.Findings {
				if f.Status != task.OK {
					said = append(said, [...]string{"ok", "warn", "fail"}[f.Status]+" "+f.Text)
				}
			}
			require.Equal(t, c.steps, steps)
			require.Equal(t, c.said, said)
		})
	}
}

// Of two voters none may be missing, also where nothing is to be done.
func TestTwoHaveNothingToSpare(t *testing.T) {
	for n, want := range map[int]string{2: "2 voters, 2 healthy, 2 needed", 3: "3 voters, 3 healthy, 2 needed: one at a time may be missing"} {
		p, err := defrag{}.Plan(input{Hosts: wasteful(t, n, "{unused_percent: 80}"), Now: now})
		require.NoError(t, err)
		require.Contains(t, p.Findings, task.Finding{Head: "Quorum", Status: task.OK, Text: want})
	}
}

// TestMiddle: the size that tells a defragmented database is between the two,
// and the same for one that has grown a little.
func TestMiddle(t *testing.T) {
	for _, c := range [][2]int64{{400 * mib, 100 * mib}, {20480, 16384}, {1, 1}, {0, 0}, {100, 200}, {400 * mib, 0}} {
		m := middle(etcd.Status{DBSize: c[0], DBInUse: c[1]})
		require.GreaterOrEqual(t, m, min(c[0], c[1]))
		require.LessOrEqual(t, m, max(c[0], 1))
		require.Positive(t, m)
	}
	require.Equal(t, middle(etcd.Status{DBSize: 400 * mib, DBInUse: 100 * mib}), middle(etcd.Status{DBSize: 401 * mib, DBInUse: 101 * mib}))
}

func TestResult(t *testing.T) {
	h := wasteful(t, 1, "{}")[0]
	r := defrag{}.Result(h.Input, task.Outcome{Changed: true, Steps: []change.Outcome{{}, {Outputs: map[string]string{sizeField: "104857600"}}}}).(Result)
	require.Equal(t, Result{Msg: "a: 400 MiB before, 100 MiB after", Found: true, Name: "a", Defragmented: true, Before: 400 * mib, After: 100 * mib}, r)
	require.Equal(t, "a: 400 MiB, 75% unused", defrag{}.Result(h.Input, task.Outcome{}).(Result).Msg)
}

func TestConformance(t *testing.T) {
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{Name: "no etcd", Params: "{unit: no-such-etcd.service}", Findings: []string{"fail: no etcd found on any host that could be read"}},
		tasktest.Case{Name: "no settings", Params: "{config: DIR/none}", Error: "none"},
	)
	for _, bad := range []string{"{unused_percent: 101}", "{unused_mib: -1}", "{healthy_within: 0}"} {
		n, err := strictyaml.Parse("test.yml", []byte(bad))
		require.NoError(t, err)
		_, err = Define().Decode(n, nil)
		require.Error(t, err, bad)
	}
	require.False(t, strings.Contains(Define().Long, "\t"))
}
