package engine

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// Something else than forecast is a difference, with both; the same at another
// minute, with another content or in another order is none.
func TestForecastOfSomethingElse(t *testing.T) {
	w := newWorld(t, riskyTask(), eitherTask())
	w.opt = approve(change.Disruptive)
	w.run(hosts(1), `- hosts: all
  gather_facts: no
  tasks:
    - {name: quiet, changed_when: false, sh: 'touch DIR/flag'}
    - {name: ahead, risky: {cmd: 'true'}}
    - {name: same, either: {when: DIR/flag, this: DIR/f, that: DIR/f, content: more}}
    - {name: minute, either: {when: DIR/flag, this: DIR/g.20261123T000001Z, that: DIR/g.20261122T235959Z}}
    - {name: other, either: {when: DIR/flag, this: DIR/b, that: DIR/a}}
    - {name: secret, no_log: true, either: {when: DIR/flag, this: DIR/d, that: DIR/c}}
`)
	var told []string
	for _, e := range w.events {
		if e.Kind == event.Note && e.Status == event.Warn {
			told = append(told, e.Step+": "+e.Text)
		}
	}
	require.Len(t, told, 2)
	require.Regexp(t, `^other: forecast said: write .*/a .*; done was: write .*/b `, told[0])
	require.Equal(t, "secret: the forecast said that it would change something else than it changed", told[1])
	require.Equal(t, 2, w.events[len(w.events)-1].Data["forecast"].(map[string]any)["differences"])
}

type eitherParams struct {
	When    string `yaml:"when" doc:"a file"`
	This    string `yaml:"this" doc:"what is written when it is there"`
	That    string `yaml:"that" doc:"what is written when it is not"`
	Content string `yaml:"content" doc:"what this gets more of"`
}

// eitherTask writes one of two files.
func eitherTask() *task.Definition {
	return task.Define(task.Spec[eitherParams]{Name: "either", Doc: "Writes either."}, tiny[eitherParams, [3]reader.File]{
		check: func(ctx context.Context, r task.Reader, p eitherParams) (s [3]reader.File, err error) {
			for i, path := range []string{p.When, p.This, p.That} {
				fs, err := r.Hash(ctx, path)
				if err != nil {
					return s, err
				}
				s[i] = fs[0]
			}
			return s, nil
		},
		plan: func(in task.Input[eitherParams, [3]reader.File]) (task.Plan, error) {
			path, text, was := in.Params.That, "x", in.State[2]
			if in.State[0].Exists {
				path, text, was = in.Params.This, "x"+in.Params.Content, in.State[1]
			}
			if was.SHA256 == sum256(text) {
				return task.Plan{}, nil
			}
			return task.Do(writing(path, fileState{File: was}, text)), nil
		}})
}

func TestActs(t *testing.T) {
	of := func(cs ...change.Change) (out []act) {
		for _, c := range cs {
			out = append(out, actsOf(task.Step{Change: c}, "h1")...)
		}
		return out
	}
	require.Equal(t, []act{{"h1", "unit", "a.service", "restart a"}}, of(&change.Unit{Name: "a", Restart: true}))
	require.Empty(t, of(&change.Wait{Port: 1}, &change.Unit{Reload: true}))
	for _, name := range []string{"/x-20261122T235959Z", "/x-2026-11-22T23:59:59", "/x-1795392000"} {
		require.Equal(t, "/x-", of(&change.Remove{Path: name})[0].on[:3])
		require.Contains(t, of(&change.Remove{Path: name})[0].on, "TIME")
	}
	require.Equal(t, "/etc/etcd3.conf", of(&change.Remove{Path: "/etc/etcd3.conf"})[0].on)
}
