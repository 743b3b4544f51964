package etcd

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorded is what a release's etcdctl said to -w json, recorded on a cluster of
// one that takes in a learner, promotes it, runs out of its quota of 16 MiB
// (alarmed), and loses the second member.
func recorded(t *testing.T, line, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/answers", line+"-"+name))
	require.NoError(t, err)
	return string(b)
}

func TestAnswersOfAllReleases(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"3.4", "3.5", "3.6", "3.7"} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			say := func(name string) string { return recorded(t, line, name) }
			for name, label := range map[string]bool{"members-unstarted.json": false, "members-learner.json": true, "learner-add.json": false} {
				cluster, members, err := ParseMembers(say(name))
				require.NoError(t, err, name)
				require.NotZero(t, cluster, name)
				require.Len(t, members, 2, name)
				learner := members[0]
				if !learner.Learner {
					learner = members[1]
				}
				require.True(t, learner.Learner, name)
				require.Equal(t, label, learner.Name == "m2", name)
				require.Equal(t, label, len(learner.ClientURLs) == 1, name)
			}
			all, err := ParseStatus(say("status-learner.json"))
			require.NoError(t, err)
			require.Len(t, all, 2)
			require.Equal(t, []bool{false, true}, []bool{all[0].Learner, all[1].Learner})
			require.Equal(t, all[0].MemberID, all[1].Leader)
			require.Equal(t, int64(3), all[1].Revision)
			require.Equal(t, int64(20480), all[0].DBSize)
			require.NotZero(t, all[0].DBInUse)
			require.Equal(t, all[0].Index, all[0].Applied)
			v, ok := ParseVersion(all[0].Version)
			require.True(t, ok)
			require.Equal(t, line, v.Line())

			all, err = ParseStatus(say("status-noquorum.json"))
			require.NoError(t, err)
			require.Zero(t, all[0].Leader)
			require.Contains(t, all[0].Errors, "etcdserver: no leader")
			require.Contains(t, strings.Join(all[0].Errors, "\n"), "alarm:NOSPACE")

			alarms, err := ParseAlarms(say("alarm-none.json"))
			require.NoError(t, err)
			require.Empty(t, alarms)
			alarms, err = ParseAlarms(say("alarm-nospace.json"))
			require.NoError(t, err)
			require.Equal(t, "NOSPACE", alarms[0].Kind)

			h, err := ParseHash(say("hashkv-two.json"))
			require.NoError(t, err)
			require.Equal(t, Hash{MemberID: h.MemberID, Hash: 3628877040, Compact: -1}, h)
			keys, err := ParseKeys(say("count.json"))
			require.NoError(t, err)
			require.Equal(t, int64(2), keys)

			for name, good := range map[string]bool{"nospace": true, "noquorum": false, "learner": false} {
				h, err := ParseHealth(say("health-"+name+".json"), "")
				require.NoError(t, err, name)
				require.Equal(t, good, h.OK, name)
				require.NotZero(t, h.Took, name)
			}
		})
	}
}

func TestProblemsOfAllReleases(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"3.4", "3.5", "3.6", "3.7"} {
		require.Equal(t, "etcdserver: rpc not supported for learner", Problem(recorded(t, line, "hashkv-two.err")), line)
		require.Contains(t, Problem(recorded(t, line, "status-onedead.err")), "connection refused", line)
		if line != "3.4" { // says no more than that it could not
			require.Contains(t, Problem(recorded(t, line, "health-dead.err")), "connection refused", line)
		}
		require.NotContains(t, Problem(recorded(t, line, "health-nospace.err")), "{", line)
	}
}
