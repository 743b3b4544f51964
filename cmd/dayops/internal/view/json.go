package view

import (
	"encoding/json"
	"io"

	"github.com/dayops/dayops/engine/event"
)

// JSON writes each event as one line. With --output json nothing else reaches
// standard output; the same lines are a run's history.
type JSON struct {
	enc *json.Encoder
	err error
}

// NewJSON writes to w.
func NewJSON(w io.Writer) *JSON {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &JSON{enc: enc}
}

// Emit writes e. Progress is for people and is left out.
func (j *JSON) Emit(e event.Event) {
	if e.Kind == event.Progress {
		return
	}
	if err := j.enc.Encode(e); err != nil && j.err == nil {
		j.err = err
	}
}

// Err is the first error in writing, if any.
func (j *JSON) Err() error { return j.err }

// Many gives every event to each of its sinks.
type Many []event.Sink

// Emit passes e on, in order.
func (m Many) Emit(e event.Event) {
	for _, s := range m {
		s.Emit(e)
	}
}
