package planfile

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var sum1, sum2 = strings.Repeat("a", 64), strings.Repeat("b", 64)

func sample() *Plan {
	return &Plan{
		Format: Format, Version: Version, Made: time.Unix(1800000000, 0).UTC(), Run: "abc123", Playbook: "site.yml", Sources: []string{"hosts"}, Risk: "disruptive", Changes: 1, Unknown: 1,
		Options: Options{Limit: "a", Extra: []Extra{{Arg: "a=1"}, {Names: []string{"password"}, HMAC: sum1}}},
		Inputs:  []Input{{Path: "site.yml", What: "playbook", SHA256: sum1}, {Path: "hosts", What: "inventory", HMAC: sum2}},
		Hosts:   []Host{{Name: "m1", Machine: "x", OS: "debian 12", Arch: "x86_64"}},
		Steps: []Step{
			{Play: "p", ID: "1.1", Step: "one", Task: "copy", Host: "m1", Status: "changed", Observed: json.RawMessage(`{"File":{"Path":"/etc/foo","SHA256":"old"},"N":1}`),
				Changes: []Change{{Kind: "write", Summary: "write /etc/foo", Diff: "+x", Risk: "disruptive", Undo: "exact", Digest: sum1}}, Findings: []Finding{{Status: "ok", Text: "fine"}}},
			{Play: "p", ID: "1.2", Step: "two", Task: "command", Host: "m1", Status: "unknown", Unknown: "one", MaxRisk: "safe", Sealed: sum2},
		},
		Clusters: []Cluster{{ID: "1.1", Hosts: []string{"m1"}, OnFailure: "rollback", Stages: []Stage{{Name: "put it there", Hosts: []string{"m1"}, Window: 1, Commit: true}}}},
	}
}

// What is approved is the order and what a failure means, too.
func TestClusters(t *testing.T) {
	was, now := sample().Clusters, sample().Clusters
	require.Empty(t, Clusters(was, now))
	now[0].OnFailure, now[0].Stages[0].Window = "stop", 0
	require.Equal(t, []Difference{
		{Here, "step 1.1 on m1, on failure", "rollback", "stop"},
		{Here, "step 1.1 on m1, stages", "put it there on m1 (1 at once) (stays)", "put it there on m1 (stays)"},
	}, Clusters(was, now))
	require.Len(t, Clusters(was, nil), 2)
}

func TestRoundTrip(t *testing.T) {
	data, err := Encode(sample())
	require.NoError(t, err)
	p, err := Decode(data)
	require.NoError(t, err)
	again, err := Encode(p)
	require.NoError(t, err)
	require.Equal(t, string(data), string(again))
	require.Empty(t, Steps(sample().Steps, p.Steps), "indentation is no difference")
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Plan)
		want   string
	}{
		"another format":  {func(p *Plan) { p.Format = "terraform" }, "format"},
		"another version": {func(p *Plan) { p.Version = 1 }, "make the plan again"},
		"no playbook":     {func(p *Plan) { p.Playbook = "" }, "playbook"},
		"no time":         {func(p *Plan) { p.Made = time.Time{} }, "made"},
		"risk":            {func(p *Plan) { p.Risk = "none" }, "risk"},
		"risk of change":  {func(p *Plan) { p.Steps[0].Changes[0].Risk = "" }, "changes[0]: risk"},
		"undo":            {func(p *Plan) { p.Steps[0].Changes[0].Undo = "yes" }, "undo"},
		"digest":          {func(p *Plan) { p.Steps[0].Changes[0].Digest = "x" }, "digest"},
		"status":          {func(p *Plan) { p.Steps[0].Status = "failed" }, "status"},
		"unbounded":       {func(p *Plan) { p.Steps[1].MaxRisk = "" }, "max_risk"},
		"twice":           {func(p *Plan) { p.Steps = append(p.Steps, p.Steps[0]) }, "twice"},
		"host twice":      {func(p *Plan) { p.Hosts = append(p.Hosts, p.Hosts[0]) }, "twice"},
		"two sums":        {func(p *Plan) { p.Inputs[0].HMAC = sum1 }, "one sum"},
		"extra":           {func(p *Plan) { p.Options.Extra[1].Names = nil }, "options.extra[1]"},
		"on failure":      {func(p *Plan) { p.Clusters[0].OnFailure = "" }, "on_failure"},
		"no stages":       {func(p *Plan) { p.Clusters[0].Stages = nil }, "without hosts or stages"},
		"cluster of none": {func(p *Plan) { p.Clusters[0].Hosts = []string{"m2"} }, "step 1.1 on m2 is not there"},
		"cluster twice":   {func(p *Plan) { p.Clusters = append(p.Clusters, p.Clusters[0]) }, "clusters[1]"},
		"stage":           {func(p *Plan) { p.Steps[0].Changes[0].Stage = 2 }, "stage 2, until 0 of 1"},
		"sealed":          {func(p *Plan) { p.Steps[0].Sealed = sum1 }, "observed and sealed"},
	} {
		p := sample()
		c.change(p)
		data, err := Encode(p)
		require.NoError(t, err)
		_, err = Decode(data)
		require.ErrorContains(t, err, c.want, name)
	}
	data, err := Encode(sample())
	require.NoError(t, err)
	for name, text := range map[string]string{
		"unknown field": strings.Replace(string(data), `"run"`, `"approved": true, "run"`, 1),
		"tail":          string(data) + "{}",
		"cut":           string(data[:len(data)/2]),
		"deep":          strings.Repeat("[", 100_000),
		"empty":         "",
		"not UTF-8":     "\xff",
	} {
		_, err := Decode([]byte(text))
		require.Error(t, err, name)
	}
}

