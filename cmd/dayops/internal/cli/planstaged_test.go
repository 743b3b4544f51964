package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/planfile"
)

// grown is a saved plan with a cluster task of two hosts, between two steps of one.
func grown() *planfile.Plan {
	change := func(stage int, summary string) planfile.Change {
		return planfile.Change{Kind: "exec", Summary: summary, Risk: "safe", Undo: "exact", Stage: stage}
	}
	learner := planfile.Change{Kind: "exec", Summary: "promote <b>etcd-3</b>", Risk: "disruptive", Undo: "none", Why: "it is not", Stage: 2, Unknown: "the ID of etcd-3", Until: 1}
	return &planfile.Plan{Playbook: "grow.yml", Made: time.Unix(1800000000, 0), Risk: "disruptive", Steps: []planfile.Step{
		{ID: "1.1", Step: "before", Host: "m0", Status: "changed", Changes: []planfile.Change{change(0, "first of all")}},
		{ID: "1.2", Step: "grow", Task: "etcd_scaleup", Host: "m0", Status: "changed", Changes: []planfile.Change{learner, change(0, "tidy up")},
			Findings: []planfile.Finding{{Head: "Quorum", Status: "ok", Text: "quorum 1/1 -> 2/2"}, {Status: "warn", Text: "even", Hint: "add one"}}},
		{ID: "1.2", Step: "grow", Task: "etcd_scaleup", Host: "etcd-3", Status: "changed", Changes: []planfile.Change{change(1, "install \x1b[2J")}},
		{ID: "1.3", Step: "after", Host: "m0", Status: "changed", Changes: []planfile.Change{change(0, "last of all")}},
	}, Clusters: []planfile.Cluster{{ID: "1.2", Hosts: []string{"m0", "etcd-3"}, OnFailure: "rollback", Stages: []planfile.Stage{
		{Name: "install", Hosts: []string{"etcd-3"}}, {Name: "promote", Hosts: []string{"m0"}, Commit: true},
	}}}}
}

// A saved plan of a cluster task is shown by its stages, as text and as a page.
func TestShowPlanByStages(t *testing.T) {
	var out strings.Builder
	a := &app{out: &out, getenv: func(string) string { return "" }}
	a.showPlan(grown(), 0)
	const want = `TASK [grow] 1.2
  Quorum    1/1 -> 2/2
  Checks    0 ok, 1 warning
    warn    even
            next: add one
  1 install  etcd-3  safe
      install \u001b[2J
  2 promote  m0      DISRUPTIVE  no undo
      promote <b>etcd-3</b> [no undo: it is not]
      unknown until 1 is done: the ID of etcd-3
  - in any case  m0      safe
      tidy up
  On failure  all that was done is taken back, the last stage first; from stage 2 on what was done
              stays
  2 hosts; 2 stages: 1 disruptive, 0 destructive; 1 not undoable, 0 in part; 1 unknown until another
  is done

TASK [after] 1.3
`
	require.Contains(t, out.String(), want)
	require.Equal(t, 1, strings.Count(out.String(), "[grow]"))

	file := filepath.Join(t.TempDir(), "p.html")
	require.NoError(t, writePage(file, grown()))
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, string(page), "<b>etcd-3")
	text := regexp.MustCompile(`\s+`).ReplaceAllString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(string(page), " "), " ")
	at := 0
	for _, s := range []string{"first of all", "Quorum 1/1", "warn: even", "1. install etcd-3 safe", "2. promote m0 DISRUPTIVE undo: none stays on failure",
		"unknown until 1 is done: the ID of etcd-3", "in any case", "tidy up", "On failure all that was done", "2 hosts; 2 stages", "last of all"} {
		i := strings.Index(text[at:], s)
		require.GreaterOrEqual(t, i, 0, "%s in %s", s, text)
		at += i
	}
}
