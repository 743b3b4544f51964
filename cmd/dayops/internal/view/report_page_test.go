package view

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

// replay reads a record of testdata: real runs against demo hosts.
func replay(t *testing.T, name string) *Report {
	text, err := os.ReadFile(filepath.Join("testdata", name+".jsonl"))
	require.NoError(t, err)
	g := NewGather()
	for l := range strings.Lines(string(text)) {
		var e event.Event
		require.NoError(t, json.Unmarshal([]byte(l), &e))
		g.Emit(e)
	}
	return g.Report()
}

func pageFile(t *testing.T, r *Report) string {
	var b strings.Builder
	require.NoError(t, r.WriteHTML(&b))
	file := filepath.Join(t.TempDir(), "report.html")
	require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	return file
}

// hostile is a run in which every text is an attack.
func hostile() *Report {
	const evil = "</pre></style></script><script>document.title='owned'</script><img src=http://127.0.0.1:9/x onerror=\"document.title='owned'\">" +
		"\x1b[2J\u202egpj.exe\u2066 {{.}} javascript:alert(1) ' \" ` & \x00 \xff" + "\n--- a\n+++ <b>b</b>\n+\tadded"
	g := NewGather()
	at := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	g.Emit(event.Event{Kind: event.RunStart, Time: at, Run: evil, Text: evil, Hosts: []string{evil, "b"}, Data: map[string]any{"inventory": evil, "who": evil}})
	g.Emit(event.Event{Kind: event.PlayStart, Time: at, Play: evil, Hosts: []string{evil}})
	g.Emit(event.Event{Kind: event.StepStart, Time: at, Play: evil, Step: evil, StepID: evil, Task: evil})
	g.Emit(event.Event{Kind: event.Note, Status: evil, Text: evil, Details: []string{evil}, Host: evil, Hosts: []string{evil}, Hint: evil})
	g.Emit(event.Event{Kind: event.Finding, Status: evil, Text: evil, Host: evil, StepID: evil, Hint: evil})
	rc := 1
	for _, s := range []event.Status{event.Failed, evil, event.Unreached} {
		g.Emit(event.Event{Kind: event.Result, Time: at.Add(time.Second), Play: evil, Step: evil, StepID: evil, Task: evil, Host: evil, Status: s, Item: evil,
			Target: evil, Text: evil, Cause: evil, Hint: evil, Details: []string{evil}, Stdout: evil, Stderr: evil, RC: &rc, Data: map[string]any{evil: evil},
			Changes: []event.Change{{Host: evil, Kind: evil, Summary: evil, Diff: evil, Risk: evil, Undo: evil, Why: evil}}})
	}
	code := 2
	g.Emit(event.Event{Kind: event.RunEnd, Time: at.Add(2 * time.Second), Code: &code, Text: evil, Seconds: 2})
	return g.Report()
}

// bigRun has as many hosts and steps as a large cluster's night.
func bigRun(hosts, steps int) *Report {
	g := NewGather()
	at := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	names := make([]string, hosts)
	for i := range names {
		names[i] = fmt.Sprintf("node-%03d.prod.example.com", i)
	}
	g.Emit(event.Event{Kind: event.RunStart, Time: at, Run: "b16b16", Text: "upgrade.yml", Hosts: names})
	g.Emit(event.Event{Kind: event.PlayStart, Time: at, Play: "Upgrade", Hosts: names})
	for s := range steps {
		id, name := fmt.Sprintf("1.%d", s+1), fmt.Sprintf("Step number %d of the upgrade", s+1)
		g.Emit(event.Event{Kind: event.StepStart, Time: at, Play: "Upgrade", Step: name, StepID: id, Task: "shell"})
		for i, h := range names {
			at = at.Add(10 * time.Millisecond)
			e := event.Event{Kind: event.Result, Time: at, Play: "Upgrade", Step: name, StepID: id, Task: "shell", Host: h, Status: event.OK}
			switch {
			case i%37 == 5 && s == steps/2:
				e.Status, e.Text, e.Cause, e.Hint = event.Failed, "exit code 1", "exit code 1", "dayops exec "+h+" -- df -h"
				e.Stderr = strings.Repeat("no space left on device\n", 5000)
			case s%5 == 0:
				e.Status = event.Changed
				e.Stdout = strings.Repeat("a line of output that is neither long nor short\n", 200)
				e.Changes = []event.Change{{Kind: "write", Summary: "write /etc/file", Risk: "safe", Undo: "exact",
					Diff: "--- a\n+++ b\n@@ -1,40 +1,40 @@\n" + strings.Repeat("-old <line>\n+new <line>\n", 40)}}
			}
			g.Emit(e)
		}
	}
	code := 2
	g.Emit(event.Event{Kind: event.RunEnd, Time: at, Code: &code, Text: "failed", Seconds: at.Sub(time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)).Seconds()})
	return g.Report()
}

// fits: nothing is wider than the window.
const fits = `document.documentElement.scrollWidth <= document.documentElement.clientWidth`

