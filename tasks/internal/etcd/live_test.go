package etcd

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/task"
)

// teller answers probes by their last words; what it does not know fails.
type teller struct {
	task.Reader
	answers map[string]string
	refusal string
	asked   []string
}

func (r *teller) Probe(_ context.Context, argv ...string) (conn.Result, error) {
	words := strings.Join(argv, " ")
	r.asked = append(r.asked, words)
	for end, out := range r.answers {
		if strings.HasSuffix(words, end) {
			return conn.Result{Stdout: conn.Capture{Head: []byte(out)}}, nil
		}
	}
	return conn.Result{Code: 1, Stderr: conn.Capture{Head: []byte(r.refusal)}}, nil
}

// A learner answers nothing but its state: it is healthy where it has a leader,
// and nothing else is asked of it.
func TestLookAtLearner(t *testing.T) {
	for _, line := range []string{"3.4", "3.5", "3.6", "3.7"} {
		var both []json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(recorded(t, line, "status-learner.json")), &both))
		r := &teller{refusal: "Error: rpc not supported for learner\n", answers: map[string]string{
			"etcdctl version": "etcdctl version: " + line + ".0\n", "endpoint status": "[" + string(both[1]) + "]"}}
		l, err := Look(t.Context(), r, Instance{Endpoint: "https://a:2379"})
		require.NoError(t, err)
		require.True(t, l.Status.Learner, line)
		require.Equal(t, Health{OK: true}, l.Health, line)
		require.Len(t, r.asked, 2, line)

		v, err := Survey(t.Context(), &teller{refusal: "no", answers: map[string]string{"endpoint status": recorded(t, line, "status-learner.json")}},
			Instance{Endpoint: "https://a:2379"}, Live{Status: &Status{ClusterID: l.Status.ClusterID}, Members: []Member{{ClientURLs: []string{"https://a:2379"}}}}, false)
		require.NoError(t, err)
		require.Len(t, v.Status, 2, line)
	}
}

// A learner takes no password, and tells its state without one.
func TestLearnerTakesNoPassword(t *testing.T) {
	var both []json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(recorded(t, "3.5", "status-learner.json")), &both))
	in := Instance{Endpoint: "https://a:2379", Ctl: Ctl{User: "root"}}
	r := &teller{refusal: "Error: etcdserver: rpc not supported for learner\n", answers: map[string]string{
		"etcdctl version": "3.5.0", "https://a:2379 --write-out json endpoint status": "[" + string(both[1]) + "]"}}
	l, err := Look(t.Context(), r, in)
	require.NoError(t, err)
	require.Equal(t, Health{OK: true}, l.Health, l.Problem)
	require.Len(t, r.asked, 3)
	require.Contains(t, r.asked[1], "--user root")
}

// A member that advertises localhost answers for the others: it is counted once.
func TestOneAnswerOfEachMember(t *testing.T) {
	all := []Status{{Endpoint: "https://localhost:2379", ClusterID: 7, MemberID: 1}, {Endpoint: "https://localhost:2379", ClusterID: 7, MemberID: 1},
		{Endpoint: "https://b:2379", ClusterID: 7, MemberID: 2}, {Endpoint: "https://c:2379", ClusterID: 8, MemberID: 3}}
	require.Equal(t, []Status{all[0], all[2]}, ofCluster(all, 7))
}
