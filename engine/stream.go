package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/secret"
)

// stream puts events into one order, stamps them and takes secrets out.
type stream struct {
	mu     sync.Mutex
	seq    int64
	run    string
	now    func() time.Time
	sink   event.Sink
	secret *secret.Redactor
}

func (s *stream) emit(e event.Event) {
	redactEvent(&e, s.secret)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Kind != event.Progress { // which is not kept: the record has no gaps
		s.seq++
		e.Seq = s.seq
	}
	e.V, e.Run, e.Time = event.Version, s.run, s.now().UTC()
	s.sink.Emit(e)
}

// redactEvent masks every text of an event. The journal is not an event.
func redactEvent(e *event.Event, r *secret.Redactor) {
	for _, s := range []*string{&e.Play, &e.Step, &e.Item, &e.Text, &e.Cause, &e.Hint, &e.Stdout, &e.Stderr} {
		*s = r.Redact(*s)
	}
	if e.Item = secret.String(e.Item); e.Kind == event.Finding {
		e.Text, e.Hint = secret.String(e.Text), secret.String(e.Hint)
	}
	for i, d := range e.Details {
		e.Details[i] = r.Redact(d)
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		c.Summary, c.Diff, c.Why, c.Unknown = presentable(r, c.Summary), r.Redact(c.Diff), presentable(r, c.Why), presentable(r, c.Unknown)
	}
	for i := range e.Stages {
		s := &e.Stages[i]
		s.Name, s.Does = r.Redact(s.Name), presentable(r, s.Does)
	}
	if e.Data != nil {
		e.Data, _ = redactAny(e.Data, r).(map[string]any)
	}
}

func redactAny(v any, r *secret.Redactor) any {
	switch v := v.(type) {
	case string:
		return r.Redact(v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[r.Redact(k)] = redactAny(x, r)
			if k == "cmd" {
				out[k] = maskedWords(out[k])
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = redactAny(x, r)
		}
		return out
	case []string:
		out := make([]string, len(v))
		for i, x := range v {
			out[i] = r.Redact(x)
		}
		return out
	case int64, int, float64:
		if text := fmt.Sprint(v); r.Redact(text) != text {
			return secret.Mask
		}
	}
	return v
}

// maskedWords masks in what a command registers as its words or its text.
func maskedWords(v any) any {
	switch v := v.(type) {
	case string:
		return secret.String(v)
	case []any:
		words := make([]string, len(v))
		for i, x := range v {
			words[i] = fmt.Sprint(x)
		}
		out := make([]any, len(v))
		for i, w := range secret.Args(words) {
			out[i] = w
		}
		return out
	}
	return v
}
