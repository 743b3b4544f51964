package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// Keep takes what a forecast gives to a saved plan.
type Keep struct {
	// Seal is an HMAC in lower-case hex under a key that stays on this machine.
	Seal func(data []byte) string

	Steps    []planfile.Step
	Clusters []planfile.Cluster
	Hosts    []planfile.Host
	Files    []planfile.Input // that steps read on this machine
}

// StaleError: what a saved plan stands on has moved. Nothing was done.
type StaleError struct{ Differences []planfile.Difference }

func (e *StaleError) Error() string {
	n := len(e.Differences)
	if n == 1 {
		return "the plan is stale: " + e.Differences[0].String()
	}
	return fmt.Sprintf("the plan is stale: %s, and %d more", e.Differences[0], n-1)
}

// written is a plan of one host as the file has it; texts are not yet censored.
func written(o *seen, it *result) *planfile.Step {
	s := &planfile.Step{
		Play: o.play, ID: o.step, Step: o.s.Title(), Task: o.s.Task, Handler: o.s.Handler, Host: o.host, N: o.n, Status: string(o.status), Unknown: o.unknown,
		Changes: changesOf(it.planned, o.target),
	}
	if o.target != o.host {
		s.Target = o.target
	}
	if o.status == event.Unknown {
		s.MaxRisk = o.s.MaxRisk().String()
	}
	if o.hidden {
		s.Item = ""
	} else {
		s.Item = it.item
	}
	for i, p := range it.places {
		c := &s.Changes[i]
		c.Stage, c.Unknown, c.Until = p.stage, p.unknown, p.until
	}
	for i, st := range it.planned {
		if change.Secretive(st.Change) {
			s.Changes[i].Digest = planfile.Sealed + s.Changes[i].Digest // censorStep seals it
		}
	}
	for _, f := range it.findings {
		s.Findings = append(s.Findings, planfile.Finding{Host: f.Host, Head: f.Head, Status: string(findingStatus(f.Status)), Text: f.Text, Hint: f.Hint})
	}
	if it.in != nil && it.in.Err == nil {
		s.Observed = observation(it.in.State)
	}
	return s
}

func changesOf(steps []task.Step, self string) []planfile.Change {
	var out []planfile.Change
	for _, st := range steps {
		c, rev := st.Change, st.Change.Reversal()
		w := planfile.Change{Kind: c.Kind(), Summary: c.Summary(), Diff: c.Diff(), Risk: c.Risk().String(), Undo: rev.Class.String(), Why: rev.Why, Digest: change.Digest(c)}
		if st.Host != "" && st.Host != self {
			w.Host = st.Host
		}
		out = append(out, w)
	}
	return out
}

// keepAll fills the Keep once the forecast is through and all secrets are known.
func (r *run) keepAll(ctx context.Context, f *forecast) {
	k := r.opt.Keep
	f.sort(r.opt.Inventory.Hosts())
	k.Steps, k.Files, k.Clusters = nil, nil, nil
	for _, o := range f.order {
		if o.written != nil {
			r.censorStep(o.written, o.hidden)
			k.Steps = append(k.Steps, *o.written)
		}
	}
	for _, c := range f.clusters {
		for i := range c.Stages {
			st := &c.Stages[i]
			st.Name, st.Does = r.opt.Redactor.Redact(st.Name), presentable(r.opt.Redactor, st.Does)
		}
		k.Clusters = append(k.Clusters, c)
	}
	used := r.sums.Used()
	for _, path := range slices.Sorted(maps.Keys(used)) {
		k.Files = append(k.Files, r.fileInput(path, used[path]))
	}
	k.Hosts = r.identities(ctx)
}

// identities say who answers under each name that the run has connected to.
func (r *run) identities(ctx context.Context) []planfile.Host {
	names := slices.Sorted(maps.Keys(r.hosts))
	out := make([]*planfile.Host, len(names))
	atOnce(r.opt.Forks, len(names), func(i int) {
		l := r.pool.link(names[i])
		if l.conn == nil {
			return
		}
		_ = recovered(func() error {
			f, err := r.host(names[i]).gather(ctx, l, r.opt.Now)
			if err != nil {
				return err
			}
			h := &planfile.Host{Name: names[i], OS: strings.TrimSpace(f.OS.ID + " " + f.OS.VersionID), Arch: f.Arch}
			id, err := limited{Reader: reader.New(l.conn, "")}.ReadFile(ctx, "/etc/machine-id", 128)
			if err == nil {
				h.Machine = strings.TrimSpace(string(id))
			}
			out[i] = h
			return nil
		})
	})
	var hosts []planfile.Host
	for i, h := range out {
		if h == nil && r.pool.link(names[i]).conn != nil {
			h = &planfile.Host{Name: names[i]}
		}
		if h != nil {
			hosts = append(hosts, *h)
		}
	}
	return hosts
}

