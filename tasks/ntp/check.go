package ntp

import (
	"context"
	"errors"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/daemon"
)

// State is what one host says about its clock.
type State struct {
	Enabled  Answer        // as timedated has it: whether it knows of a daemon that is enabled
	Synced   Answer        `plan:"volatile"` // the kernel's flag
	Tracking Tracking      `plan:"volatile"`
	Units    []reader.Unit // known daemons that the host has, in order of preference
}

// units are the daemons that keep a clock, in order of preference. One unit may
// have several names.
func units() []string {
	return []string{"chronyd.service", "chrony.service", "ntpd.service", "ntpsec.service", "ntp.service", "openntpd.service", "systemd-timesyncd.service"}
}

// running are the daemons that run. More than one is a fault.
func (s State) running() (names []string) {
	for _, u := range s.Units {
		if u.Active() {
			names = append(names, short(u.Name))
		}
	}
	return names
}

// Check asks timedated, systemd and the daemon that runs.
func (ntp) Check(ctx context.Context, r task.Reader, _ Params) (State, error) {
	var s State
	if err := s.timedated(ctx, r); err != nil {
		return s, err
	}
	list, err := r.Units(ctx, units()...)
	if err != nil && !errors.Is(err, reader.ErrNoSystemd) {
		return s, err
	}
	s.Units = distinct(list)
	return s, s.track(ctx, r)
}

// distinct drops what is not there and what is another name of a unit before.
func distinct(list []reader.Unit) []reader.Unit {
	var out []reader.Unit
	seen := map[string]bool{}
	for _, u := range list {
		if !u.Exists() || u.FragmentPath != "" && seen[u.FragmentPath] || u.UnitFileState == "alias" {
			continue
		}
		seen[u.FragmentPath] = true
		out = append(out, u)
	}
	return out
}

// timedated asks over D-Bus, whose properties are the same in all versions,
// else reads what timedatectl prints.
func (s *State) timedated(ctx context.Context, r task.Reader) error {
	const name, path = "org.freedesktop.timedate1", "/org/freedesktop/timedate1"
	out, err := said(ctx, r, "busctl", "get-property", name, path, name, "NTP", "NTPSynchronized")
	if err != nil {
		return err
	}
	var ok bool
	if s.Enabled, s.Synced, ok = parseBus(out); ok {
		return nil
	}
	out, err = said(ctx, r, "timedatectl")
	s.Enabled, s.Synced = parseStatus(out)
	return err
}

// track asks the daemons, those that run first; where systemd does not tell
// which run, the clients find out.
func (s *State) track(ctx context.Context, r task.Reader) error {
	which := short(daemon.Choose(s.Units).Name)
	if len(s.Units) > 0 && len(s.running()) == 0 {
		return nil
	}
	for _, ask := range []struct {
		daemons string
		argv    []string
		parse   func(string) (Tracking, bool)
	}{
		{"chronyd chrony", []string{"chronyc", "-n", "-c", "tracking"}, parseChrony},
		{"chronyd chrony", []string{"chronyc", "-n", "tracking"}, parseChronyText},
		{"ntpd ntpsec ntp openntpd", []string{"ntpq", "-pn"}, parsePeers},
		{"systemd-timesyncd", []string{"timedatectl", "timesync-status"}, parseTimesync},
	} {
		if which != "" && !contains(ask.daemons, which) {
			continue
		}
		out, err := said(ctx, r, ask.argv...)
		if err != nil {
			return err
		}
		if t, ok := ask.parse(out); ok {
			s.Tracking = t
			return nil
		}
	}
	return nil
}

// said is what a probe prints; "" where it fails or the host lacks it.
func said(ctx context.Context, r task.Reader, argv ...string) (string, error) {
	res, err := r.Probe(ctx, argv...)
	if err != nil || res.Code != 0 {
		return "", err
	}
	return res.Stdout.String(), nil
}
