package change

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

const memberList = `{"header":{"cluster_id":14841639068965178418,"member_id":18446744073709551615,"raft_term":2},
"members":[{"ID":18446744073709551615,"name":"etcd-1","peerURLs":["https://10.0.0.1:2380"],"clientURLs":["https://10.0.0.1:2379"]},
{"ID":9007199254740993,"name":"etcd-2","peerURLs":["https://10.0.0.2:2380","https://two:2380"],"isLearner":true},
{"ID":7,"peerURLs":["https://10.0.0.3:2380"]},{"ID":8,"name":"twin"},{"ID":9,"name":"twin"},{"ID":-1,"name":"-rf"},{"ID":"x y","name":"odd"}]}`

func TestQueryFind(t *testing.T) {
	by := func(key, value, field string, hex bool) Query {
		return Query{List: "members", Key: key, Value: value, Field: field, Hex: hex}
	}
	for name, tt := range map[string]struct {
		q     Query
		want  string
		found bool
		err   string
	}{
		"all digits":         {by("name", "etcd-1", "ID", false), "18446744073709551615", true, ""},
		"hexadecimal":        {by("name", "etcd-1", "ID", true), "ffffffffffffffff", true, ""},
		"beyond a float":     {by("peerURLs", "https://two:2380", "ID", true), "20000000000001", true, ""},
		"no name yet":        {by("name", "", "ID", false), "7", true, ""},
		"a bool":             {by("name", "etcd-2", "isLearner", false), "true", true, ""},
		"an absent field":    {by("name", "etcd-1", "isLearner", false), "", true, ""},
		"the element itself": {by("name", "etcd-1", "", false), "", true, ""},
		"nobody":             {by("name", "etcd-9", "ID", false), "", false, ""},
		"twice":              {by("name", "twin", "ID", false), "", false, "more than once"},
		"twice is there too": {by("name", "twin", "", false), "", true, ""},
		"few enough":         {Query{List: "members", Key: "name", Value: "", Field: "ID", AtMost: 7}, "7", true, ""},
		"too many":           {Query{List: "members", Key: "name", Value: "", Field: "ID", AtMost: 6}, "7", false, ""},
		"few of no number":   {Query{List: "members", Key: "name", Value: "etcd-2", Field: "isLearner", AtMost: 6}, "", false, "no number"},
		"a list":             {by("name", "etcd-1", "peerURLs", false), "", false, "no single value"},
		"negative":           {by("name", "-rf", "ID", true), "", false, "no number of 64 bits"},
		"no number":          {by("name", "odd", "ID", true), "", false, "no number of 64 bits"},
		"the answer itself":  {Query{Field: "header.cluster_id", Hex: true}, "cdf818194e3a8c32", true, ""},
		"no such list":       {Query{List: "learners", Field: "ID"}, "", false, ""},
		"not a list":         {Query{List: "header", Field: "ID"}, "", false, "no list"},
	} {
		got, found, err := tt.q.find([]byte(memberList))
		if tt.err != "" {
			require.ErrorContains(t, err, tt.err, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, tt.want, got, name)
		require.Equal(t, tt.found, found, name)
	}
	for _, answer := range []string{"", "{", "null x", `{"members":`, "etcdctl: no"} {
		_, _, err := (&Query{Field: "x"}).find([]byte(answer))
		require.Error(t, err, answer)
	}
	got, found, err := (&Query{Key: "Endpoint", Value: "a", Field: "Status.leader", Hex: true}).find([]byte(`[{"Endpoint":"a","Status":{"leader":16}}]`))
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "10", got)
}

// answering is a host whose every probe says the same.
type answering struct {
	Looker
	out  string
	code int
	err  error
}

func (a *answering) Probe(context.Context, ...string) (conn.Result, error) {
	return conn.Result{Code: a.code, Stdout: conn.Capture{Head: []byte(a.out)}, Stderr: conn.Capture{Head: []byte("context deadline \x1b[2Jexceeded\n")}}, a.err
}

func TestProbeFind(t *testing.T) {
	ctx := context.Background()
	q := &Query{List: "members", Key: "name", Value: "etcd-2", Field: "isLearner"}
	ask := func(p Probe, r Looker) bool {
		yes, err := p.Ask(ctx, r)
		require.NoError(t, err)
		return yes
	}
	list := &answering{out: memberList}
	require.True(t, ask(Probe{Find: q}, list))
	require.False(t, ask(Probe{Find: q, Absent: true}, list))
	require.True(t, ask(Probe{Find: q, Is: "true"}, list))
	require.False(t, ask(Probe{Find: q, Is: "false"}, list))
	require.True(t, ask(Probe{Find: q, Is: "false", Absent: true}, list))
	voter := *q
	voter.Value = "etcd-1"
	require.True(t, ask(Probe{Find: &voter, Is: "false"}, list), "an absent field reads as false")
	voter.Value = "etcd-9"
	require.False(t, ask(Probe{Find: &voter, Is: "false"}, list))
	require.True(t, ask(Probe{Find: &voter, Absent: true}, list))

	// A cluster that does not answer has neither the member nor not.
	for _, r := range []*answering{{out: memberList, code: 1}, {out: "{"}, {err: errors.New("lost")}} {
		for _, absent := range []bool{false, true} {
			yes, err := (&Probe{Find: q, Absent: absent}).Ask(ctx, r)
			require.Error(t, err)
			require.False(t, yes)
			require.NotContains(t, err.Error(), "\x1b")
		}
	}
	_, err := (&Probe{Find: q, Path: "/x"}).Ask(ctx, list)
	require.ErrorIs(t, err, errProbe)
}

