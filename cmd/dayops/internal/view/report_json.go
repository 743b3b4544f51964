package view

import (
	"bytes"
	"encoding/json"
	"io"
)

// WriteJSON writes the report as one document; see ReportDoc. As with events,
// what a terminal would obey is written as \u escapes.
func (r *Report) WriteJSON(w io.Writer) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(r); err != nil {
		return err
	}
	_, err := io.WriteString(w, Clean(b.String()))
	return err
}
