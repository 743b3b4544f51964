package cli

import (
	"cmp"
	"slices"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/planfile"
)

// clusterOf is the plan of a cluster task that a step is a part of; nil where it is none.
func clusterOf(p *planfile.Plan, s *planfile.Step) *planfile.Cluster {
	for i := range p.Clusters {
		if c := &p.Clusters[i]; c.ID == s.ID && slices.Contains(c.Hosts, s.Host) {
			return c
		}
	}
	return nil
}

// parts are the steps that are one cluster's.
func parts(p *planfile.Plan, c *planfile.Cluster) (out []*planfile.Step) {
	for i := range p.Steps {
		if s := &p.Steps[i]; s.ID == c.ID && slices.Contains(c.Hosts, s.Host) {
			out = append(out, s)
		}
	}
	return out
}

// staged puts together what a dry run says of a cluster.
func staged(p *planfile.Plan, c *planfile.Cluster) view.Staged {
	s := view.Staged{Outline: event.Event{Kind: event.Stages, StepID: c.ID, Hosts: c.Hosts, OnFailure: c.OnFailure}}
	for _, st := range c.Stages {
		s.Outline.Stages = append(s.Outline.Stages, event.Stage(st))
	}
	for _, part := range parts(p, c) {
		for _, f := range part.Findings {
			s.Findings = append(s.Findings, event.Event{Kind: event.Finding, Host: f.Host, Head: f.Head, Status: event.Status(f.Status), Text: f.Text, Hint: f.Hint})
		}
		for _, x := range part.Changes {
			s.Changes = append(s.Changes, event.Change{Host: cmp.Or(x.Host, part.Target, part.Host), Kind: x.Kind, Summary: x.Summary, Diff: x.Diff, Risk: x.Risk,
				Undo: x.Undo, Why: x.Why, Stage: x.Stage, Unknown: x.Unknown, Until: x.Until})
		}
	}
	return s
}

// pageStep is what the page shows in one box: a step on a host, or a cluster's plan.
type pageStep struct {
	*planfile.Step // the first of the cluster's
	Cluster        *pageCluster
}

type pageCluster struct {
	Heads, Checks  []event.Event
	Stages         []pageStage
	OnFailure, Sum string
	Seen           []*planfile.Step
}

type pageStage struct {
	event.Stage
	No      int // 0: in the end
	Where   string
	AtOnce  string
	Grade   view.Grade
	Changes []event.Change
}

// pageSteps are the boxes of the page, in the order of the playbook.
func pageSteps(p *planfile.Plan) (out []pageStep) {
	done := map[*planfile.Cluster]bool{}
	for i := range p.Steps {
		s := &p.Steps[i]
		c := clusterOf(p, s)
		switch {
		case c == nil:
			out = append(out, pageStep{Step: s})
		case !done[c]:
			done[c] = true
			out = append(out, pageStep{Step: s, Cluster: pageOf(staged(p, c), parts(p, c))})
		}
	}
	return out
}

func pageOf(s view.Staged, seen []*planfile.Step) *pageCluster {
	c := &pageCluster{OnFailure: s.OnFailure(), Sum: s.Sum(), Seen: seen}
	c.Heads, c.Checks = view.Heads(s.Findings)
	for i, st := range s.Outline.Stages {
		changes := s.Of(i + 1)
		c.Stages = append(c.Stages, pageStage{Stage: st, No: i + 1, Where: view.Where(st), AtOnce: view.AtOnce(st), Grade: view.Graded(changes), Changes: changes})
	}
	if end := s.Of(0); len(end) > 0 {
		c.Stages = append(c.Stages, pageStage{Stage: event.Stage{Name: "in any case"}, Grade: view.Graded(end), Changes: end})
	}
	return c
}
