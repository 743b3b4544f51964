package pkg

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/tasktest"
	"github.com/dayops/dayops/tasks/tasktest/remote"
)

func decode(t *testing.T, params string) (Params, error) {
	t.Helper()
	n, err := strictyaml.Parse("f.yml", []byte(params))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	if err != nil {
		return Params{}, err
	}
	return p.(Params), nil
}

func TestPlan(t *testing.T) {
	chrony := reader.Package{Name: "chrony", Version: "4.3-2+deb12u1", Arch: "amd64"}
	rpm := reader.Package{Name: "chrony", Version: "1:4.3-1.el9", Arch: "x86_64"}
	two := reader.Package{Name: "lsof", Version: "4.95-1", Arch: "amd64"}
	for _, c := range []struct {
		name, params, manager string
		have                  []reader.Package
		newer                 []string
		want, fails           string
	}{
		{name: "there", params: "{name: chrony}", have: []reader.Package{chrony}},
		{name: "missing", params: "{name: [chrony, lsof]}", have: []reader.Package{chrony}, want: "install lsof (apt)"},
		{name: "in one text", params: "{name: 'chrony, lsof'}", want: "install chrony lsof (apt)"},
		{name: "version there", params: "{name: chrony=4.3-2+deb12u1}", have: []reader.Package{chrony}},
		{name: "another version", params: "{name: chrony=4.4-1}", have: []reader.Package{chrony}, want: "install chrony=4.4-1 (apt)"},
		{name: "architecture", params: "{name: 'chrony:amd64'}", have: []reader.Package{chrony}},
		{name: "another architecture", params: "{name: 'chrony:i386'}", have: []reader.Package{chrony}, want: "install chrony:i386 (apt)"},
		{name: "absent", params: "{name: [chrony, lsof], state: absent}", have: []reader.Package{two}, want: "remove lsof (apt)"},
		{name: "removed already", params: "{name: chrony, state: removed}"},
		{name: "latest is there", params: "{name: chrony, state: latest}", have: []reader.Package{chrony}},
		{name: "latest is newer", params: "{name: [chrony, lsof], state: latest}", have: []reader.Package{chrony, two}, newer: []string{"chrony"}, want: "install the newest chrony (apt)"},
		{name: "latest, missing", params: "{name: chrony, state: latest}", want: "install the newest chrony (apt)"},
		{name: "latest, read anew", params: "{name: chrony, state: latest, update_cache: true}", have: []reader.Package{chrony}, want: "install the newest chrony (apt)"},
		{name: "rpm version", params: "{name: chrony-4.3}", manager: "dnf", have: []reader.Package{rpm}},
		{name: "rpm release", params: "{name: chrony-4.3-1.el9}", manager: "yum", have: []reader.Package{rpm}},
		{name: "rpm with epoch and arch", params: "{name: 'chrony-1:4.3-1.el9.x86_64'}", manager: "dnf", have: []reader.Package{rpm}},
		{name: "another rpm version", params: "{name: chrony-4.4}", manager: "dnf", have: []reader.Package{rpm}, want: "install chrony-4.4 (dnf)"},
		{name: "rpm, = is not its way", params: "{name: chrony=4.4}", manager: "dnf", fails: "names a version as chrony-4.4"},
		{name: "asked for", params: "{name: chrony, use: yum}", want: "install chrony (yum)"},
		{name: "no manager", params: "{name: chrony}", manager: "none", fails: "no package manager"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := decode(t, c.params)
			require.NoError(t, err)
			m := map[string]string{"": "apt", "none": ""}
			if v, ok := m[c.manager]; ok {
				c.manager = v
			}
			plan, err := packager{}.Plan(task.Input[Params, State]{Params: p, Facts: facts.Host{Packager: c.manager}, State: State{Installed: c.have, Newer: c.newer}})
			if c.fails != "" {
				require.ErrorContains(t, err, c.fails)
				return
			}
			require.NoError(t, err)
			got := ""
			for _, s := range plan.Changes() {
				got += s.Change.Summary()
				require.LessOrEqual(t, s.Change.Risk(), Define().MaxRisk(p))
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestAsk(t *testing.T) {
	p, err := decode(t, "{name: [chrony-4.3-1.el9, python3-libs, lsof=4.95-1]}")
	require.NoError(t, err)
	require.Equal(t, []string{"chrony-4.3-1.el9", "chrony-4.3", "chrony", "python3-libs", "lsof"}, ask(p))
}

func TestProbesAreInTheTable(t *testing.T) {
	require.NoError(t, reader.CheckProbe(policy([]string{"chrony", "lsof"})))
	require.NoError(t, reader.CheckProbe(updates("dnf", []string{"chrony"})))
	require.NoError(t, reader.CheckProbe(updates("yum", []string{"chrony"})))
}

func TestParsePolicy(t *testing.T) {
	const out = `chrony:
  Installed: 4.3-2
  Candidate: 4.3-2+deb12u1
  Version table:
     4.3-2+deb12u1 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
 *** 4.3-2 100
        100 /var/lib/dpkg/status
lsof:
  Installed: 4.95.0-1
  Candidate: 4.95.0-1
  Version table:
none:
  Installed: (none)
  Candidate: 1.0
gone:
  Installed: 1.0
  Candidate: (none)
`
	require.Equal(t, []string{"chrony"}, parsePolicy(out))
	require.Empty(t, parsePolicy(""))
	require.Empty(t, parsePolicy("Candidate: x\n::\n"))
}

func TestParseUpdates(t *testing.T) {
	const out = "\nchrony.x86_64     4.5-1.el9     baseos\nother.noarch 1 x\nObsoleting Packages\nlsof.x86_64   1   2   3\n"
	require.Equal(t, []string{"chrony"}, parseUpdates(out, []string{"chrony", "lsof"}))
}

func TestRiskAndKind(t *testing.T) {
	for params, want := range map[string]struct {
		risk change.Risk
		kind task.Kind
	}{
		"{name: lsof}":                                     {change.Safe, task.State},
		"{name: [lsof, etcd], state: latest}":              {change.Disruptive, task.State},
		"{name: docker, state: absent}":                    {change.Disruptive, task.State},
		"{name: lsof, state: latest, update_cache: true}":  {change.Safe, task.Action},
		"{name: lsof, state: present, update_cache: true}": {change.Safe, task.State},
	} {
		p, err := decode(t, params)
		require.NoError(t, err)
		require.Equal(t, want.risk, Define().MaxRisk(p), params)
		require.Equal(t, want.kind, Define().Kind(p), params)
	}
}

func TestMistakes(t *testing.T) {
	for params, want := range map[string]string{
		"{}":                                `missing "name"`,
		"{name: []}":                        "is empty",
		"{name: 'a*'}":                      "patterns are not taken",
		"{name: '@Development'}":            "groups",
		"{name: ./x.rpm}":                   "files",
		"{name: a=}":                        "no version",
		"{name: 'a=1.*'}":                   "pattern is not taken",
		"{name: a=1, state: latest}":        "names a version",
		"{name: a, state: build-dep}":       "must be one of present",
		"{name: a, use: zypper}":            "must be one of auto",
		"{name: 'a; reboot'}":               "no name of a package",
		"{name: -o=x}":                      "no name of a package",
		"{name: a, disable_gpg_check: yes}": "unknown key",
	} {
		_, err := decode(t, params)
		require.ErrorContains(t, err, want, params)
	}
}

func TestOnALabHost(t *testing.T) {
	connect := remote.Lab(t)
	apt := facts.Host{Packager: "apt"}
	tasktest.Run(t, Define(), connect,
		tasktest.Case{Name: "there", Params: "{name: [chrony, openssh-server]}", Facts: apt,
			After: func(t *testing.T, _ *tasktest.Host, res map[string]any) {
				require.Contains(t, res["packages"], "chrony")
				require.Equal(t, "apt", res["manager"])
			}},
		tasktest.Case{Name: "not there, not wanted", Params: "{name: tasktest-none, state: absent}", Facts: apt},
		tasktest.Case{Name: "newest as far as known", Params: "{name: chrony, state: latest}", Facts: apt},
		tasktest.Case{Name: "removed", Params: "{name: tasktest-bare, state: absent}", Facts: apt, Changes: "package", Prepare: bare},
	)
}

// bare installs an empty package that the host itself makes, so that nothing is fetched.
func bare(t *testing.T, h *tasktest.Host) {
	t.Cleanup(func() { remote.Shell(t, h, "dpkg -P tasktest-bare") })
	remote.Shell(t, h, "cd "+h.Dir+` && mkdir -p p/DEBIAN && printf 'Package: tasktest-bare\nVersion: 1.0\nArchitecture: all\nMaintainer: none <none@example.com>\nDescription: nothing\n' >p/DEBIAN/control && dpkg-deb -b p >/dev/null && dpkg -i p.deb >/dev/null`)
}
