package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/tasks"
	"github.com/dayops/dayops/tasks/tasktest"
)

const honestStates = 5

// honestElsewhere are tasks whose start states no row can make, and the tests
// that hold them to their word.
func honestElsewhere() map[string]string {
	return map[string]string{
		"reboot":       "TestHonestReboot: start states do not outlive it",
		"etcd_health":  "TestEtcdHealth: whole clusters",
		"etcd_backup":  "TestEtcdBackup",
		"etcd_certs":   "TestEtcdCerts",
		"etcd_defrag":  "TestEtcdRolling",
		"etcd_remove":  "TestEtcdLife",
		"etcd_replace": "TestEtcdLife",
		"etcd_restart": "TestEtcdRolling",
		"etcd_restore": "TestEtcdRestore",
		"etcd_scaleup": "TestEtcdLife",
	}
}

// Every task is in the table, and of each row the forecast is given for every state.
func TestHonestTableIsWhole(t *testing.T) {
	t.Parallel()
	in, ids := map[string]bool{}, map[string]bool{}
	for task := range honestElsewhere() {
		in[task] = true
	}
	for _, r := range honestTable() {
		require.False(t, ids[r.id], "two rows %s", r.id)
		in[r.task], ids[r.id] = true, true
		require.NotNil(t, tasks.All().Get(r.task), r.id)
		require.Len(t, r.says, honestStates, r.id)
		require.Regexp(t, "^[ocuf]+$", r.says, r.id)
		if r.task != "command" && r.task != "shell" {
			require.NotContains(t, r.says, "u", "%s: only what has no probe may be unknown", r.id)
		}
	}
	for _, name := range tasks.All().Names() {
		require.True(t, in[name], "no row for the task %s", name)
	}
}

// TestHonesty plans and runs every task in five start states, one on each host:
// planning changes nothing, and the run does what the plan said and nothing
// else. The states are made, and looked at, by the lab and not by dayops.
func TestHonesty(t *testing.T) {
	t.Parallel()
	labtest.Asked(t)
	w := newHonest(t)
	rounds := 1
	if os.Getenv("DAYOPS_SOAK") != "" {
		rounds = honestStates
	}
	for round := range rounds {
		w.round(honestTable(), round) // each time another state on each host
		for i := range honestPackages()[1:] {
			if rounds > 1 {
				w.round(honestPackages()[i+1:i+2], round)
			}
		}
	}
	t.Logf("%d forecasts in %d rounds: %d came true, %d were unknown", w.total, rounds, w.total-w.unknown, w.unknown)
}

// honest is the work place of the test.
type honest struct {
	*desk
	t              *testing.T // that of desk, as a test
	hosts          []*labtest.Host
	got            string // what comes to this machine
	total, unknown int
}

func newHonest(t *testing.T) *honest {
	l := labtest.Own(t, labtest.Options{Nodes: honestStates})
	w := &honest{t: t, desk: newDesk(t, l.Inventory()), hosts: l.Hosts()}
	w.got = filepath.Join(w.dir, "got")
	require.NoError(t, os.CopyFS(w.dir, os.DirFS("testdata/honest")))
	w.all(func(h *labtest.Host, _ int) {
		on(t, h, "for i in $(seq 150); do systemctl is-active -q chrony && exec apt-get -qq update; sleep 0.2; done; exit 1")
	})
	return w
}

// all does something on all hosts at once.
func (w *honest) all(do func(h *labtest.Host, i int)) {
	var g sync.WaitGroup
	for i, h := range w.hosts {
		g.Go(func() { do(h, i) })
	}
	g.Wait()
}

var honestWords = regexp.MustCompile(`\b(D|V|GOT|UNIT)\b`)

// fill puts in what the words of the table stand for.
func (w *honest) fill(r *honestRow, text string) string {
	return honestWords.ReplaceAllStringFunc(text, func(s string) string {
		return map[string]string{"D": "/srv/h/" + r.id, "V": "{{ inputs[k | int] }}", "GOT": filepath.Join(w.got, r.id), "UNIT": "h-" + r.id}[s]
	})
}