func TestExecWords(t *testing.T) {
	ctx, h, dir := context.Background(), here(t), t.TempDir()
	out := filepath.Join(dir, "out")
	h.Reader = &answering{Looker: h.Reader, out: memberList}
	q := Query{List: "members", Key: "name", Value: "etcd-1", Field: "ID", Hex: true, What: "the ID of etcd-1\n"}
	e := &Exec{Argv: []string{"sh", "-c", `echo "$1" >"$2"`, "x", "remove={member}", out}, Words: map[string]Query{"member": q}}
	require.Contains(t, e.Summary(), `remove=<the ID of etcd-1\n> `, e.Summary())
	_, err := Apply(ctx, h, e)
	require.NoError(t, err)
	got, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Equal(t, "remove=ffffffffffffffff\n", string(got))
	require.Equal(t, "remove={member}", e.Argv[4], "a change is left as it is")

	bad := func(change func(*Query), name string) error {
		q := q
		change(&q)
		_, err := Apply(ctx, h, &Exec{Argv: e.Argv, Words: map[string]Query{name: q}})
		return err
	}
	var missing *NotFoundError
	require.ErrorAs(t, bad(func(q *Query) { q.Value = "etcd-9" }, "member"), &missing)
	require.ErrorContains(t, missing, "the ID of etcd-1")
	require.ErrorAs(t, bad(func(q *Query) { q.Field, q.Hex = "nothing", false }, "member"), &missing)
	require.ErrorContains(t, bad(func(q *Query) { q.Value, q.Hex = "odd", false }, "member"), "no plain word")
	require.ErrorContains(t, bad(func(q *Query) { q.Value, q.Hex = "-rf", false }, "member"), "no plain word")
	require.ErrorContains(t, bad(func(*Query) {}, "other"), "no word of the command has {other}")
	require.ErrorContains(t, bad(func(*Query) {}, "Mem ber"), "no name of a word")
	_, err = words(&Exec{Argv: e.Argv, Words: e.Words})
	require.Error(t, err, "a bracket cannot ask in between")
}

func TestExecUndo(t *testing.T) {
	ctx, h, dir := context.Background(), here(t), t.TempDir()
	f := filepath.Join(dir, "made")
	e := &Exec{Argv: []string{"touch", f}, Done: &Probe{Path: f}, Undo: []*Exec{{Argv: []string{"rm", f}, Done: &Probe{Path: f, Absent: true}, Purpose: "remove it"}}}
	require.Equal(t, Reversal{Exact, "then: remove it"}, e.Reversal())
	e.UndoWhy = "its id is another"
	require.Equal(t, Reversal{Partial, "its id is another"}, e.Reversal())
	require.Equal(t, None, (&Exec{}).Reversal().Class)

	inverse, err := Invert(ctx, h, e, blobs{})
	require.NoError(t, err)
	require.Len(t, inverse, 1)
	out, err := Apply(ctx, h, e)
	require.NoError(t, err)
	inverse, err = Refine(ctx, h, inverse, e, out)
	require.NoError(t, err)
	where, err := Observe(ctx, h, inverse[0])
	require.NoError(t, err)
	require.Equal(t, Before, where)
	for range 2 {
		_, err = Apply(ctx, h, inverse[0])
		require.NoError(t, err)
	}
	require.NoFileExists(t, f)
	for _, undo := range []*Exec{nil, {Argv: []string{"rm", f}}, {Done: &Probe{Path: f}, Undo: []*Exec{{}}}} {
		_, err := Invert(ctx, h, &Exec{Undo: []*Exec{undo}}, blobs{})
		require.ErrorIs(t, err, errUndo)
	}
}

func TestWaitFind(t *testing.T) {
	ctx, h := context.Background(), here(t)
	r := &answering{out: memberList}
	h.Reader = r
	w := &Wait{Find: &Query{List: "members", Key: "name", Value: "etcd-2", Field: "isLearner", What: "the learner mark of etcd-2"}, Is: "true", Every: time.Millisecond, Limit: 50 * time.Millisecond}
	require.Equal(t, "wait for the learner mark of etcd-2 to be true, at most 50ms", w.Summary())
	_, err := Apply(ctx, h, w)
	require.NoError(t, err)
	w.Is = "false"
	var over *WaitError
	_, err = Apply(ctx, h, w)
	require.ErrorAs(t, err, &over)
	require.Equal(t, "it is true", over.Last)
	w.Gone = true
	_, err = Apply(ctx, h, w)
	require.NoError(t, err)
	r.code = 1
	_, err = Apply(ctx, h, w)
	require.ErrorAs(t, err, &over, "who does not answer is not gone")
	require.Contains(t, over.Last, `context deadline \x1b[2Jexceeded`)
}

