package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/secret"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/engine/vars"
)

// world is one run to be looked at: its folder, which is each host's too, and
// what the run said.
type world struct {
	t      *testing.T
	dir    string
	tasks  []*task.Definition
	opt    func(*Options)
	extra  []string
	emit   func(event.Event)
	dial   func(conn.Target) error
	wrap   func(conn.Conn) conn.Conn
	events []event.Event
	rep    Report

	keepInventory bool // the file is there: the run reads what it is given

	mu    sync.Mutex
	dials map[string]int
}

func newWorld(t *testing.T, more ...*task.Definition) *world {
	return &world{t: t, dir: t.TempDir(), dials: map[string]int{},
		tasks: append([]*task.Definition{shTask(), writeTask(), setTask(), boomTask(), noteTask()}, more...)}
}

// Emit keeps e, and that makes world an event.Sink.
func (w *world) Emit(e event.Event) {
	w.events = append(w.events, e)
	if w.emit != nil {
		w.emit(e)
	}
}

// Dial makes local connections, but for hosts that dial refuses.
func (w *world) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	w.mu.Lock()
	w.dials[t.Name]++
	w.mu.Unlock()
	if w.dial != nil {
		if err := w.dial(t); err != nil {
			return nil, err
		}
	}
	c, err := local.Dialer{}.Dial(ctx, t)
	if err == nil && w.wrap != nil {
		c = w.wrap(c)
	}
	return c, err
}

func (w *world) Close() error { return nil }

// dead are hosts that no one can reach.
func dead(names ...string) func(conn.Target) error {
	return func(t conn.Target) error {
		for _, n := range names {
			if n == t.Name {
				return &conn.UnreachableError{Host: n, Addr: n + ":22", Stage: "connect", Err: errors.New("connection refused")}
			}
		}
		return nil
	}
}

// hosts is an inventory of n hosts, h1 to hn.
func hosts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "h%d\n", i+1)
	}
	return b.String()
}

