package view

import "io"

// WriteJSON writes the report as one document; see ReportDoc.
func (r *Report) WriteJSON(w io.Writer) error { return writeDocument(w, r) }
