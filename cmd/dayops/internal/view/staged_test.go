package view

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

// growth is what the engine says of a plan that adds a member.
func growth() []event.Event {
	e := func(kind event.Kind, host string, status event.Status, text string) event.Event {
		return event.Event{Kind: kind, StepID: "1.1", Step: "Add", Host: host, Status: status, Text: text}
	}
	head := func(h, text string) event.Event {
		f := e(event.Finding, "", event.OK, text)
		f.Head = h
		return f
	}
	warn := e(event.Finding, "", event.Warn, "4 voters need 3: they survive the loss of 1, as 3 do")
	warn.Hint = "an odd number is better: add or remove one more"
	ch := func(stage int, risk, undo, summary string) event.Change {
		return event.Change{Kind: "exec", Stage: stage, Risk: risk, Undo: undo, Summary: summary}
	}
	forecast := func(host string, cs ...event.Change) event.Event {
		f := e(event.Forecast, host, event.Changed, "member of something")
		f.Changes = cs
		return f
	}
	sign := ch(2, "safe", "partial", "sign a server certificate for etcd-3 (IP:192.168.55.21,DNS:etcd-3)")
	sign.Why = "the authority's index keeps the serial number"
	key := ch(3, "safe", "exact", "bring server.key of master-0")
	key.Unknown, key.Until = "server.key", 2
	promote := ch(5, "disruptive", "exact", "promote etcd-3 as soon as it has caught up, within 5m0s")
	promote.Unknown, promote.Until = "the ID of etcd-3", 4
	api := ch(6, "disruptive", "none", "master-restart api")
	api.Why = "dayops does not know what the command does"
	conf := ch(6, "safe", "exact", "write /etc/origin/master/master-config.yaml (917 -> 967 bytes)")
	conf.Diff = "--- before: /etc/origin/master/master-config.yaml\n+++ after: /etc/origin/master/master-config.yaml\n@@ -13 +13,2 @@\n   - https://master-0:2379\n+  - https://etcd-3:2379\n"
	stages := e(event.Stages, "", "", "")
	stages.OnFailure = "rollback"
	stages.Stages = []event.Stage{
		{Name: "backup", Hosts: []string{"master-2"}},
		{Name: "certs for etcd-3", Hosts: []string{"master-0"}},
		{Name: "install etcd-3", Does: "etcd 3.4.23, 6 files, ports 2379 and 2380 let in; nothing starts", Hosts: []string{"etcd-3"}},
		{Name: "member etcd-3", Hosts: []string{"master-0"}},
		{Name: "promote \x1b[2Jetcd-3", Hosts: []string{"master-0"}},
		{Name: "masters", Hosts: []string{"master-2", "master-0", "master-1", "master-3"}, Window: 1, Commit: true},
		{Name: "inventory", Hosts: []string{"localhost"}, Commit: true},
	}
	inv := ch(7, "safe", "exact", "write ./hosts.yml (818 -> 818 bytes, the old file is kept beside it)")
	return []event.Event{
		{Kind: event.RunStart, Text: "etcd-scaleup.yml", Data: map[string]any{"check": true}, Hosts: []string{"master-0", "etcd-3"}},
		{Kind: event.StepStart, StepID: "1.1", Step: "Add"},
		stages,
		head("Cluster", "cluster 26841ebcf610583c, etcd 3.4.23, 3 voters, 3 healthy, 2 needed, leader master-1"),
		e(event.Finding, "", event.OK, "clocks agree within 4 ms"), warn,
		head("Quorum", "quorum 3/3 need 2 -> + learner etcd-3 -> 4/4 need 3"),
		forecast("master-0", sign, ch(4, "disruptive", "exact", "add learner etcd-3 at https://192.168.55.21:2380"), promote, conf, api,
			ch(0, "safe", "exact", "remove /etc/etcd/generated_certs/etcd-3 (a folder, moved aside)")),
		forecast("master-1", conf, api), forecast("master-2", ch(1, "safe", "exact", "save a snapshot of master-2, 61.2 MiB"), conf, api), forecast("master-3", conf, api),
		e(event.Finding, "etcd-3", event.OK, "/var/lib/etcd is empty"), e(event.Finding, "etcd-3", event.OK, "38.0 GiB free for /var/lib/etcd"),
		forecast("etcd-3", ch(3, "safe", "exact", "install etcd-server=3.4.23 etcd-client=3.4.23 (apt)"), key),
		forecast("localhost", inv),
		{Kind: event.Recap, Host: "master-0", Counts: &event.Counts{OK: 1, Changed: 1}},
	}
}

// The plan of a cluster task reads by its stages, on a narrow and on a wide terminal.
func TestStagedPlan(t *testing.T) {
	for name, opt := range map[string]TextOptions{"80": {Width: 80}, "120": {Width: 120}, "80 verbose": {Width: 80, Verbose: 1}} {
		var b strings.Builder
		v := NewText(&b, opt)
		for _, e := range growth() {
			v.Emit(e)
		}
		file := filepath.Join("testdata", "staged-"+strings.ReplaceAll(name, " ", "-")+".txt")
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), b.String(), name)
		for l := range strings.SplitSeq(b.String(), "\n") {
			if !strings.HasPrefix(l, "TASK") && !strings.HasPrefix(l, "PLAY") && !strings.HasPrefix(l, "master-0 :") {
				require.LessOrEqual(t, len([]rune(l)), opt.Width, l)
			}
		}
	}
}

// Colours take no room, and quiet shows what speaks against it alone.
func TestStagedPlanInColourAndQuiet(t *testing.T) {
	show := func(opt TextOptions) string {
		var b strings.Builder
		v := NewText(&b, opt)
		for _, e := range growth() {
			v.Emit(e)
		}
		return b.String()
	}
	plain := show(TextOptions{Width: 80})
	coloured := show(TextOptions{Width: 80, Colour: true})
	require.NotEqual(t, plain, coloured)
	for _, code := range []string{red, green, yellow, cyan, bold, "0"} {
		coloured = strings.ReplaceAll(coloured, "\x1b["+code+"m", "")
	}
	require.Equal(t, plain, coloured)
	quiet := show(TextOptions{Quiet: true})
	require.Contains(t, quiet, "4 voters need 3")
	require.NotContains(t, quiet, "certs for")
}
