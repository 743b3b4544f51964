package ntp

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/clock"
	"github.com/dayops/dayops/tasks/internal/daemon"
)

// Plan judges every host, and all of them together.
func (ntp) Plan(in task.ClusterInput[Params, State]) (task.Plan, error) {
	plan := task.Plan{}
	stage := task.Stage{Name: "time daemons"}
	for _, h := range in.Hosts {
		if h.Err != nil {
			continue // told by the engine
		}
		var steps []task.Step
		if h.Params.Fix {
			changes, why := fix(h.Params, h.State, h.Facts)
			for _, c := range changes {
				steps = append(steps, task.Step{Host: h.Target, Change: c})
			}
			if why != "" {
				plan.Findings = append(plan.Findings, task.Finding{Host: h.Target, Status: task.Warn, Text: why})
			}
		}
		stage.Steps = append(stage.Steps, steps...)
		plan.Findings = append(plan.Findings, judge(h.Input, len(steps) > 0)...)
	}
	if len(stage.Steps) > 0 {
		plan.Stages = []task.Stage{stage}
	}
	if f, ok := spread(in.Hosts); ok {
		plan.Findings = append(plan.Findings, f)
	}
	return plan, nil
}

// judge is about one clock.
func judge(in task.Input[Params, State], fixing bool) []task.Finding {
	p, s := in.Params, in.State
	f := task.Finding{Host: in.Target, Status: task.OK, Text: "clock " + s.line()}
	switch {
	case s.synced() == "":
		f.Status, f.Hint = task.Warn, "the host has neither timedated nor chronyc nor ntpq"
	case s.synced() == No && fixing:
		f.Status = task.Warn
	case s.synced() == No && daemon.Container(in.Facts.Virt):
		f.Status, f.Text = task.Warn, f.Text+"; in a container it is the machine's clock"
	case s.synced() == No:
		f.Status, f.Hint = task.Fail, unsyncedHint(s)
		if p.Unsynced == "warn" {
			f.Status = task.Warn
		}
	case s.Tracking.Known:
		f.Status = limits(s.Tracking.Offset, p.WarnOffset, p.MaxOffset)
		if f.Status != task.OK {
			f.Text = fmt.Sprintf("clock is %s off its source %s", span(s.Tracking.Offset), s.Tracking.Source)
			f.Hint = "chronyc -n sources -v (or ntpq -pn) on the host tells why"
		}
	}
	var out []task.Finding
	if f.Status != task.OK { // a good clock is the result's line
		out = append(out, f)
	}
	if run := s.running(); len(run) > 1 {
		out = append(out, task.Finding{Host: in.Target, Status: task.Warn, Text: "time daemons that disturb one another run: " + strings.Join(run, ", "),
			Hint: "keep one: systemctl disable --now " + run[len(run)-1]})
	}
	return out
}

func unsyncedHint(s State) string {
	if run := s.running(); len(run) > 0 {
		return run[0] + " runs and has found no source yet: are its servers reachable? chronyc -n sources, ntpq -pn"
	}
	return "set fix: yes, or: timedatectl set-ntp true"
}

func limits(d time.Duration, warn, fail strictyaml.Duration) task.Status {
	switch {
	case fail > 0 && d > fail.Std():
		return task.Fail
	case warn > 0 && d > warn.Std():
		return task.Warn
	}
	return task.OK
}

// spread is how far the clocks are apart. Each was measured from here with an
// error; what two errors together can explain is no difference.
func spread(hosts []task.HostInput[Params, State]) (task.Finding, bool) {
	var known []task.HostInput[Params, State]
	var clocks []clock.Reading
	for _, h := range hosts {
		if h.Err == nil && !h.Facts.Clock.IsZero() {
			known = append(known, h)
			clocks = append(clocks, clock.Reading{Host: h.Target, Skew: h.Facts.Skew, Error: h.Facts.SkewError})
		}
	}
	if len(known) < 2 {
		return task.Finding{}, false
	}
	s := clock.Compare(clocks)
	p := known[0].Params
	f := task.Finding{Status: limits(s.Sure, p.WarnSpread, p.MaxSpread)}
	if f.Status == task.OK {
		f.Text = fmt.Sprintf("%d clocks agree: measured within %s, give or take %s", len(known), span(s.Seen), span(s.Error))
		return f, true
	}
	f.Text = fmt.Sprintf("clocks are at least %s apart: %s is behind %s", span(s.Sure), s.Early, s.Late)
	f.Hint = "etcd and certificates suffer; see the hosts' sources"
	return f, true
}

// fix enables one daemon where none runs, or says why not.
func fix(p Params, s State, f facts.Host) (changes []change.Change, why string) {
	if daemon.Container(f.Virt) {
		return nil, "nothing to fix here: in a container (" + reader.Printable(f.Virt) + ") the clock is the machine's"
	}
	if f.Systemd == 0 && len(s.Units) == 0 {
		return nil, "cannot be fixed: the host is not run by systemd"
	}
	if u := daemon.Choose(preferred(p.Service, s)); u.Exists() {
		if c := daemon.Enable(u); c != nil {
			changes = append(changes, c)
		}
		return changes, ""
	}
	unit := "chronyd.service"
	switch f.OS.Family() {
	case "redhat":
	case "debian":
		unit = "chrony.service"
	default:
		return nil, "cannot be fixed: it is not known how " + reader.Printable(f.OS.Name) + " packs chrony"
	}
	return []change.Change{
		&change.Package{Manager: f.Packager, Install: []string{"chrony"}, Refresh: f.Packager == "apt"},
		daemon.Enable(reader.Unit{Name: unit, LoadState: "not-found"}),
	}, ""
}

// preferred puts the units of one daemon first. One that runs is chosen all the same.
func preferred(service string, s State) []reader.Unit {
	names := map[string]string{"chrony": "chronyd chrony", "ntpd": "ntpd ntpsec ntp openntpd", "timesyncd": "systemd-timesyncd"}[service]
	var first, rest []reader.Unit
	for _, u := range s.Units {
		if contains(names, short(u.Name)) {
			first = append(first, u)
		} else {
			rest = append(rest, u)
		}
	}
	// What was asked for beats what merely starts at boot, if nothing runs.
	if len(first) > 0 && !slices.ContainsFunc(rest, reader.Unit.Active) {
		return first
	}
	return append(first, rest...)
}
