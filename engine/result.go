package engine

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/task"
)

// result is what one step gave on one host, or one item of its loop.
type result struct {
	status   event.Status
	text     string
	err      error
	item     string // a loop's value as it is shown
	loopVar  string // its name, and
	value    any    // the value itself
	target   string // where it happened; "" or the host itself, unless delegated
	attempts int    // of a step with retries or until
	changes  []event.Change
	findings []task.Finding
	outcome  task.Outcome
	missed   []change.Missed // by the plan
	own      any             // the task's own result struct
	unknown  string          // the step that must run before this one can be planned
	changed  bool
	hidden   bool // no_log
	recalled bool // an earlier controller of the run had it
	items    []result
	facts    map[string]any
	planned  []task.Step
	places   []placed       // of planned, of a cluster task
	in       *task.AnyInput // what the plan was made of; nil without one
}

// place puts in where the changes stand in the plan of a cluster task.
func (r *result) place(places []placed) {
	r.places = places
	for i, p := range places {
		c := &r.changes[i]
		if c.Stage, c.Until = p.stage, p.until; c.Summary != hiddenText {
			c.Unknown = p.unknown
		}
	}
}

// registered is what `register` sees: the engine's keys and the task's own.
func (r *result) registered() map[string]any {
	v := map[string]any{"changed": r.changed, "failed": r.status == event.Failed || r.status == event.Ignored, "skipped": r.status == event.Skipped}
	for k, x := range plain(r.own) {
		v[k] = x
	}
	if e := lastExec(r.outcome); e != nil {
		out, errs := e.Stdout.String(), e.Stderr.String()
		v["rc"] = int64(e.Code)
		v["stdout"], v["stderr"] = strings.TrimRight(out, "\r\n"), strings.TrimRight(errs, "\r\n")
		v["stdout_lines"], v["stderr_lines"] = lines(out), lines(errs)
	}
	if _, ok := v["msg"]; !ok && (r.text != "" || r.err != nil) {
		v["msg"] = r.text
		if r.err != nil {
			v["msg"] = r.err.Error()
		}
	}
	if r.attempts > 0 {
		v["attempts"] = int64(r.attempts)
	}
	if r.loopVar != "" {
		v[r.loopVar], v["ansible_loop_var"] = r.value, r.loopVar
	}
	if r.items != nil {
		all := make([]any, len(r.items))
		for i := range r.items {
			all[i] = r.items[i].registered()
		}
		v["results"] = all
	}
	return v
}

// confidential is what a no_log step registered but for the program it ran and
// its exit code. They are no secrets, and masked they would spoil all that is
// said later: "exit code 1" of another step too.
func (r *result) confidential() map[string]any {
	v := r.registered()
	if exit := (*ExitError)(nil); errors.As(r.err, &exit) {
		delete(v, "msg")
	}
	if argv, ok := v["cmd"].([]any); ok && len(argv) > 0 {
		v["cmd"] = argv[1:]
	}
	if r.items != nil {
		all := make([]any, len(r.items))
		for i := range r.items {
			all[i] = r.items[i].confidential()
		}
		v["results"] = all
	}
	return v
}

func lines(s string) []any {
	s = strings.TrimRight(s, "\r\n")
	if s == "" {
		return []any{}
	}
	var out []any
	for l := range strings.SplitSeq(s, "\n") {
		out = append(out, strings.TrimSuffix(l, "\r"))
	}
	return out
}

func lastExec(o task.Outcome) *conn.Result {
	for i := len(o.Steps) - 1; i >= 0; i-- {
		if e := o.Steps[i].Exec; e != nil {
			return e
		}
	}
	return nil
}

// plain turns a task's result struct into data by its yaml tags.
func plain(v any) map[string]any {
	if v == nil {
		return nil
	}
	m, _ := toData(reflect.ValueOf(v)).(map[string]any)
	return m
}

func toData(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return toData(v.Elem())
	case reflect.Struct:
		return structData(v)
	case reflect.Map:
		m := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			m[fmt.Sprint(it.Key())] = toData(it.Value())
		}
		return m
	case reflect.Slice, reflect.Array:
		s := make([]any, v.Len())
		for i := range s {
			s[i] = toData(v.Index(i))
		}
		return s
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return int64(v.Uint())
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return v.String()
	}
	return fmt.Sprint(v.Interface())
}

func structData(v reflect.Value) any {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	m := map[string]any{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case opts == "inline":
			if in, ok := toData(v.Field(i)).(map[string]any); ok {
				for k, x := range in {
					m[k] = x
				}
			}
		case name != "":
			if opts == "omitempty" && v.Field(i).IsZero() {
				continue
			}
			m[name] = toData(v.Field(i))
		}
	}
	return m
}

// merge makes one result of a loop's items, as Ansible counts them: failed if
// any failed, else unknown, changed, or ok; skipped only if all were.
func merge(items []result) result {
	r := result{status: event.Skipped, items: items}
	rank := map[event.Status]int{event.Skipped: 0, event.OK: 1, event.Changed: 2, event.Unknown: 3, event.Partial: 4, event.Ignored: 5, event.Failed: 6}
	for _, it := range items {
		if rank[it.status] > rank[r.status] {
			r.status = it.status
		}
		r.changed = r.changed || it.changed
		r.changes = append(r.changes, it.changes...)
		if it.err != nil {
			r.err = it.err
		}
		if it.unknown != "" {
			r.unknown = it.unknown
		}
		r.hidden = r.hidden || it.hidden
		for k, v := range it.facts {
			if r.facts == nil {
				r.facts = map[string]any{}
			}
			r.facts[k] = v
		}
	}
	if len(items) == 0 {
		r.text = "the loop is empty"
	}
	return r
}

// describe turns planned steps into their event form.
func describe(steps []task.Step, self string, hide bool) []event.Change {
	var out []event.Change
	for _, st := range steps {
		c := st.Change
		e := event.Change{Kind: c.Kind(), Risk: c.Risk().String(), Undo: c.Reversal().Class.String()}
		if hide {
			e.Summary = hiddenText
		} else {
			e.Summary, e.Diff, e.Why = c.Summary(), c.Diff(), c.Reversal().Why
		}
		if st.Host != self {
			e.Host = st.Host
		}
		out = append(out, e)
	}
	return out
}

func opaque(p task.Plan) bool {
	for _, st := range p.Changes() {
		if st.Change.Opaque() {
			return true
		}
	}
	return false
}

// missed collects what a transfer could not take.
func missed(o task.Outcome) []change.Missed {
	var all []change.Missed
	for _, s := range o.Steps {
		all = append(all, s.Missed...)
	}
	return all
}
