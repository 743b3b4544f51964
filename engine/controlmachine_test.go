package engine

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/guard"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

type planned struct {
	Dir string `yaml:"dir" doc:"where"`
}

// scripted is a cluster task whose plan a test writes.
type scripted func(in task.ClusterInput[planned, map[string]reader.File]) (task.Plan, error)

// Check looks at the files that the plans here are made of.
func (scripted) Check(ctx context.Context, r task.Reader, p planned) (map[string]reader.File, error) {
	files, err := r.Hash(ctx, p.Dir+"/a", p.Dir+"/b", p.Dir+"/c")
	have := map[string]reader.File{}
	for _, f := range files {
		have[filepath.Base(f.Path)] = f
	}
	return have, err
}

func (s scripted) Plan(in task.ClusterInput[planned, map[string]reader.File]) (task.Plan, error) {
	return s(in)
}

func scriptedTask(kind task.Kind, plan scripted) *task.Definition {
	return task.DefineCluster(task.Spec[planned]{Name: "script", Doc: "Does what a test says.", Kind: func(planned) task.Kind { return kind },
		MaxRisk: func(planned) change.Risk { return change.Disruptive }}, task.ClusterTask[planned, map[string]reader.File](plan))
}

const scriptedPlay = "- hosts: all\n  gather_facts: no\n  tasks:\n    - {name: it, script: {dir: 'DIR/{{ inventory_hostname }}'}}\n"

// enlist moves h2 to the group etcd of the inventory, and brings h1's file a to h2.
func enlist(in task.ClusterInput[planned, map[string]reader.File]) (task.Plan, error) {
	var p task.Plan
	from, to := in.Hosts[0], in.Hosts[1]
	if !to.State["b"].Exists {
		p.Stages = append(p.Stages, task.Stage{Steps: []task.Step{{Host: to.Host, Change: &change.Transfer{
			FromPeer: from.Host, FromPath: from.Params.Dir + "/a", ToFile: to.Params.Dir + "/b", Before: to.State["b"]}}}})
	}
	f := in.Inventory[0]
	if text := strings.Replace(f.Text, "h2\n[etcd]\n", "[etcd]\nh2\n", 1); text != f.Text && f.Editable {
		p.Stages = append(p.Stages, task.Stage{Steps: []task.Step{{Host: task.ControlMachine, Change: writing(f.Path, fileState{f.File, []byte(f.Text)}, text)}}})
	}
	return p, nil
}

const enlisted = "h1\nh2\n[etcd]\n"

func newEnlisting(t *testing.T) (*world, *diary) {
	w := newWorld(t, scriptedTask(task.State, enlist))
	for _, h := range []string{"h1", "h2"} {
		require.NoError(t, os.Mkdir(filepath.Join(w.dir, h), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "h1/a"), []byte("secret-key"), 0o600))
	return w, newDiary(w)
}

func (w *world) text(name string) string {
	text, _ := os.ReadFile(filepath.Join(w.dir, name))
	return string(text)
}

// The control machine has its part in a plan as any other host: told in the
// forecast, journalled, locked, taken back.
func TestControlMachineInAClusterPlan(t *testing.T) {
	w, d := newEnlisting(t)
	w.opt = check
	w.run(enlisted, scriptedPlay)
	require.Equal(t, []string{"it h1 ok", "it h2 changed", "it localhost changed"}, w.said())
	require.Contains(t, w.result("it", "localhost").Changes[0].Diff, " h1\n+[etcd]\n h2\n-[etcd]\n")
	require.Equal(t, enlisted, w.text("inventory"))

	d.begin("r1")
	w.run(enlisted, scriptedPlay)
	require.False(t, w.rep.Failed, w.all())
	require.Equal(t, []string{"it h1 ok", "it h2 changed", "it localhost changed"}, w.said())
	require.Equal(t, "h1\n[etcd]\nh2\n", w.text("inventory"))
	require.Equal(t, "secret-key", w.text("h2/b"))
	require.NotContains(t, w.all(), "secret-key")
	require.NoError(t, d.j.Close())
	raw, err := os.ReadFile(filepath.Join(w.dir, "state", "runs", "r1", "journal.jsonl"))
	if err == nil {
		require.NotContains(t, string(raw), "secret-key")
	}
	m, err := d.h.Read("r1")
	require.NoError(t, err)
	require.Len(t, m.Steps, 2)
	require.Equal(t, "localhost", m.Steps[1].Change.Host)

	rep := d.undo("r1", "u1")
	require.NoError(t, d.j.Close())
	require.False(t, rep.Failed || rep.Partial, w.all())
	require.Equal(t, enlisted, w.text("inventory"))
	require.NoFileExists(t, filepath.Join(w.dir, "h2/b"))
}