// stale compares a forecast of now with the saved plan.
func (r *run) stale(ctx context.Context, sh *run) *StaleError {
	sh.keepAll(ctx, sh.seen)
	saved, now := r.opt.Saved, sh.opt.Keep
	var files []planfile.Input
	for _, in := range saved.Inputs {
		if in.What == "file" {
			files = append(files, in)
		}
	}
	d := planfile.Hosts(saved.Hosts, now.Hosts)
	d = append(d, planfile.Inputs(files, now.Files)...)
	d = append(d, planfile.Steps(saved.Steps, now.Steps)...)
	d = append(d, planfile.Clusters(saved.Clusters, now.Clusters)...)
	if len(d) == 0 {
		return nil
	}
	return &StaleError{d}
}

// asSaved holds the plan of a step that was reached against the saved one. What
// was unknown then may do no more than was declared.
func (r *run) asSaved(ctx context.Context, o *seen, steps []task.Step) error {
	if r.opt.Saved == nil || len(steps) == 0 {
		return nil
	}
	was := r.savedStep(o)
	now := &planfile.Step{Status: string(event.Changed), Changes: changesOf(steps, o.target)}
	why := ""
	switch {
	case was == nil:
		why = "it is not in the plan"
	case was.Status == string(event.Unknown) && len(was.Changes) == 0:
		if highest(steps) <= riskNamed(was.MaxRisk) {
			return nil
		}
		why = fmt.Sprintf("the plan allows it no more than %s", was.MaxRisk)
	case !r.sameDeeds(was.Changes, now.Changes):
		why = fmt.Sprintf("in the plan it is: %s", summariesOf(was.Changes))
	default:
		return nil
	}
	need := max(highest(steps), change.Safe)
	step := RefusedStep{Play: o.play, Step: o.s.Title(), ID: o.step, Risk: need, Hosts: []string{o.target}, Why: why}
	for _, c := range now.Changes {
		if o.hidden {
			c.Summary = hiddenText
		}
		step.Changes = append(step.Changes, c.Summary)
	}
	if r.ask(ctx, Ask{Need: need, Steps: []RefusedStep{step}, Hosts: step.Hosts, Late: true}) {
		r.grant(o.key, need)
		return nil
	}
	return &RefusedError{Need: need, Steps: []RefusedStep{step}, Late: true, Moved: true}
}

func (r *run) savedStep(o *seen) *planfile.Step {
	if s := r.saved[planfile.Key{ID: o.step, Host: o.host, N: o.n}]; s != nil {
		return s
	}
	// A loop whose values were unknown stands for each of its items.
	if s := r.saved[planfile.Key{ID: o.step, Host: o.host}]; s != nil && o.s.Loop != nil && s.Item == "" && s.Status == string(event.Unknown) {
		return s
	}
	return nil
}

func bySavedKey(p *planfile.Plan) map[planfile.Key]*planfile.Step {
	if p == nil {
		return nil
	}
	m := map[planfile.Key]*planfile.Step{}
	for i := range p.Steps {
		m[p.Steps[i].Key()] = &p.Steps[i]
	}
	return m
}

func (r *run) sameDeeds(was, now []planfile.Change) bool {
	return slices.EqualFunc(was, now, func(a, b planfile.Change) bool {
		digest := b.Digest
		if strings.HasPrefix(a.Digest, planfile.Sealed) {
			digest = planfile.Sealed + r.opt.Seal([]byte(digest))
		}
		return a.Kind == b.Kind && a.Host == b.Host && a.Risk == b.Risk && a.Digest == digest
	})
}

func summariesOf(cs []planfile.Change) string {
	if len(cs) == 0 {
		return "no change"
	}
	var out []string
	for _, c := range cs {
		out = append(out, c.Summary)
	}
	return strings.Join(out, ", ")
}

func riskNamed(word string) change.Risk {
	for _, r := range []change.Risk{change.Disruptive, change.Destructive} {
		if r.String() == word {
			return r
		}
	}
	return change.Safe
}

// tellStale names all that has moved.
func (r *run) tellStale(e *StaleError) {
	n := event.Event{Kind: event.Note, Status: event.Failed, Text: "the plan is stale, nothing was done on any host", Hint: "make the plan again, and review it"}
	for i, d := range e.Differences {
		if i == maxToldStale {
			n.Details = append(n.Details, fmt.Sprintf("and %d more", len(e.Differences)-i))
			break
		}
		n.Details = append(n.Details, d.String())
	}
	r.emit(n)
}

const maxToldStale = 200