func TestStaticPodRisk(t *testing.T) {
	for path, want := range map[string]Risk{
		"/etc/origin/node/pods/etcd.yaml": Disruptive, "/etc/kubernetes/manifests/etcd.yaml": Disruptive, "/etc/kubernetes/manifests/": Disruptive,
		"/etc/kubernetes/../kubernetes/manifests/x": Disruptive, "/etc/origin/node": Disruptive, "/etc": Disruptive,
		"/etc/kubernetes/manifests-stopped/etcd.yaml": Safe, "/etc/origin/node/pods-stopped/x": Safe, "/etc/etcd/etcd.conf": Safe, "": Safe, "/": Safe,
	} {
		require.Equal(t, want, (&Write{Path: path}).Risk(), path)
		require.Equal(t, want, (&Remove{Path: path}).Risk(), path)
		require.Equal(t, want, (&Link{Path: path}).Risk(), path)
		require.Equal(t, want, (&Transfer{FromPeer: "a", FromPath: "/b", ToFile: path}).Risk(), path)
		require.Equal(t, want, (&Move{From: path, To: "/x"}).Risk(), path)
		require.Equal(t, want, (&Move{From: "/x", To: path}).Risk(), path)
	}
}

func TestTransferBetweenHosts(t *testing.T) {
	ctx, h, ca, dir := context.Background(), here(t), here(t), t.TempDir()
	h.Peer = func(_ context.Context, name string) (Host, error) {
		if name != "ca" {
			return Host{}, errors.New("no such host")
		}
		return ca, nil
	}
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, odd)
	require.NoError(t, os.WriteFile(from, []byte("key"), 0o600))
	tr := &Transfer{FromPeer: "ca", FromPath: from, ToFile: to, Attr: Attr{Mode: mode(0o600)}, Before: hash(t, h, to)}
	at := func(want Where) {
		t.Helper()
		where, err := Observe(ctx, h, tr)
		require.NoError(t, err)
		require.Equal(t, want.String(), where.String())
	}
	at(Before)
	inverse, err := Invert(ctx, h, tr, blobs{})
	require.NoError(t, err)
	out, err := Apply(ctx, h, tr)
	require.NoError(t, err)
	require.True(t, out.Changed)
	at(After)
	require.NoError(t, os.Chmod(to, 0o640))
	at(Neither)
	_, err = Apply(ctx, h, tr)
	var moved *MovedError
	require.ErrorAs(t, err, &moved)
	require.NoError(t, os.Chmod(to, 0o600))
	inverse, err = Refine(ctx, h, inverse, tr, out)
	require.NoError(t, err)
	require.Equal(t, []string{to}, Touches(inverse[0]))
	_, err = Apply(ctx, h, inverse[0])
	require.NoError(t, err)
	at(Before)

	for name, spoil := range map[string]func(*Transfer){
		"no such host":            func(tr *Transfer) { tr.FromPeer = "b" },
		"is not a regular file":   func(tr *Transfer) { tr.FromPath = dir },
		"but absent":              func(tr *Transfer) { tr.FromPath = dir + "/absent" },
		"more than the 1048576":   func(tr *Transfer) { tr.FromPath = dir + "/big" },
		"the path is not":         func(tr *Transfer) { tr.ToFile = "x" },
		"and nothing else":        func(tr *Transfer) { tr.ToDir = "/tmp/x" },
		"no name of an account":   func(tr *Transfer) { tr.Attr.Owner = "-x" },
		"the host has no user":    func(tr *Transfer) { tr.Attr.Owner = "nobody-has-this" },
		"no other host is at han": func(*Transfer) { h.Peer = nil },
	} {
		t.Run(name, func(t *testing.T) {
			was := h.Peer
			defer func() { h.Peer = was }()
			require.NoError(t, os.WriteFile(dir+"/big", make([]byte, MaxPeerFile+1), 0o600))
			c := *tr
			spoil(&c)
			_, err := Apply(ctx, h, &c)
			require.ErrorContains(t, err, name)
			require.NoFileExists(t, to)
		})
	}
}

func FuzzQuery(f *testing.F) {
	f.Add([]byte(memberList), "members", "name", "etcd-1", "ID", true)
	f.Add([]byte(`[{"a":{"b":1e999}}]`), "", "a.b", "", "a.b", false)
	f.Fuzz(func(t *testing.T, answer []byte, list, key, value, field string, hex bool) {
		q := Query{List: list, Key: key, Value: value, Field: field, Hex: hex}
		found, ok, err := q.find(answer)
		if err != nil {
			require.False(t, ok)
			require.NotContains(t, reader.Printable(err.Error()), "\n")
		}
		if hex && found != "" {
			require.Regexp(t, "^[0-9a-f]{1,16}$", found)
		}
	})
}
