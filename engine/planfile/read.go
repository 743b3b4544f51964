package planfile

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a file.
const (
	MaxBytes = 256 << 20
	MaxSteps = 1_000_000
	maxDepth = 64
)

// BadError says what is wrong with a file that should be a saved plan.
type BadError struct {
	Where string // "steps[3].changes[0].risk"; "" for the whole
	Text  string
}

func (e *BadError) Error() string {
	if e.Where == "" {
		return "this is no saved plan that can be used: " + e.Text
	}
	return fmt.Sprintf("this is no saved plan that can be used: %s: %s", e.Where, e.Text)
}

// Encode writes p as it is kept: indented JSON, so that a review shows lines.
func Encode(p *Plan) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(p)
	return b.Bytes(), err
}

// Decode reads a plan and refuses what it does not know: it was written by a
// program, and what is not as that program writes it was tampered with or cut off.
func Decode(data []byte) (*Plan, error) {
	if len(data) > MaxBytes {
		return nil, &BadError{Text: fmt.Sprintf("it is larger than %d MiB", MaxBytes>>20)}
	}
	if !utf8.Valid(data) {
		return nil, &BadError{Text: "it is not UTF-8"}
	}
	if err := shallow(data); err != nil {
		return nil, err
	}
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, &BadError{Text: err.Error()}
	}
	switch {
	case head.Format != Format:
		return nil, &BadError{Where: "format", Text: fmt.Sprintf("%q, not %q", head.Format, Format)}
	case head.Version != Version:
		return nil, &BadError{Where: "version", Text: fmt.Sprintf("%d; this dayops reads %d: make the plan again", head.Version, Version)}
	}
	var p Plan
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return nil, &BadError{Text: err.Error()}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, &BadError{Text: "something follows the plan"}
	}
	return &p, p.check()
}

// shallow bounds how deep values lie in one another.
func shallow(data []byte) error {
	depth, text, esc := 0, false, false
	for _, c := range data {
		switch {
		case esc:
			esc = false
		case text:
			esc, text = c == '\\', c != '"'
		case c == '"':
			text = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return &BadError{Text: "it is nested too deeply"}
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

func (p *Plan) check() error {
	switch {
	case p.Playbook == "":
		return &BadError{Where: "playbook", Text: "missing"}
	case p.Made.IsZero():
		return &BadError{Where: "made", Text: "missing"}
	case len(p.Steps) > MaxSteps:
		return &BadError{Where: "steps", Text: "too many"}
	case !isRisk(p.Risk):
		return &BadError{Where: "risk", Text: fmt.Sprintf("%q is no risk", p.Risk)}
	}
	for i, in := range p.Inputs {
		if in.Path == "" || (in.SHA256 == "") == (in.HMAC == "") || !isSum(in.SHA256+in.HMAC) {
			return &BadError{Where: fmt.Sprintf("inputs[%d]", i), Text: "must have a path and one sum"}
		}
	}
	for i, e := range p.Options.Extra {
		if (e.Arg == "") == (e.HMAC == "") || e.HMAC != "" && (!isSum(e.HMAC) || len(e.Names) == 0) {
			return &BadError{Where: fmt.Sprintf("options.extra[%d]", i), Text: "must be what was given, or names and a sum"}
		}
	}
	known := map[string]bool{}
	for i, h := range p.Hosts {
		if h.Name == "" || known[h.Name] {
			return &BadError{Where: fmt.Sprintf("hosts[%d]", i), Text: "without a name, or twice"}
		}
		known[h.Name] = true
	}
	seen := map[Key]bool{}
	for i := range p.Steps {
		s := &p.Steps[i]
		if bad := s.check(); bad != "" {
			return &BadError{Where: fmt.Sprintf("steps[%d]", i), Text: bad}
		}
		if seen[s.Key()] {
			return &BadError{Where: fmt.Sprintf("steps[%d]", i), Text: fmt.Sprintf("step %s on %s stands there twice", s.ID, s.Host)}
		}
		seen[s.Key()] = true
	}
	return p.checkClusters(seen)
}

// checkClusters refuses plans of clusters that do not fit their steps.
func (p *Plan) checkClusters(steps map[Key]bool) error {
	stages := map[Key]int{}
	for i, c := range p.Clusters {
		bad := ""
		switch {
		case c.OnFailure != "stop" && c.OnFailure != "rollback":
			bad = fmt.Sprintf("on_failure %q", c.OnFailure)
		case len(c.Hosts) == 0 || len(c.Stages) == 0:
			bad = "without hosts or stages"
		}
		for _, h := range c.Hosts {
			k := Key{c.ID, h, 0}
			if !steps[k] || stages[k] > 0 {
				bad = fmt.Sprintf("step %s on %s is not there, or in two of them", c.ID, h)
			}
			stages[k] = len(c.Stages)
		}
		if bad != "" {
			return &BadError{Where: fmt.Sprintf("clusters[%d]", i), Text: bad}
		}
	}
	for i, s := range p.Steps {
		for j, c := range s.Changes {
			if n := stages[s.Key()]; c.Stage < 0 || c.Stage > n || c.Until < 0 || c.Until > n {
				return &BadError{Where: fmt.Sprintf("steps[%d].changes[%d]", i, j), Text: fmt.Sprintf("stage %d, until %d of %d", c.Stage, c.Until, n)}
			}
		}
	}
	return nil
}

func (s *Step) check() string {
	switch {
	case s.ID == "" || s.Host == "" || s.N < 0:
		return "without id or host"
	case !slices.Contains([]string{"changed", "ok", "skipped", "ignored", "unknown"}, s.Status):
		return fmt.Sprintf("status %q", s.Status)
	case (s.Status == "unknown") != (s.MaxRisk != "") || s.MaxRisk != "" && !isRisk(s.MaxRisk):
		return fmt.Sprintf("max_risk %q of status %s", s.MaxRisk, s.Status)
	case len(s.Changes) > 0 && s.Status == "skipped":
		return "changes of a step that is skipped"
	case s.Sealed != "" && !isSum(s.Sealed):
		return "sealed is no sum"
	case len(s.Observed) > 0 && s.Sealed != "":
		return "observed and sealed"
	}
	for i, c := range s.Changes {
		switch {
		case c.Kind == "" || c.Summary == "":
			return fmt.Sprintf("changes[%d] without kind or summary", i)
		case !isRisk(c.Risk):
			return fmt.Sprintf("changes[%d]: risk %q", i, c.Risk)
		case !slices.Contains([]string{"exact", "partial", "none"}, c.Undo):
			return fmt.Sprintf("changes[%d]: undo %q", i, c.Undo)
		case !isSum(strings.TrimPrefix(c.Digest, Sealed)):
			return fmt.Sprintf("changes[%d]: digest %q", i, c.Digest)
		}
	}
	return ""
}

// Sealed stands before a digest that is an HMAC.
const Sealed = "hmac:"

func isSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && s == strings.ToLower(s)
}

func isRisk(s string) bool { return slices.Contains([]string{"safe", "disruptive", "destructive"}, s) }
