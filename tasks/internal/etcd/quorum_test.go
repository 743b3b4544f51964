package etcd

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// clusters are all of 1 to 5 voters with 0 to 2 of them down.
func clusters() (all [][]Member) {
	for n := 1; n <= 5; n++ {
		for down := 0; down <= min(2, n); down++ {
			var c []Member
			for i := range n {
				c = append(c, Member{ID: uint64(i + 1), Name: fmt.Sprintf("etcd-%d", i), Healthy: i >= down})
			}
			all = append(all, c)
		}
	}
	return all
}

// majority counts by hand: more healthy than not.
func majority(healthy, voters int) bool { return voters > 0 && healthy > voters-healthy }

func TestRefusedExactlyWhenTheQuorumWouldGo(t *testing.T) {
	for _, c := range clusters() {
		up := 0
		for _, m := range c {
			if m.Healthy {
				up++
			}
		}
		n := len(c)
		require.Equal(t, majority(up, n), Count(c).Quorum())
		for _, m := range c {
			one := 0
			if m.Healthy {
				one = 1
			}
			require.Equal(t, one == 0 || majority(up-1, n), Stop(c, m).OK, "stop %s of %v", m.Name, Count(c))
			require.Equal(t, majority(up, n) && majority(up-one, n-1), Remove(c, m).OK, "remove %s of %v", m.Name, Count(c))
		}
		require.Equal(t, majority(up, n) && majority(up, n+1), AddVoter(c, "new").OK, "add to %v", Count(c))
		require.Equal(t, majority(up, n), AddLearner(c, "new").OK, "add a learner to %v", Count(c))
		learner := Member{ID: 9, Name: "new", Learner: true, Healthy: true}
		with := append(append([]Member{}, c...), learner)
		require.Equal(t, majority(up, n), Promote(with, learner).OK, "promote in %v", Count(with))
		require.False(t, AddLearner(with, "second").OK)
		require.True(t, Stop(with, learner).OK)
	}
}

func TestVerdictsInWords(t *testing.T) {
	var b strings.Builder
	for _, c := range clusters() {
		for _, v := range []Verdict{Stop(c, c[len(c)-1]), Stop(c, c[0]), Remove(c, c[len(c)-1]), Remove(c, c[0]), AddVoter(c, "new"), AddLearner(c, "new")} {
			fmt.Fprintf(&b, "%-6v %s\n", v.OK, v.Text)
		}
	}
	want, err := os.ReadFile("testdata/quorum.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
	three := []Member{{Name: "etcd-0", Healthy: true}, {Name: "etcd-1"}, {Name: "etcd-2", Healthy: true}}
	require.Equal(t, "3 voters, 2 healthy; stopping etcd-2 leaves 1, 2 are needed", Stop(three, three[2]).Text)
	require.Equal(t, "4 voters need 3: they survive the loss of 1, as 3 do", Sum{Voters: 4}.Even())
}
