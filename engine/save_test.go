package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/reader"
)

func seal(data []byte) string {
	m := hmac.New(sha256.New, []byte("a key"))
	m.Write(data)
	return hex.EncodeToString(m.Sum(nil))
}

// saved makes a plan of pb, through its file form.
func saved(t *testing.T, w *world, inv, pb string) *planfile.Plan {
	t.Helper()
	k := &Keep{Seal: seal}
	w.opt = func(o *Options) { check(o); o.Keep = k }
	w.run(inv, pb)
	require.False(t, w.rep.Failed, w.all())
	p := &planfile.Plan{Format: planfile.Format, Version: planfile.Version, Made: time.Unix(1800000000, 0), Playbook: "site.yml", Risk: "safe", Hosts: k.Hosts, Steps: k.Steps, Clusters: k.Clusters, Inputs: k.Files}
	data, err := planfile.Encode(p)
	require.NoError(t, err)
	p, err = planfile.Decode(data)
	require.NoError(t, err, "%s", data)
	return p
}

func apply(w *world, p *planfile.Plan, approve change.Risk, inv, pb string) *world {
	w.opt = func(o *Options) { o.Saved, o.Seal, o.Approve = p, seal, approve }
	return w.run(inv, pb)
}

// What was unknown may do what was declared, and no more; what was known is done to the letter.
func TestApplyHoldsEachStep(t *testing.T) {
	pb := `- hosts: all
  gather_facts: no
  tasks:
    - {name: ask, sh: 'cat DIR/answer', register: answer}
    - {name: later, risky: {cmd: 'echo {{ answer.stdout }} >> DIR/log', risk: disruptive, worse: 'DIR/{{ answer.stdout }}'}}
    - {name: known, write: {path: DIR/f, content: x}}
`
	for answer, refused := range map[string]bool{"tame": false, "wild": true} {
		w := newWorld(t, riskyTask())
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, "answer"), []byte(answer), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, "wild"), nil, 0o600))
		p := saved(t, w, hosts(1), pb)
		require.Equal(t, "unknown", p.Steps[1].Status)
		require.Equal(t, "disruptive", p.Steps[1].MaxRisk)
		apply(w, p, change.Destructive, hosts(1), pb)
		require.Equal(t, refused, w.rep.Refused, w.all())
		if refused {
			require.Empty(t, w.lines("log"))
			require.Contains(t, w.all(), "the plan allows it no more than disruptive")
			continue
		}
		require.Equal(t, []string{"tame"}, w.lines("log"))
		require.Equal(t, []string{"x"}, w.lines("f"))
	}
}

// A step whose real plan is another than the saved one is not done.
func TestApplyDoesNothingElse(t *testing.T) {
	pb := `- hosts: all
  gather_facts: no
  tasks:
    - {name: quiet, changed_when: false, sh: 'rm -f DIR/flag'}
    - {name: it, risky: {cmd: 'echo x >> DIR/log', unless: DIR/flag, risk: safe}}
`
	w := newWorld(t, riskyTask())
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "flag"), nil, 0o600))
	p := saved(t, w, hosts(1), pb)
	require.Equal(t, "ok", p.Steps[1].Status)
	apply(w, p, change.Safe, hosts(1), pb)
	require.True(t, w.rep.Refused)
	require.Empty(t, w.lines("log"))
	require.Contains(t, w.all(), "in the plan it is: no change")
}

// A secret is in no plan, and a plan in which one has moved is stale.
func TestPlanHoldsNoSecrets(t *testing.T) {
	pb := `- hosts: all
  gather_facts: no
  vars: {db_password: PASS}
  tasks:
    - {name: named, write: {path: DIR/f, content: 'password={{ db_password }}'}}
    - {name: unnamed, no_log: yes, write: {path: DIR/g, content: 'xyzzy-quiet'}}
    - {name: plain, write: {path: DIR/h, content: 'plain text'}}
`
	w := newWorld(t)
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "f"), []byte("password=hunter2-old"), 0o600))
	p := saved(t, w, hosts(1), strings.ReplaceAll(pb, "PASS", "hunter2-new"))
	raw, err := json.Marshal(p)
	require.NoError(t, err)
	for _, s := range []string{"hunter2", "xyzzy-quiet", sum256("password=hunter2-old"), sum256("password=hunter2-new"), sum256("xyzzy-quiet")} {
		require.NotContains(t, string(raw), s)
	}
	require.Contains(t, string(raw), "plain text")
	require.True(t, strings.HasPrefix(p.Steps[0].Changes[0].Digest, planfile.Sealed))
	require.NotEmpty(t, p.Steps[1].Sealed+p.Steps[1].Changes[0].Digest)

	apply(w, p, change.Safe, hosts(1), strings.ReplaceAll(pb, "PASS", "hunter2-other"))
	require.True(t, w.rep.Stale, w.all())
	require.NotContains(t, w.all(), "hunter2")
	apply(w, p, change.Safe, hosts(1), strings.ReplaceAll(pb, "PASS", "hunter2-new"))
	require.False(t, w.rep.Stale, w.all())
	require.Equal(t, []string{"password=hunter2-new"}, w.lines("f"))
}