func TestPageInABrowser(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	for _, c := range []struct {
		name   string
		rep    *Report
		phones []bool // dark or not
	}{{"failed", replay(t, "failed"), []bool{false, true}}, {"hostile", hostile(), []bool{false, true}}, {"big", bigRun(200, 50), []bool{false}}} {
		file := pageFile(t, c.rep)
		look := func(width int, dark bool) {
			b.show(file, width, dark)
			what := fmt.Sprintf("%s-%d-%v", c.name, width, dark)
			b.picture(what+".png", c.name != "big")
			require.Equal(t, "true", b.eval(fits), what)
			b.eval(`document.querySelectorAll("details").forEach(d => d.open = true)`)
			require.Equal(t, "true", b.eval(fits), what+" unfolded")
			b.picture(what+"-unfolded.png", c.name != "big")
			require.Equal(t, []string{"file://" + file}, b.Asked, "the page alone is asked for")
			require.Empty(t, b.Said, what)
			require.Contains(t, b.eval("document.title"), c.rep.Outcome+": ", what)
			require.Equal(t, "0 0", b.eval(`document.scripts.length + " " + document.images.length`), what)
		}
		for _, dark := range c.phones {
			look(360, dark)
		}
		look(1100, false)
		b.show(file, 1100, false)
		b.picture(c.name+".pdf", true)
	}
}

// What went wrong comes before anything else, by cause and with the next command; hosts that failed are first and unfolded.
func TestPageFailuresFirst(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	b.show(pageFile(t, replay(t, "failed")), 360, false)
	require.Equal(t, "problems,steps,hosts", b.eval(`[...document.querySelectorAll("main>section")].map(s => s.id).join()`))
	require.Equal(t, "unreachable no connection: connect|failed exit code 3 in Fails on two",
		b.eval(`[...document.querySelectorAll(".problem")].map(p => p.querySelector("p").innerText).join("|")`))
	require.Contains(t, b.eval(`document.querySelector(".problem .next").innerText`), "dayops ping away-1")
	require.Equal(t, "disk is full <b>", b.eval(`document.querySelectorAll(".problem")[1].querySelector("pre").innerText.trim()`))
	require.Equal(t, "away-1 true,demo-1 true,demo-2 true,demo-0 false",
		b.eval(`[...document.querySelectorAll(".host")].map(h => h.querySelector("bdi").innerText + " " + h.open).join()`))
	require.Equal(t, "false", b.eval(`document.querySelector("pre .a").checkVisibility()`), "diffs are folded")
	require.Contains(t, b.eval(`document.querySelector("pre:has(.a)").textContent`), "+line two of 2\n \tthree <b>bold</b>\n", "tabs stay")
	b.call("Emulation.setEmulatedMedia", map[string]any{"media": "print"}, nil)
	require.Equal(t, "true", b.eval(`document.querySelector("pre .a").checkVisibility() && document.querySelector("pre .a").getBoundingClientRect().height > 5`),
		"and unfolded on paper")
}

// The policy holds: what gets into the page nevertheless can ask for nothing and run nothing.
func TestPagePolicy(t *testing.T) {
	t.Parallel()
	b := startBrowser(t)
	var page strings.Builder
	require.NoError(t, replay(t, "failed").WriteHTML(&page))
	file := filepath.Join(t.TempDir(), "report.html")
	planted := `<img src="http://127.0.0.1:9/x"><script>document.title='owned'</script><style>body{background:url(http://127.0.0.1:9/y)}</style>` +
		`<p style="display:none" id=planted onclick="document.title='owned'">x</p><iframe src="http://127.0.0.1:9/z"></iframe>`
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(page.String(), "<main>", planted+"<main>", 1)), 0o644))
	b.show(file, 1100, false)
	b.eval(`document.getElementById("planted").click()`)
	b.eval(`fetch("http://127.0.0.1:9/f").catch(() => 0) && 1`)
	require.NotContains(t, b.eval("document.title"), "owned")
	require.Equal(t, "true", b.eval(`document.getElementById("planted").checkVisibility()`), "a style of its own is refused")
	require.NotEmpty(t, b.Said, "refusals are logged")
	for _, a := range b.Asked {
		require.True(t, a == "file://"+file || strings.HasPrefix(a, "data:") || refused(b, a), "%s was asked for", a)
	}
	require.NotEqual(t, "rgba(0, 0, 0, 0)", b.eval(`getComputedStyle(document.body).backgroundColor`), "the page's own style holds")
}

// refused tells whether the policy stopped a request that was begun.
func refused(b *browser, address string) bool {
	for _, s := range b.Said {
		if strings.Contains(s, "Content Security Policy") && strings.Contains(s, address) {
			return true
		}
	}
	return false
}

// A page of a big run opens anywhere; what failed is in it whatever else is left out.
func TestPageIsBounded(t *testing.T) {
	for _, c := range []struct{ hosts, steps int }{{200, 50}, {1000, 100}} {
		var page strings.Builder
		r := bigRun(c.hosts, c.steps)
		require.NoError(t, r.WriteHTML(&page))
		require.Less(t, page.Len(), 5<<20, c)
		require.Equal(t, r.Totals.Failed, strings.Count(page.String(), `standard error`), c)
		require.Contains(t, page.String(), "more results not shown: dayops history show b16b16 -v", c)
	}
}
