package entropy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

var (
	rhel7   = facts.Host{OS: facts.OS{ID: "rhel", Name: "RHEL 7.9"}, Packager: "yum", Virt: "kvm"}
	debian  = facts.Host{OS: facts.OS{ID: "debian", Name: "Debian 12"}, Packager: "apt", Virt: "none"}
	rngd    = reader.Unit{Name: "rngd.service", LoadState: "loaded", ActiveState: "inactive", UnitFileState: "disabled"}
	running = reader.Unit{Name: "haveged.service", LoadState: "loaded", ActiveState: "active", UnitFileState: "enabled"}
	sysv    = reader.Unit{Name: "rng-tools-debian.service", LoadState: "loaded", ActiveState: "active", UnitFileState: "generated"}
)

func decode(t *testing.T, text string) Params {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	return p.(Params)
}

func TestPlan(t *testing.T) {
	const nothing = ""
	for _, c := range []struct {
		name, params string
		state        State
		facts        facts.Host
		changes      string
		findings     []string
	}{
		{"old, plenty", "{}", State{Avail: 3700, Pool: 4096}, rhel7, nothing, []string{"ok entropy 3700 of 4096 bits"}},
		{"old, at the ideal", "{}", State{Avail: 1000, Pool: 4096}, rhel7, nothing, []string{"ok entropy 1000 of 4096 bits"}},
		{"old, not ideal", "{}", State{Avail: 800, Pool: 4096}, rhel7, nothing, []string{"ok entropy 800 of 4096 bits, ideal are 1000"}},
		{"old, low", "{}", State{Avail: 799, Pool: 4096}, rhel7, nothing, []string{"warn entropy 799 of 4096 bits, below 800"}},
		{"old, low, never a failure", "{}", State{Avail: 0, Pool: 4096}, rhel7, nothing, []string{"warn entropy 0 of 4096 bits, below 800"}},
		{"old, too low", "{fail_below: 200}", State{Avail: 199, Pool: 4096}, rhel7, nothing, []string{"fail entropy 199 of 4096 bits, below 800"}},
		{"old, with 256 that are not full", "{}", State{Avail: 256, Pool: 4096}, rhel7, nothing, []string{"warn entropy 256 of 4096 bits, below 800"}},
		{"new, full", "{fail_below: 500}", State{Avail: 256, Pool: 256}, debian, nothing, []string{"ok entropy 256 bits, which is full on this kernel"}},
		{"new, just started", "{}", State{Avail: 90, Pool: 256}, debian, nothing, []string{"warn entropy 90 of 256 bits: the kernel's generator is not initialised"}},
		{"new, just started, with a limit", "{fail_below: 500}", State{Avail: 90, Pool: 256}, debian, nothing, []string{"fail entropy 90 of 256 bits: the kernel's generator is not initialised"}},
		{"hardware", "{}", State{Avail: 256, Pool: 256, Source: "virtio_rng.0", Daemon: "rngd.service"}, debian, nothing,
			[]string{"ok entropy 256 bits, which is full on this kernel, hardware generator virtio_rng.0, rngd runs"}},

		{"fix an old kernel", "{fix: yes}", State{Avail: 100, Pool: 4096}, rhel7, "install rng-tools (yum); enable, start rngd.service", []string{"warn entropy 100 of 4096 bits, below 800"}},
		{"fix is no failure", "{fix: yes, fail_below: 200}", State{Avail: 100, Pool: 4096}, rhel7, "install rng-tools (yum); enable, start rngd.service", []string{"warn entropy 100 of 4096 bits, below 800"}},
		{"fix whatever the moment says", "{fix: yes}", State{Avail: 3000, Pool: 4096}, debian, "install rng-tools5 (apt); enable, start rngd.service", []string{"ok entropy 3000 of 4096 bits"}},
		{"installed, not enabled", "{fix: yes}", State{Avail: 3000, Pool: 4096, Units: []reader.Unit{rngd}, Package: "rng-tools"}, rhel7, "enable, start rngd.service", []string{"ok entropy 3000 of 4096 bits"}},
		{"another feeds already", "{fix: yes}", State{Avail: 3000, Pool: 4096, Units: []reader.Unit{rngd, running}, Daemon: running.Name}, rhel7, nothing, []string{"ok entropy 3000 of 4096 bits, haveged runs"}},
		{"a start script feeds already", "{fix: yes}", State{Avail: 3000, Pool: 4096, Units: []reader.Unit{sysv}}, debian, nothing, []string{"ok entropy 3000 of 4096 bits"}},
		{"new, without hardware", "{fix: yes}", State{Avail: 256, Pool: 256}, debian, nothing,
			[]string{"ok nothing to fix: this kernel needs no rngd, and there is no hardware generator for it to read", "ok entropy 256 bits, which is full on this kernel"}},
		{"new, with hardware", "{fix: yes}", State{Avail: 256, Pool: 256, Source: "tpm-rng-0", Device: true}, debian, "install rng-tools5 (apt); enable, start rngd.service",
			[]string{"ok entropy 256 bits, which is full on this kernel, hardware generator tpm-rng-0"}},
		{"container", "{fix: yes}", State{Avail: 100, Pool: 4096}, facts.Host{OS: debian.OS, Virt: "systemd-nspawn"}, nothing,
			[]string{"ok nothing to fix here: in a container (systemd-nspawn) the kernel and its entropy are the machine's", "warn entropy 100 of 4096 bits, below 800"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := task.Input[Params, State]{Host: "h", Target: "h", Params: decode(t, c.params), State: c.state, Facts: c.facts}
			plan, err := entropy{}.Plan(in)
			require.NoError(t, err)
			var changes, findings []string
			for _, s := range plan.Changes() {
				changes = append(changes, s.Change.Summary())
			}
			for _, f := range plan.Findings {
				findings = append(findings, [...]string{"ok", "warn", "fail"}[f.Status]+" "+f.Text)
			}
			require.Equal(t, c.changes, strings.Join(changes, "; "))
			msg := entropy{}.Result(in, task.Outcome{}).(Result).Msg
			if len(c.findings) > 0 && strings.HasPrefix(c.findings[len(c.findings)-1], "ok entropy ") {
				require.Equal(t, "ok entropy "+msg, c.findings[len(c.findings)-1])
				c.findings = c.findings[:len(c.findings)-1]
			}
			require.ElementsMatch(t, c.findings, findings)
		})
	}
}

func TestParameters(t *testing.T) {
	for _, text := range []string{"{warn_below: 2000}", "{fail_below: 900}", "{fail_below: -1}"} {
		n, err := strictyaml.Parse("test.yml", []byte(text))
		require.NoError(t, err)
		_, err = Define().Decode(n, nil)
		require.ErrorContains(t, err, "want 0 <= fail_below <= warn_below <= ideal", text)
	}
	require.Equal(t, task.Assert, Define().Kind(decode(t, "{}")))
	require.Equal(t, task.State, Define().Kind(decode(t, "{fix: yes}")))
}

func TestCheckOfThisMachine(t *testing.T) {
	c, err := local.New(conn.Target{Name: "here"})
	require.NoError(t, err)
	s, err := entropy{}.Check(t.Context(), reader.New(c, ""), decode(t, "{fix: yes}"))
	require.NoError(t, err)
	require.Positive(t, s.Pool)
	require.LessOrEqual(t, s.Avail, s.Pool)
}
