package view

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/dayops/dayops/engine/event"
)

// JSON writes each event as one line. With --output json nothing else reaches
// standard output; the same lines are a run's history.
type JSON struct {
	w   io.Writer
	buf bytes.Buffer
	enc *json.Encoder
	err error
}

// NewJSON writes to w.
func NewJSON(w io.Writer) *JSON {
	j := &JSON{w: w}
	j.enc = json.NewEncoder(&j.buf)
	j.enc.SetEscapeHTML(false)
	return j
}

// Emit writes e. Progress is for people and is left out. Characters that a
// terminal would obey and that JSON allows as they are (DEL, C1, bidi) are
// written as \u escapes, which mean the same to every reader of JSON.
func (j *JSON) Emit(e event.Event) {
	if e.Kind == event.Progress {
		return
	}
	j.buf.Reset()
	err := j.enc.Encode(e)
	if err == nil {
		_, err = io.WriteString(j.w, Clean(j.buf.String()))
	}
	if err != nil && j.err == nil {
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