// What nobody named a secret is masked where its line does, and so are keys: in
// the plan, in what is told, and the plan is done all the same.
func TestPlanHoldsNoUnnamedSecrets(t *testing.T) {
	const keyOf = "-----BEGIN PRIVATE KEY-----\\nsame1hunter2AAAAAAAAAAAA\\nsame2hunter2AAAAAAAAAAAA\\nsame3hunter2AAAAAAAAAAAA\\nsame4hunter2AAAAAAAAAAAA\\nBODYhunter2AAAAAAAAAAAA\\n-----END PRIVATE KEY-----\\n"
	pb := `- hosts: all
  gather_facts: no
  tasks:
    - {name: literal, write: {path: DIR/f, content: "user: new\npassword: hunter2-literal\n"}}
    - {name: key, write: {path: DIR/key, content: "` + strings.Replace(keyOf, "BODY", "new", 1) + `"}}
    - {name: command, sh: 'touch DIR/done; true --password=hunter2-arg'}
    - {name: item, sh: 'true', loop: ['token=hunter2-item']}
    - {name: finding, find: 'password: hunter2-finding'}
`
	old := strings.ReplaceAll(strings.Replace(keyOf, "BODY", "old", 1), "\\n", "\n")
	for _, diff := range []bool{false, true} {
		w := newWorld(t)
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, "f"), []byte("user: old\npassword: hunter2-old\n"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, "key"), []byte(old), 0o600))
		p := saved(t, w, hosts(1), pb)
		raw, err := json.Marshal(p)
		require.NoError(t, err)
		for _, s := range []string{"hunter2", "same1", sum256(old), sum256("user: old\npassword: hunter2-old\n"), sum256("user: new\npassword: hunter2-literal\n")} {
			require.NotContains(t, string(raw), s)
			require.NotContains(t, w.all(), s)
		}
		require.Contains(t, p.Steps[0].Changes[0].Diff, "-user: old\n-password: ***\n+user: new\n+password: ***\n")
		require.True(t, strings.HasPrefix(p.Steps[0].Changes[0].Digest, planfile.Sealed))
		apply(w, p, change.Destructive, hosts(1), strings.ReplaceAll(pb, "hunter2-literal", "hunter2-other"))
		require.True(t, w.rep.Stale, "masked, and another all the same")
		w.opt = func(o *Options) { o.Saved, o.Seal, o.Approve, o.Diff = p, seal, change.Destructive, diff }
		w.run(hosts(1), pb)
		require.False(t, w.rep.Stale || w.rep.Failed || w.rep.Refused, w.all())
		requireWithout(t, w.all(), "hunter2")
		require.Equal(t, []string{"user:", "new", "password:", "hunter2-literal"}, w.lines("f"))
		require.FileExists(t, filepath.Join(w.dir, "done"))
	}
}

// A host of the plan that cannot be reached: nothing is done on any.
func TestApplyNeedsEveryHost(t *testing.T) {
	pb := "- hosts: all\n  gather_facts: no\n  tasks: [{name: w, write: {path: 'DIR/{{ inventory_hostname }}', content: x}}]\n"
	w := newWorld(t)
	p := saved(t, w, hosts(2), pb)
	w.dial = dead("h2")
	apply(w, p, change.Safe, hosts(2), pb)
	require.True(t, w.rep.Unreachable)
	require.NoFileExists(t, filepath.Join(w.dir, "h1"))
	require.Contains(t, fmt.Sprint(w.texts(event.Note)), "nothing was done on any host")
}

func TestObservation(t *testing.T) {
	type deep struct {
		File  reader.File
		Clock time.Time `plan:"volatile"`
		Text  string
		Raw   []byte
		M     map[string]any
		f     func()
		Nan   float64
		Self  any
	}
	f := reader.File{Path: "/a", Exists: true, Type: reader.Regular, Mode: 0o644, Owner: "root", Group: "root", SHA256: "x", Mtime: time.Unix(1, 0), Inode: 7}
	a := observation(deep{File: f, Clock: time.Unix(1, 0), Text: strings.Repeat("long", 100), Raw: []byte("bytes"), M: map[string]any{"b": 1, "a": []any{nil, true}}, f: func() {}})
	f.Mtime, f.Inode = time.Unix(2, 0), 8
	b := observation(&deep{File: f, Clock: time.Unix(2, 0), Text: strings.Repeat("long", 100), Raw: []byte("bytes"), M: map[string]any{"a": []any{nil, true}, "b": 1}})
	require.Equal(t, string(a), string(b), "times, inode, volatile fields and order are no difference")
	f.Mode = 0o600
	require.NotEqual(t, string(a), string(observation(deep{File: f, Text: strings.Repeat("long", 100), Raw: []byte("bytes"), M: map[string]any{"a": []any{nil, true}, "b": 1}})))
	require.NotContains(t, string(a), "longlong")
	require.Less(t, len(observation(map[string]any{"x": make([]int, 100_000)})), 200)
	loop := map[string]any{}
	loop["self"] = loop
	require.NotPanics(t, func() { observation(loop) })
	require.Nil(t, observation(struct{}{}))
}