// Each thing that moved is named: where, what, what it was, what it is.
func TestDifferences(t *testing.T) {
	moved := func(f func(*Step)) []string {
		is := sample().Steps
		f(&is[0])
		var out []string
		for _, d := range Steps(sample().Steps, is) {
			out = append(out, d.String())
		}
		return out
	}
	require.Equal(t, []string{`m1 /etc/foo: SHA256 was old, is new`},
		moved(func(s *Step) { s.Observed = json.RawMessage(`{"N":1,"File":{"Path":"/etc/foo","SHA256":"new"}}`) }))
	require.Equal(t, []string{`m1 step "one" was write /etc/foo, is write /etc/bar`}, moved(func(s *Step) {
		s.Changes = []Change{{Kind: "write", Summary: "write /etc/bar", Risk: "disruptive", Undo: "exact", Digest: sum2}}
	}))
	require.Equal(t, []string{`m1 step "one" was write /etc/foo (aaaaaaaaaaaa), is write /etc/foo (bbbbbbbbbbbb)`}, moved(func(s *Step) {
		s.Changes = []Change{{Kind: "write", Summary: "write /etc/foo", Risk: "disruptive", Undo: "exact", Digest: sum2}}
	}))
	require.Equal(t, []string{`m1 step "one" was write /etc/foo, is no change`}, moved(func(s *Step) { s.Changes, s.Status = nil, "ok" }))
	require.Len(t, moved(func(s *Step) { s.Host = "m2" }), 2)
	require.Empty(t, Hosts(sample().Hosts, sample().Hosts))
	require.Equal(t, "m1 machine id was x, is y", Hosts(sample().Hosts, []Host{{Name: "m1", Machine: "y", OS: "debian 12", Arch: "x86_64"}})[0].String())
	require.Equal(t, "this machine playbook site.yml was sha256 aaaaaaaaaaaa, is not there", Inputs(sample().Inputs, sample().Inputs[1:])[0].String())
}

// What would be done is the same, but the file was made to say something else.
func TestEditedTexts(t *testing.T) {
	for what, edit := range map[string]func(*Step){
		"play": func(s *Step) { s.Play = "x" }, "step": func(s *Step) { s.Step = "x" }, "task": func(s *Step) { s.Task = "x" }, "item": func(s *Step) { s.Item = "x" },
		"handler": func(s *Step) { s.Handler = !s.Handler }, "summary": func(s *Step) { s.Changes[0].Summary = "x" }, "diff": func(s *Step) { s.Changes[0].Diff = "x" },
		"undo": func(s *Step) { s.Changes[0].Undo = "none" }, "why": func(s *Step) { s.Changes[0].Why = "x" }, "stage": func(s *Step) { s.Changes[0].Stage++ },
		"unknown": func(s *Step) { s.Changes[0].Unknown = "x" }, "until": func(s *Step) { s.Changes[0].Until++ },
	} {
		p := sample()
		edit(&p.Steps[0])
		d := Steps(p.Steps, sample().Steps)
		require.Len(t, d, 1, what)
		require.Contains(t, d[0].String(), "what the plan shows ("+what+") was ")
	}
	p := sample()
	p.Clusters[0].Stages[0].Does = "nothing to speak of"
	require.Contains(t, Clusters(p.Clusters, sample().Clusters)[0].String(), `what the plan shows (does) was nothing to speak of, is `)
	p.Clusters[0].Stages = append(p.Clusters[0].Stages, Stage{Name: "more"})
	require.Len(t, Clusters(p.Clusters, sample().Clusters), 1)
}

func TestDoc(t *testing.T) { require.Contains(t, Doc(), "max_risk") }

// Whatever the bytes, reading ends with a plan that is written and read as itself, or an error.
func FuzzDecode(f *testing.F) {
	data, err := Encode(sample())
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"format":"dayops plan","version":1}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Decode(data)
		if err != nil {
			return
		}
		again, err := Encode(p)
		require.NoError(t, err)
		q, err := Decode(again)
		require.NoError(t, err)
		require.Empty(t, Steps(p.Steps, q.Steps))
		require.Empty(t, Hosts(p.Hosts, q.Hosts))
		require.Empty(t, Inputs(p.Inputs, p.Inputs))
	})
}