func TestControlMachineInASavedPlan(t *testing.T) {
	w, _ := newEnlisting(t)
	p := saved(t, w, enlisted, scriptedPlay)
	require.Len(t, p.Steps, 3)
	apply(w, p, change.Safe, enlisted, scriptedPlay)
	require.False(t, w.rep.Failed || w.rep.Refused || w.rep.Stale, w.all())
	require.Equal(t, "h1\n[etcd]\nh2\n", w.text("inventory"))
}

// Another run's lock of this machine is waited for: a plan over another cluster
// notes something here too.
func TestControlMachineIsWaitedFor(t *testing.T) {
	w, d := newEnlisting(t)
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "h2/b"), []byte("secret-key"), 0o600))
	c, err := local.Dialer{}.Dial(t.Context(), conn.Target{Name: "x", Kind: "local"})
	require.NoError(t, err)
	other, err := guard.Acquire(t.Context(), c, "", guard.Owner{Run: "other", User: "ann", Host: "desk", PID: 7}, guard.Options{Dir: filepath.Join(w.dir, "host")})
	require.NoError(t, err)
	released := make(chan error, 1)
	timer := time.AfterFunc(1500*time.Millisecond, func() { released <- other.Release(context.Background()) })
	defer timer.Stop()
	d.begin("r1")
	w.run(enlisted, scriptedPlay)
	require.NoError(t, <-released)
	require.False(t, w.rep.Failed || w.rep.Locked, w.all())
	require.Contains(t, w.all(), "waiting up to 15m0s: locked by run other of ann@desk")
	require.Equal(t, "h1\n[etcd]\nh2\n", w.text("inventory"))
}

// Of two hosts the one that somebody else has is named.
func TestHintNamesTheLockedHost(t *testing.T) {
	cause, hint := explain("h1", &MemberError{Host: "h2", Err: &guard.LockedError{Holder: guard.Holder{Owner: guard.Owner{Run: "r9"}}}})
	require.Equal(t, "locked by run r9", cause)
	require.Contains(t, hint, "dayops unlock h2 ")
}

// A machine that only has the name is not written to.
func TestControlMachineMustBeThisOne(t *testing.T) {
	w, _ := newEnlisting(t)
	in := enlisted + "[other]\nlocalhost ansible_connection=ssh\n"
	w.run(in, strings.Replace(scriptedPlay, "hosts: all", "hosts: h1:h2", 1))
	require.Contains(t, w.result("it", "h1").Text, "give it ansible_connection: local")
	require.Equal(t, in, w.text("inventory"))
	require.NoFileExists(t, filepath.Join(w.dir, "h2/b"))
}

// lostPut is a connection that breaks when a file has been put in its place.
type lostPut struct {
	conn.Conn
	word string
}

func (l lostPut) Put(ctx context.Context, p conn.Put, r io.Reader) error {
	err := l.Conn.Put(ctx, p, r)
	if err == nil && strings.HasSuffix(p.Path, l.word) {
		return &conn.LostError{Host: "x", Doing: "a put", Err: io.ErrUnexpectedEOF}
	}
	return err
}

// A run that died after its last change finds that it was made.
func TestControlMachineIsRecovered(t *testing.T) {
	w, d := newEnlisting(t)
	d.begin("r1")
	w.wrap = func(c conn.Conn) conn.Conn { return lostPut{c, "inventory"} }
	w.run(enlisted, scriptedPlay)
	require.Equal(t, event.Unreached, w.result("it", "localhost").Status)
	w.wrap = nil
	d.again("r1")
	require.Len(t, d.m.InDoubt(), 1)
	w.keepInventory = true
	w.run(enlisted, scriptedPlay)
	require.False(t, w.rep.Failed, w.all())
	require.Equal(t, "h1\n[etcd]\nh2\n", w.text("inventory"))
	require.Empty(t, d.m.InDoubt())
}
