// Package ntp is the task about the hosts' clocks.
package ntp

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/clock"
)

// Params are the parameters of ntp.
type Params struct {
	WarnOffset strictyaml.Duration `yaml:"warn_offset" default:"50ms" doc:"a clock further from its source is a warning; 0 is never"`
	MaxOffset  strictyaml.Duration `yaml:"max_offset" default:"1s" doc:"a clock further from its source is a failure; 0 is never"`
	WarnSpread strictyaml.Duration `yaml:"warn_spread" default:"100ms" doc:"hosts' clocks further apart are a warning; 0 is never"`
	MaxSpread  strictyaml.Duration `yaml:"max_spread" default:"1s" doc:"hosts' clocks further apart are a failure; 0 is never"`
	Unsynced   string              `yaml:"unsynchronised" enum:"fail,warn" default:"fail" doc:"what a clock is that nothing synchronises"`
	Fix        bool                `yaml:"fix" default:"false" doc:"enable a time daemon where none runs; install chrony where there is none"`
	Service    string              `yaml:"service" enum:"chrony,ntpd,timesyncd" doc:"with fix: the daemon to enable where a host has several and none runs; one that runs stays"`
}

// Validate checks that the limits are in order.
func (p *Params) Validate() error {
	if p.MaxOffset > 0 && p.WarnOffset > p.MaxOffset {
		return errors.New("warn_offset is more than max_offset")
	}
	if p.MaxSpread > 0 && p.WarnSpread > p.MaxSpread {
		return errors.New("warn_spread is more than max_spread")
	}
	if p.Service != "" && !p.Fix {
		return errors.New(`"service" says what fix is to enable; set fix: yes`)
	}
	return nil
}

// Result is what register sees, for each host.
type Result struct {
	Msg          string   `yaml:"msg" doc:"one line"`
	Synchronised string   `yaml:"synchronised" doc:"yes, no, or empty where the host does not say"`
	Enabled      string   `yaml:"enabled" doc:"whether timedated has network time enabled: yes, no or empty"`
	Services     []string `yaml:"services" doc:"time daemons that run"`
	Source       string   `yaml:"source" doc:"server in use"`
	Stratum      int      `yaml:"stratum" doc:"of the host; 0 where it is not known"`
	Offset       *float64 `yaml:"offset" doc:"seconds from its source, without sign; null where it is not known"`
	Skew         float64  `yaml:"skew" doc:"seconds before the control machine's clock"`
	SkewError    float64  `yaml:"skew_error" doc:"seconds that skew may be off"`
}

// Define is the task.
func Define() *task.Definition {
	return task.DefineCluster(task.Spec[Params]{
		Name: "ntp",
		Doc:  "Judges the hosts' clocks: synchronised, by what, how far off, how far apart; can enable a daemon.",
		Long: `Every host is asked whether its clock is synchronised (timedated's D-Bus properties; timedatectl in all its wordings), which daemon runs, and what chronyd, ntpd or systemd-timesyncd says about source, stratum and offset. How far the hosts' clocks are apart is measured from here, with the round trip's share told as the error; only what lies beyond the error counts.
etcd's leader election, certificates and the order of logs need it on every host (OpenShift 3.10 Day 2 Operations Guide, 2.1).
fix: yes enables a daemon where none runs, the one that the host has (chrony, ntpd, systemd-timesyncd, in this order), and installs chrony where there is none. It never starts a second one beside one that runs. In a container the clock is the machine's: it is judged mildly and not fixed.`,
		Example: `- name: Clocks are right and agree
  ntp:
    max_offset: 200ms
    max_spread: 500ms
`,
		Kind: func(p Params) task.Kind {
			if p.Fix {
				return task.State
			}
			return task.Assert
		},
		Facts:  true,
		Result: Result{},
	}, ntp{})
}

type ntp struct{}

// synced puts the accounts together. The daemon's own beats the kernel's flag,
// which chronyd without rtcsync does not set.
func (s State) synced() Answer {
	if s.Tracking.Synced == Yes || s.Synced == Yes {
		return Yes
	}
	if s.Tracking.Synced == No || s.Synced == No {
		return No
	}
	return ""
}

// line says how one clock is kept.
func (s State) line() string {
	var parts []string
	switch s.synced() {
	case Yes:
		parts = append(parts, "synchronised")
	case No:
		parts = append(parts, "not synchronised")
	default:
		parts = append(parts, "nobody says whether it is synchronised")
	}
	if run := s.running(); len(run) > 0 {
		parts[0] += " by " + strings.Join(run, " and ")
		if s.synced() != Yes {
			parts[0] = strings.Replace(parts[0], " by ", ", running: ", 1)
		}
	}
	t := s.Tracking
	if t.Source != "" {
		parts = append(parts, "source "+t.Source)
	}
	if t.Stratum > 0 && t.Stratum < 16 {
		parts = append(parts, fmt.Sprintf("stratum %d", t.Stratum))
	}
	if t.Known {
		parts = append(parts, "offset "+span(t.Offset))
	}
	return strings.Join(parts, ", ")
}

// Result tells about one host.
func (ntp) Result(in task.Input[Params, State], _ task.Outcome) any {
	s := in.State
	r := Result{
		Msg: s.line(), Synchronised: string(s.synced()), Enabled: string(s.Enabled), Services: append([]string{}, s.running()...),
		Source: s.Tracking.Source, Stratum: s.Tracking.Stratum,
		Skew: in.Facts.Skew.Seconds(), SkewError: in.Facts.SkewError.Seconds(),
	}
	if s.Tracking.Known {
		offset := s.Tracking.Offset.Seconds()
		r.Offset = &offset
	}
	return r
}

func short(unit string) string { return strings.TrimSuffix(unit, ".service") }

func contains(words, w string) bool { return slices.Contains(strings.Fields(words), w) }

func span(d time.Duration) string { return clock.Span(d) }
