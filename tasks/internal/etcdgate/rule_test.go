package etcdgate

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/words"
)

// made is a cluster of voters, the last down of which do not answer, and learners.
func made(voters, down, learners int) *cluster {
	cl := &cluster{version: etcd.Version{Major: 3, Minor: 5}}
	for i := range voters + learners {
		cl.members = append(cl.members, etcd.Member{ID: uint64(i + 1), Name: fmt.Sprintf("m%d", i+1), Learner: i >= voters, Healthy: i < voters-down || i >= voters})
	}
	return cl
}

func (cl *cluster) at(i int) *cluster {
	c := *cl
	c.own = &c.members[i]
	return &c
}

// quorum is written down anew, so that the rule is not tested against itself.
func quorum(healthy, voters int) bool { return voters > 0 && 2*healthy > voters }

// Every state of 1 to 5 voters with 0 to 2 of them down, with and without a
// learner: what would take the quorum away is refused, nothing else.
func TestRule(t *testing.T) {
	for voters := 1; voters <= 5; voters++ {
		for down := 0; down <= min(2, voters); down++ {
			for learners := range 2 {
				cl := made(voters, down, learners)
				healthy := voters - down
				now := quorum(healthy, voters)
				for i, m := range cl.members {
					cost := 0
					if m.Healthy && !m.Learner {
						cost = 1
					}
					state := fmt.Sprintf("%d voters, %d down, %d learners, %s", voters, down, learners, m.Name)

					_, refused := cl.at(i).power(effect{power: halts, doing: "stopping"})
					require.Equal(t, cost == 1 && !quorum(healthy-1, voters), refused != "", "stop: %s: %s", state, refused)

					warn, refused := cl.at(i).power(effect{power: bounces, doing: "restarting"})
					loses := cost == 1 && now && !quorum(healthy-1, voters)
					require.Equal(t, loses && voters > 1, refused != "", "restart: %s: %s", state, refused)
					require.Equal(t, cost == 1 && (!now || voters == 1), warn != "", "restart: %s: %s", state, warn)

					left := voters - 1
					if m.Learner {
						left = voters
					}
					warn = ""
					refused = cl.seat(seat{verb: words.Remove, names: []string{fmt.Sprintf("%x", m.ID)}}, "command", &warn)
					require.Equal(t, !now || !quorum(healthy-cost, left), refused != "", "remove: %s: %s", state, refused)
				}
				state := fmt.Sprintf("%d voters, %d down, %d learners", voters, down, learners)
				var warn string
				refused := cl.seat(seat{verb: words.Add, names: []string{"new"}}, "command", &warn)
				require.Equal(t, !now || !quorum(healthy, voters+1), refused != "", "add: %s: %s", state, refused)
				refused = cl.seat(seat{verb: words.AddLearner, names: []string{"new"}}, "command", &warn)
				require.Equal(t, !now || learners > 0, refused != "", "add a learner: %s: %s", state, refused)
				if learners > 0 {
					refused = cl.seat(seat{verb: words.Promote, names: []string{fmt.Sprintf("%x", voters+1)}}, "command", &warn)
					require.Equal(t, !now || !quorum(healthy+1, voters+1), refused != "", "promote: %s: %s", state, refused)
				}
				refused = cl.seat(seat{verb: words.Remove, names: []string{"$id"}}, "command", &warn)
				require.Equal(t, !now || !quorum(healthy-1, voters-1), refused != "", "remove somebody: %s: %s", state, refused)
				require.Empty(t, warn)
			}
		}
	}
}

func TestSums(t *testing.T) {
	stop, restart := effect{power: halts, doing: "stopping"}, effect{power: bounces, doing: "restarting"}
	_, refused := made(3, 1, 0).at(1).power(stop)
	require.Equal(t, "3 voters, 2 healthy; stopping m2 leaves 1, 2 are needed", refused)
	_, refused = made(1, 0, 0).at(0).power(stop)
	require.Equal(t, "1 voter, 1 healthy; stopping m1 leaves 0, 1 is needed", refused)
	warn, refused := made(1, 0, 1).at(0).power(restart)
	require.Empty(t, refused)
	require.Equal(t, "1 voter, 1 healthy, 1 learner; restarting m1 leaves 0, 1 is needed: the cluster stands still until it is back", warn)
	_, refused = made(2, 0, 0).at(0).power(restart)
	require.Equal(t, "2 voters, 2 healthy; restarting m1 leaves 1, 2 are needed", refused)
	require.Contains(t, made(2, 0, 0).hint(restart), "add a third")
	require.Contains(t, made(3, 1, 0).hint(stop), "bring back m3")
	warn, refused = made(3, 2, 0).at(0).power(restart)
	require.Empty(t, refused)
	require.Contains(t, warn, "the quorum is lost already")

	// The only way for a release without learners from one member to two.
	old := made(1, 0, 0)
	old.version = etcd.Version{Major: 3, Minor: 2, Patch: 22}
	warn = ""
	require.Empty(t, old.seat(seat{verb: words.Add, names: []string{"m2"}}, "etcd_scaleup", &warn))
	require.Contains(t, warn, "stands still")
	require.NotEmpty(t, old.seat(seat{verb: words.Add, names: []string{"m2"}}, "command", &warn))

	for _, cl := range []*cluster{{unread: "x"}, {lost: "x"}} {
		_, refused = cl.power(stop)
		require.Equal(t, "x", refused)
		require.Equal(t, "x", cl.seat(seat{verb: words.Remove}, "", &warn))
	}
	_, refused = (&cluster{unread: "x"}).power(restart)
	require.Equal(t, "x", refused)
	_, refused = (&cluster{lost: "x"}).power(restart)
	require.Empty(t, refused)
	warn, refused = (&cluster{down: true, unread: "x"}).power(stop)
	require.Empty(t, warn+refused)
}

// A member is known by its ID, its name, or by what a change will ask for.
func TestNamed(t *testing.T) {
	cl := made(3, 0, 0)
	cl.members[2].PeerURLs = []string{"https://c:2380"}
	for _, s := range []seat{{names: []string{"3"}}, {names: []string{"0x3"}}, {names: []string{"m3"}},
		{names: []string{"{member}"}, query: &change.Query{Key: "name", Value: "m3"}}, {names: []string{"{member}"}, query: &change.Query{Key: "peerURLs", Value: "https://c:2380"}}} {
		m, ok := cl.named(s)
		require.True(t, ok, s)
		require.Equal(t, "m3", m.Name)
	}
	_, ok := cl.named(seat{names: []string{"33"}})
	require.False(t, ok)
}

// What a query does not find is nobody: a second removal of the same member, in
// an undo that is foreseen, is not that of the last voter.
func TestWhoeverAQueryDoesNotFindIsNobody(t *testing.T) {
	var warn string
	gone := seat{verb: words.Remove, names: []string{"{member}"}, query: &change.Query{Key: "peerURLs", Value: "https://gone:2380"}}
	require.Empty(t, made(1, 0, 0).seat(gone, "undo", &warn))
	gone.query.Key = "clientURLs.0"
	require.Contains(t, made(1, 0, 0).seat(gone, "undo", &warn), "the last voter", "a question that the gate cannot ask may mean any")
}