// round is one playbook with all rows; the host i has the state i+shift.
func (w *honest) round(rows []honestRow, shift int) {
	t := w.t
	state := func(i int) int { return (i + shift) % honestStates }
	var play, inv strings.Builder
	play.WriteString("- hosts: all\n  throttle: 5\n  tasks:\n")
	for i := range rows {
		r := &rows[i]
		fmt.Fprintf(&play, "  - name: %s\n    ignore_errors: yes\n    vars: {inputs: %s}\n    %s: %s\n", r.id, cmp.Or(r.inputs, "[0, 0, 0, 0, 0]"), r.task, w.fill(r, r.params))
		if r.more != "" {
			fmt.Fprintf(&play, "    %s\n", r.more)
		}
	}
	inv.WriteString("all:\n  hosts:\n")
	for i, h := range w.hosts {
		fmt.Fprintf(&inv, "    %s: {k: %d}\n", h.Name, state(i))
	}
	args := []string{w.file("honest.yml", play.String()), "-i", w.inv, "-i", w.file("states.yml", inv.String()), "--diff"}
	w.begin(rows, state)
	w.hold(rows, state, func(r *honestRow, k int) bool { return r.says[k] == 'o' })

	before := w.look(rows)
	planned := forecasts(w.events(0, append([]string{"plan"}, args[:len(args)-1]...)...))
	same(t, before, w.look(rows))
	w.says(rows, state, planned, func(r *honestRow) string { return r.says })

	ran := w.events(0, append([]string{"run", "-y"}, args...)...)
	done := forecasts(ran)
	after := w.look(rows)
	w.cameTrue(planned, done)
	for _, e := range ran {
		require.False(t, e.Kind == event.Note && strings.Contains(e.Text, "forecast"), "%s on %s: %s", e.Step, e.Host, e.Text)
	}
	w.nothingElse(rows, planned, before, after)
	w.hold(rows, state, func(r *honestRow, k int) bool { return r.says[k] != 'f' })

	again := forecasts(w.events(0, append([]string{"plan"}, args[:len(args)-1]...)...))
	same(t, after, w.look(rows))
	w.says(rows, state, again, func(r *honestRow) string {
		return cmp.Or(r.again, strings.NewReplacer("c", "o").Replace(r.says))
	})
}

// honestReset takes away what an earlier round left.
const honestReset = `if [ -e /srv/h ]; then
  systemctl unmask -q 'h-*'; systemctl stop -q 'h-*'
  rm -rf /srv/h /etc/systemd/system/h-* /etc/systemd/system/*/h-* /usr/lib/systemd/system/h-*
  systemctl daemon-reload; systemctl reset-failed -q 'h-*'
  systemctl is-active -q chrony && systemctl is-enabled -q chrony || systemctl enable -q --now chrony
  dpkg -P hello tree lab-sample
fi
`

func late(r honestRow) string {
	if r.id == "reload" || r.id == "restart" {
		return r.id
	}
	return ""
}

// begin makes the start states.
func (w *honest) begin(rows []honestRow, state func(int) int) {
	require.NoError(w.t, os.RemoveAll(w.got))
	rows = slices.Clone(rows)
	// What systemd shall not have read yet comes last: much makes it read all anew.
	slices.SortStableFunc(rows, func(a, b honestRow) int { return strings.Compare(late(a), late(b)) })
	w.all(func(h *labtest.Host, i int) {
		k := state(i)
		var there, here strings.Builder
		fmt.Fprintf(&there, "exec 4>&2 >/tmp/start.log 2>&1; K=%d H=%s\n", k, h.Name)
		there.WriteString(honestReset)
		fmt.Fprintf(&here, "K=%d\n", k)
		for j := range rows {
			r := &rows[j]
			fmt.Fprintf(&there, "echo %[1]s; U=h-%[1]s; mkdir -p /srv/h/%[2]s; cd /srv/h/%[1]s && (set -e; %[3]s\n:) || { cat /tmp/start.log >&4; echo start of %[1]s >&4; exit 1; }\n", r.id, r.id, w.fill(r, r.start[k]))
			fmt.Fprintf(&here, "mkdir -p %s/%s; cd %[1]s/%[2]s; %[3]s\n", filepath.Join(w.got, r.id), h.Name, w.fill(r, r.here[k]))
		}
		_, err := h.ExecIn(w.t.Context(), there.String(), "sh", "-s")
		require.NoError(w.t, err)
		shell(w.t, w.dir, here.String())
	})
}

// hold asks every host's own tools in which rows nothing is left to do.
func (w *honest) hold(rows []honestRow, state func(int) int, want func(*honestRow, int) bool) {
	w.all(func(h *labtest.Host, i int) {
		k := state(i)
		var ask strings.Builder
		fmt.Fprintf(&ask, "K=%d H=%s\n", k, h.Name)
		for j := range rows {
			if r := &rows[j]; r.wanted != "" {
				fmt.Fprintf(&ask, "U=h-%s; cd /srv/h/%[1]s; if (%s) >/dev/null 2>&1; then echo %[1]s; fi\n", r.id, w.fill(r, r.wanted))
			}
		}
		holds := strings.Fields(on(w.t, h, ask.String()))
		for j := range rows {
			if r := &rows[j]; r.wanted != "" && slices.Contains(holds, r.id) != want(r, k) {
				w.t.Errorf("%s on %s in state %d: that nothing is left to do is %v", r.id, h.Name, k, !want(r, k))
			}
		}
	})
}

// look is all that can be seen of each host: its files, its units and packages,
// and what it has on this machine. What is read through starts some units.
func (w *honest) look(rows []honestRow) map[string]string {
	out := listings(w.t, w.hosts)
	more := make([]string, len(w.hosts))
	w.all(func(h *labtest.Host, i int) {
		more[i] = on(w.t, h, `systemctl list-unit-files --no-legend --plain | sed 's/^/unit-file:/'
systemctl show -p Id,LoadState,ActiveState,SubState,MainPID,NRestarts,NeedDaemonReload '*.service' '*.timer' '*.socket' | awk -v RS= -v OFS=' ' '{$1=$1; print "unit:" $0}' | grep -vE 'Id=(user|systemd-(timedated|hostnamed|localed)|ssh@|session)' | sort
dpkg-query -W -f 'package:${Package} ${Version} ${db:Status-Abbrev}\n'; apt-mark showauto | sed 's/^/auto:/'`)
	})
	here := strings.Join(tasktest.List(w.t, w.got), "\n")
	for i, h := range w.hosts {
		out[h.Name] += more[i]
		for line := range strings.Lines(here) {
			if strings.Contains(line, "/"+h.Name+"/") {
				out[h.Name] += line
			}
		}
	}
	return out
}

