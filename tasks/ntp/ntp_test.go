package ntp

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

func recorded(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(b)
}

func TestTimedatectlInAllItsWordings(t *testing.T) {
	for name, want := range map[string][2]Answer{
		"219": {Yes, Yes}, "231": {Yes, No}, "237": {No, Yes}, "239": {No, No}, "252": {"", Yes},
	} {
		enabled, synced := parseStatus(recorded(t, "timedatectl-"+name+".txt"))
		require.Equal(t, want, [2]Answer{enabled, synced}, name)
	}
	enabled, synced, ok := parseBus("b true\nb false\n")
	require.True(t, ok)
	require.Equal(t, [2]Answer{Yes, No}, [2]Answer{enabled, synced})
	for _, bad := range []string{"", "b true", "s \"x\"\nb true", "b true\nb true\nb true"} {
		_, _, ok := parseBus(bad)
		require.False(t, ok, bad)
	}
}

func TestDaemonsAccounts(t *testing.T) {
	for _, c := range []struct {
		file  string
		parse func(string) (Tracking, bool)
		want  Tracking
	}{
		{"chrony-tracking.csv", parseChrony, Tracking{Yes, "127.0.0.1", 4, 1586, true}},
		{"chrony-tracking-none.csv", parseChrony, Tracking{Synced: No}},
		{"chrony-tracking.txt", parseChronyText, Tracking{Yes, "127.0.0.1", 4, 1587, true}},
		{"chrony-tracking-none.txt", parseChronyText, Tracking{Synced: No}},
		{"ntpq-pn.txt", parsePeers, Tracking{Yes, "192.0.2.11", 3, 455 * time.Microsecond, true}},
		{"ntpq-pn-none.txt", parsePeers, Tracking{Synced: No}},
		{"timesync-status.txt", parseTimesync, Tracking{"", "192.0.2.53", 3, 2512 * time.Microsecond, true}},
	} {
		got, ok := c.parse(recorded(t, c.file))
		require.True(t, ok, c.file)
		require.Equal(t, c.want, got, c.file)
		for _, none := range []string{"", "506 Cannot talk to daemon\n", "x: y\n"} {
			_, ok := c.parse(none)
			require.False(t, ok, c.file)
		}
	}
}