// run runs a playbook; the inventory is in INI. DIR in both is the folder.
func (w *world) run(inv, pb string) *world {
	w.t.Helper()
	w.events, w.rep = nil, Report{}
	file := filepath.Join(w.dir, "inventory")
	now, _ := os.ReadFile(file)
	require.NoError(w.t, os.WriteFile(file, []byte(strings.ReplaceAll(inv, "DIR", w.dir)), 0o600))
	in, err := inventory.Load([]string{file})
	if w.keepInventory {
		require.NoError(w.t, os.WriteFile(file, now, 0o600))
	}
	require.NoError(w.t, err)
	p, err := playbook.Load(filepath.Join(w.dir, "site.yml"), []byte(strings.ReplaceAll(pb, "DIR", w.dir)))
	require.NoError(w.t, err)
	extra, err := vars.ParseExtra(w.extra, os.ReadFile)
	require.NoError(w.t, err)
	b, err := playbook.Bind(p, playbook.Env{Inventory: in, Tasks: task.NewRegistry(w.tasks...), Extra: extra})
	require.NoError(w.t, err)
	opt := Options{RunID: "r1", Playbook: b, Inventory: in, Dialer: w, Sink: w, Redactor: &secret.Redactor{}, Extra: extra,
		Now: time.Now, ExitCode: func(Report) (int, string) { return 0, "" }, Stop: make(chan struct{}), Aside: filepath.Join(w.dir, "aside")}
	if w.opt != nil {
		w.opt(&opt)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	w.rep = Run(ctx, opt)
	require.NoError(w.t, ctx.Err(), "the run took too long")
	return w
}

func check(o *Options) { o.Check, o.Diff = true, true }

// said lists results as "step host status", items with their text.
func (w *world) said() []string {
	var out []string
	for _, e := range w.events {
		switch e.Kind {
		case event.Result, event.Forecast, event.Unreachable:
			s := e.Step + " " + e.Host + " " + string(e.Status)
			if e.Item != "" {
				s += " (" + e.Item + ")"
			}
			out = append(out, s)
		}
	}
	return out
}

// texts lists the texts of events of a kind.
func (w *world) texts(k event.Kind) []string {
	var out []string
	for _, e := range w.events {
		if e.Kind == k {
			out = append(out, strings.TrimSpace(e.Host+" "+e.Text+" "+strings.Join(e.Hosts, " ")))
		}
	}
	return out
}

func (w *world) result(step, host string) event.Event {
	w.t.Helper()
	for _, e := range w.events {
		if (e.Kind == event.Result || e.Kind == event.Forecast || e.Kind == event.Unreachable) && e.Step == step && e.Host == host {
			return e
		}
	}
	require.Fail(w.t, "no result", "%s on %s; there are %q", step, host, w.said())
	return event.Event{}
}

func (w *world) counts(host string) event.Counts {
	for _, e := range w.events {
		if e.Kind == event.Recap && e.Host == host {
			return *e.Counts
		}
	}
	require.Fail(w.t, "no recap of "+host)
	return event.Counts{}
}

// lines are those of a file in the folder.
func (w *world) lines(name string) []string {
	text, err := os.ReadFile(filepath.Join(w.dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(w.t, err)
	return strings.Fields(string(text))
}

// all is everything that the run said, as JSON.
func (w *world) all() string {
	var b strings.Builder
	for _, e := range w.events {
		require.NoError(w.t, json.NewEncoder(&b).Encode(e))
	}
	return b.String()
}

type none struct{}

// shTask runs a shell command, each time.
func shTask() *task.Definition {
	type params struct {
		Cmd string `yaml:"cmd" doc:"the command"`
	}
	return task.Define(task.Spec[params]{Name: "sh", Doc: "Runs.", FreeForm: "cmd", Kind: func(params) task.Kind { return task.Action }},
		tiny[params, none]{plan: func(in task.Input[params, none]) (task.Plan, error) {
			return task.Do(&change.Exec{Argv: []string{"/bin/sh", "-c", in.Params.Cmd}}), nil
		}})
}

// setTask sets variables.
func setTask() *task.Definition {
	type params struct {
		Vars map[string]any `yaml:",inline"`
	}
	return task.Define(task.Spec[params]{Name: "set_fact", Doc: "Sets.", Control: true},
		tiny[params, none]{plan: func(in task.Input[params, none]) (task.Plan, error) {
			return task.Plan{Facts: map[string]map[string]any{in.Host: in.Params.Vars}}, nil
		}})
}

// noteTask finds what it is told to find.
func noteTask() *task.Definition {
	type params struct {
		Text string `yaml:"text" doc:"what is found"`
		Fail bool   `yaml:"fail" doc:"whether that is bad"`
	}
	return task.Define(task.Spec[params]{Name: "find", Doc: "Finds.", Control: true, FreeForm: "text", Kind: func(params) task.Kind { return task.Assert }},
		tiny[params, none]{plan: func(in task.Input[params, none]) (task.Plan, error) {
			f := task.Finding{Text: in.Params.Text, Hint: "about " + in.Params.Text}
			if in.Params.Fail {
				f.Status = task.Fail
			}
			return task.Plan{Findings: []task.Finding{f}}, nil
		}})
}

// boomTask has a mistake of its own.
func boomTask() *task.Definition {
	type params struct {
		Host string `yaml:"host" doc:"where it shows"`
	}
	return task.Define(task.Spec[params]{Name: "boom", Doc: "Breaks.", FreeForm: "host"},
		tiny[params, none]{plan: func(in task.Input[params, none]) (task.Plan, error) {
			if in.Host == in.Params.Host {
				panic("boom")
			}
			return task.Plan{}, nil
		}})
}

type writeParams struct {
	Path    string `yaml:"path" doc:"the file"`
	Content string `yaml:"content" doc:"its text"`
	Never   bool   `yaml:"never" doc:"wants to write again, always"`
}

type fileState struct {
	File reader.File
	Was  []byte
}

// writeTask gives a file its content.
func writeTask() *task.Definition {
	return task.Define(task.Spec[writeParams]{Name: "write", Doc: "Writes."}, tiny[writeParams, fileState]{
		check: func(ctx context.Context, r task.Reader, p writeParams) (fileState, error) {
			fs, err := r.Hash(ctx, p.Path)
			if err != nil || !fs[0].Exists {
				return fileState{}, err
			}
			was, err := r.ReadFile(ctx, p.Path, 1<<20)
			return fileState{fs[0], was}, err
		},
		plan: func(in task.Input[writeParams, fileState]) (task.Plan, error) {
			if string(in.State.Was) == in.Params.Content && !in.Params.Never {
				return task.Plan{}, nil
			}
			return task.Do(writing(in.Params.Path, in.State, in.Params.Content)), nil
		}})
}

func writing(path string, s fileState, text string) *change.Write {
	return &change.Write{Path: path, Before: s.File, Was: s.Was, After: change.Content{Size: int64(len(text)), SHA256: sum256(text), Bytes: []byte(text)}}
}

// tiny is a task made of functions.
type tiny[P, S any] struct {
	check func(context.Context, task.Reader, P) (S, error)
	plan  func(task.Input[P, S]) (task.Plan, error)
}

func (t tiny[P, S]) Check(ctx context.Context, r task.Reader, p P) (s S, err error) {
	if t.check == nil {
		return s, nil
	}
	return t.check(ctx, r, p)
}

func (t tiny[P, S]) Plan(in task.Input[P, S]) (task.Plan, error) { return t.plan(in) }

func sum256(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