// forecasts are what a plan or a run says of each step on each host.
func forecasts(es []event.Event) map[string]event.Event {
	out := map[string]event.Event{}
	for _, e := range es {
		if e.Kind == event.Forecast || e.Kind == event.Result {
			out[e.Step+" on "+e.Host] = e
		}
	}
	return out
}

func honestLetter(s event.Status) string {
	return cmp.Or(map[event.Status]string{event.OK: "o", event.Changed: "c", event.Unknown: "u", event.Ignored: "f"}[s], string(s))
}

// says compares a plan with the table.
func (w *honest) says(rows []honestRow, state func(int) int, got map[string]event.Event, want func(*honestRow) string) {
	for j := range rows {
		r := &rows[j]
		for i, h := range w.hosts {
			k := state(i)
			e, ok := got[r.id+" on "+h.Name]
			if !ok || honestLetter(e.Status) != want(r)[k:k+1] {
				w.t.Errorf("%s on %s in state %d: the plan says %q, should be %c: %s %+v", r.id, h.Name, k, e.Status, want(r)[k], e.Text, e.Changes)
			}
		}
	}
}

// cameTrue holds a run to its plan.
func (w *honest) cameTrue(planned, done map[string]event.Event) {
	for _, at := range slices.Sorted(maps.Keys(planned)) {
		p, d := planned[at], done[at]
		w.total++
		if p.Status == event.Unknown {
			w.unknown++
		} else if p.Status != d.Status {
			w.t.Errorf("%s: planned %s, was %s: %s", at, p.Status, d.Status, d.Text)
		}
		if !slices.Equal(p.Changes, d.Changes) {
			w.t.Errorf("%s: planned %+v\ndid %+v", at, p.Changes, d.Changes)
		}
		if p.Status == event.Ignored && p.Text != d.Text {
			w.t.Errorf("%s: planned to fail with %q, failed with %q", at, p.Text, d.Text)
		}
	}
}

// nothingElse holds what differs on the hosts to what was said.
func (w *honest) nothingElse(rows []honestRow, planned map[string]event.Event, before, after map[string]string) {
	for _, h := range w.hosts {
		moved := map[string]bool{}
		lines := append(minus(before[h.Name], after[h.Name]), minus(after[h.Name], before[h.Name])...)
		for _, line := range lines {
			by := ""
			for j := range rows {
				r := &rows[j]
				e := planned[r.id+" on "+h.Name]
				if (e.Status == event.Changed || e.Status == event.Unknown || r.task == "host_backup") && r.owns(line, h.Name, e.Changes) {
					by, moved[r.id] = r.id, true
				}
			}
			if by == "" {
				w.t.Errorf("%s: no plan said %s", h.Name, line)
			}
		}
		for j := range rows {
			if r := &rows[j]; planned[r.id+" on "+h.Name].Status == event.Changed && !moved[r.id] {
				w.t.Errorf("%s on %s: it was planned to change and nothing has", r.id, h.Name)
			}
		}
	}
}

// owns tells whether a line that differs is of what the row's plan named.
func (r *honestRow) owns(line, host string, cs []event.Change) bool {
	path := strings.Trim(strings.Fields(line)[0], `"`)
	for _, p := range r.paths {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	switch kind, rest, _ := strings.Cut(line, ":"); {
	case kind == "unit" || kind == "unit-file":
		return r.task == "service" && strings.Contains(rest, "h-"+r.id+".service") || r.task == "ntp" && strings.Contains(rest, "chrony")
	case kind == "package" || kind == "auto":
		return r.task == "package" && strings.Contains(r.params, strings.Fields(rest)[0])
	}
	if strings.HasPrefix(path, "/srv/h/"+r.id+"/") {
		return r.task == "command" || r.task == "shell" || named(path, cs)
	}
	return strings.Contains(path, "/got/"+r.id+"/"+host+"/")
}

// named tells whether one of the changes speaks of the path, of a folder above
// or of something below it, or of the name without what a backup adds.
func named(path string, cs []event.Change) bool {
	for _, c := range cs {
		for _, word := range strings.FieldsFunc(c.Summary, func(r rune) bool { return strings.ContainsRune(" ,:;\"'()", r) }) {
			if word = strings.Replace(word, "/dir/x/", "/dir/real/", min(1, strings.Count(path, "/dir/real"))); strings.HasPrefix(word, "/srv/h/") && (strings.HasPrefix(path, word) || strings.HasPrefix(word, path+"/")) {
				return true
			}
		}
	}
	return false
}