func TestTimespans(t *testing.T) {
	for s, want := range map[string]time.Duration{"-2.512ms": 2512 * time.Microsecond, "+40us": 40 * time.Microsecond, "0": 0,
		"1min 3.5s": 63500 * time.Millisecond, "1d 2h": 26 * time.Hour} {
		got, ok := timespan(s)
		require.True(t, ok, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{"", "x", "5", "5 parsecs", "9999999999999999999y"} {
		_, ok := timespan(s)
		require.False(t, ok, s)
	}
}

func decode(t *testing.T, text string) Params {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	return p.(Params)
}

func TestParameters(t *testing.T) {
	for text, want := range map[string]string{
		"{warn_offset: 2s}":           "warn_offset is more than max_offset",
		"{warn_spread: 2s}":           "warn_spread is more than max_spread",
		"{service: chrony}":           "set fix: yes",
		"{service: sundial, fix: on}": "sundial",
	} {
		n, err := strictyaml.Parse("test.yml", []byte(text))
		require.NoError(t, err)
		_, err = Define().Decode(n, nil)
		require.ErrorContains(t, err, want, text)
	}
	require.Equal(t, task.Assert, Define().Kind(decode(t, "{}")))
	require.Equal(t, task.State, Define().Kind(decode(t, "{fix: yes}")))
}

func unit(name, active, enabled string) reader.Unit {
	return reader.Unit{Name: name + ".service", LoadState: "loaded", ActiveState: active, UnitFileState: enabled, FragmentPath: "/lib/" + name}
}

var (
	redhat = facts.Host{OS: facts.OS{ID: "rhel", Name: "RHEL 7.9"}, Packager: "yum", Systemd: 219}
	debian = facts.Host{OS: facts.OS{ID: "debian", Name: "Debian 12"}, Packager: "apt", Systemd: 252}
	nspawn = facts.Host{OS: debian.OS, Packager: "apt", Systemd: 252, Virt: "systemd-nspawn"}
	chrony = unit("chronyd", "active", "enabled")
	good   = State{Enabled: Yes, Synced: Yes, Units: []reader.Unit{chrony}, Tracking: Tracking{Yes, "192.0.2.1", 3, 400 * time.Microsecond, true}}
)

func with(s State, f func(*State)) State { f(&s); return s }

func TestOneClock(t *testing.T) {
	for _, c := range []struct {
		name, params string
		state        State
		facts        facts.Host
		changes      string
		findings     []string
	}{
		{"good", "{}", good, redhat, "", nil},
		{"chronyd without rtcsync", "{}", with(good, func(s *State) { s.Synced = No }), redhat, "", nil},
		{"a little off", "{}", with(good, func(s *State) { s.Tracking.Offset = 90 * time.Millisecond }), redhat, "", []string{"warn clock is 90 ms off its source 192.0.2.1"}},
		{"far off", "{}", with(good, func(s *State) { s.Tracking.Offset = 90 * time.Second }), redhat, "", []string{"fail clock is 90.0 s off its source 192.0.2.1"}},
		{"no limits", "{warn_offset: 0, max_offset: 0}", with(good, func(s *State) { s.Tracking.Offset = time.Hour }), redhat, "", nil},
		{"nothing runs", "{}", State{Enabled: No, Synced: No}, redhat, "", []string{"fail clock not synchronised"}},
		{"nothing runs, mildly", "{unsynchronised: warn}", State{Enabled: No, Synced: No}, redhat, "", []string{"warn clock not synchronised"}},
		{"no source yet", "{}", State{Synced: No, Units: []reader.Unit{chrony}, Tracking: Tracking{Synced: No}}, redhat, "", []string{"fail clock not synchronised, running: chronyd"}},
		{"container", "{}", State{Synced: No}, nspawn, "", []string{"warn clock not synchronised; in a container it is the machine's clock"}},
		{"nobody knows", "{}", State{}, facts.Host{}, "", []string{"warn clock nobody says whether it is synchronised"}},
		{"two daemons", "{}", with(good, func(s *State) { s.Units = []reader.Unit{chrony, unit("ntpd", "active", "enabled")} }), redhat, "",
			[]string{"warn time daemons that disturb one another run: chronyd, ntpd"}},

		{"fix: nothing to do", "{fix: yes}", good, redhat, "", nil},
		{"fix: not at boot", "{fix: yes}", with(good, func(s *State) { s.Units = []reader.Unit{unit("chronyd", "active", "disabled")} }), redhat, "enable chronyd.service",
			nil},
		{"fix: none installed", "{fix: yes}", State{Synced: No}, redhat, "install chrony (yum); enable, start chronyd.service", []string{"warn clock not synchronised"}},
		{"fix: none installed, Debian", "{fix: yes}", State{Synced: No}, debian, "install chrony (apt); enable, start chrony.service", []string{"warn clock not synchronised"}},
		{"fix: what is there", "{fix: yes}", State{Synced: No, Units: []reader.Unit{unit("systemd-timesyncd", "inactive", "disabled")}}, debian, "enable, start systemd-timesyncd.service", []string{"warn clock not synchronised"}},
		{"fix: what is enabled", "{fix: yes}", State{Synced: No, Units: []reader.Unit{unit("chronyd", "inactive", "disabled"), unit("ntpd", "failed", "enabled")}}, redhat, "start ntpd.service", []string{"warn clock not synchronised"}},
		{"fix: what was asked for", "{fix: yes, service: chrony}", State{Synced: No, Units: []reader.Unit{unit("chronyd", "inactive", "disabled"), unit("ntpd", "failed", "enabled")}}, redhat, "enable, start chronyd.service", []string{"warn clock not synchronised"}},
		{"fix: never a second one", "{fix: yes, service: chrony}", State{Synced: No, Units: []reader.Unit{unit("chronyd", "inactive", "disabled"), unit("ntpd", "active", "enabled")}}, redhat, "", []string{"fail clock not synchronised, running: ntpd"}},
		{"fix: masked", "{fix: yes}", State{Synced: No, Units: []reader.Unit{{Name: "chronyd.service", LoadState: "masked", UnitFileState: "masked"}, unit("ntpd", "inactive", "disabled")}}, redhat, "enable, start ntpd.service", []string{"warn clock not synchronised"}},
		{"fix: container", "{fix: yes}", State{Synced: No}, nspawn, "", []string{"warn nothing to fix here: in a container (systemd-nspawn) the clock is the machine's", "warn clock not synchronised; in a container it is the machine's clock"}},
		{"fix: no systemd", "{fix: yes}", State{}, facts.Host{}, "", []string{"warn cannot be fixed: the host is not run by systemd", "warn clock nobody says whether it is synchronised"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			changes, findings := plan(t, host("a", c.params, c.state, c.facts, t))
			require.Equal(t, c.changes, changes)
			require.Equal(t, c.findings, findings)
		})
	}
}

func host(name, params string, s State, f facts.Host, t *testing.T) task.HostInput[Params, State] {
	return task.HostInput[Params, State]{Input: task.Input[Params, State]{Host: name, Target: name, Params: decode(t, params), State: s, Facts: f}}
}

func plan(t *testing.T, hosts ...task.HostInput[Params, State]) (changes string, findings []string) {
	p, err := ntp{}.Plan(task.ClusterInput[Params, State]{Hosts: hosts})
	require.NoError(t, err)
	var list []string
	for _, s := range p.Changes() {
		list = append(list, s.Change.Summary())
	}
	for _, f := range p.Findings {
		findings = append(findings, [...]string{"ok", "warn", "fail"}[f.Status]+" "+f.Text)
	}
	return strings.Join(list, "; "), findings
}

func TestSpread(t *testing.T) {
	at := func(name string, skew, give time.Duration) task.HostInput[Params, State] {
		return host(name, "{}", good, facts.Host{Clock: time.Unix(1, 0), Skew: skew, SkewError: give}, t)
	}
	lost := task.HostInput[Params, State]{Err: errors.New("gone")}
	const ms = time.Millisecond
	for _, c := range []struct {
		name  string
		hosts []task.HostInput[Params, State]
		want  string
	}{
		{"one", []task.HostInput[Params, State]{at("a", 9*time.Hour, 0), lost}, ""},
		{"agree", []task.HostInput[Params, State]{at("a", 4*ms, ms), at("b", 0, ms), lost}, "ok 2 clocks agree: measured within 4.00 ms, give or take 2.00 ms"},
		{"within the error", []task.HostInput[Params, State]{at("a", 300*ms, 200*ms), at("b", 0, 50*ms)}, "ok 2 clocks agree: measured within 300 ms, give or take 250 ms"},
		{"apart", []task.HostInput[Params, State]{at("a", -200*ms, 10*ms), at("b", 100*ms, 10*ms), at("c", 0, ms)}, "warn clocks are at least 280 ms apart: a is behind b"},
		{"far apart", []task.HostInput[Params, State]{at("a", -9*time.Hour, 10*ms), at("b", 0, 10*ms)}, "fail clocks are at least 8h59m60s apart: a is behind b"},
	} {
		_, findings := plan(t, c.hosts...)
		if c.want == "" {
			require.Empty(t, findings, c.name)
			continue
		}
		last := findings[len(findings)-1]
		require.Equal(t, strings.Replace(c.want, "8h59m60s", "9h0m0s", 1), last, c.name)
	}
}

func TestAliasesCountOnce(t *testing.T) {
	a, b := unit("chronyd", "active", "enabled"), unit("chrony", "active", "enabled")
	a.FragmentPath = b.FragmentPath
	require.Len(t, distinct([]reader.Unit{a, b, {Name: "ntpd.service", LoadState: "not-found"}}), 1)
}

func TestCheckOfThisMachine(t *testing.T) {
	c, err := local.New(conn.Target{Name: "here"})
	require.NoError(t, err)
	_, err = ntp{}.Check(t.Context(), reader.New(c, ""), Params{})
	require.NoError(t, err)
}

func FuzzParsers(f *testing.F) {
	names, err := filepath.Glob("testdata/*")
	require.NoError(f, err)
	for _, n := range names {
		f.Add(recorded(f, filepath.Base(n)))
	}
	f.Fuzz(func(t *testing.T, s string) {
		parseStatus(s)
		parseBus(s)
		timespan(s)
		for _, parse := range []func(string) (Tracking, bool){parseChrony, parseChronyText, parsePeers, parseTimesync} {
			if tr, ok := parse(s); ok && (tr.Offset < 0 || tr.Stratum < 0 || tr.Stratum > 16 || strings.ContainsAny(tr.Source, "\x1b\n")) {
				t.Fatalf("%+v", tr)
			}
		}
	})
}
