// Package secret keeps values that must never be seen: a type that prints as
// ***, and a Redactor that takes them out of everything that people and
// programs read.
package secret

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Mask stands wherever a secret would.
const Mask = "***"

// Value is a secret. Every way of printing or encoding it gives Mask; only
// Reveal gives the text.
type Value struct{ text string }

// New wraps text.
func New(text string) Value { return Value{text} }

// Reveal is the text itself. Call it only where the secret is spent.
func (v Value) Reveal() string { return v.text }

// IsSet tells whether there is a secret at all.
func (v Value) IsSet() bool { return v.text != "" }

func (v Value) String() string               { return Mask }
func (v Value) GoString() string             { return Mask }
func (v Value) MarshalJSON() ([]byte, error) { return json.Marshal(Mask) }
func (v Value) MarshalText() ([]byte, error) { return []byte(Mask), nil }
func (v Value) LogValue() slog.Value         { return slog.StringValue(Mask) }

// minLength keeps a secret like "a" from blanking every text.
const minLength = 4

// Redactor replaces known secrets by Mask, also in the forms that quoting and
// encoding give them. Safe for concurrent use; the zero Redactor knows none.
type Redactor struct {
	mu    sync.Mutex
	known map[string]bool
	forms *strings.Replacer // of known; nil when some were added since
}

// Add makes the redactor know texts. Texts shorter than four characters are
// ignored: they would make every output unreadable.
func (r *Redactor) Add(texts ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, text := range texts {
		if len(text) < minLength || r.known[text] {
			continue
		}
		if r.known == nil {
			r.known = map[string]bool{}
		}
		r.known[text], r.forms = true, nil
	}
}

// Redact returns s with every known secret masked.
func (r *Redactor) Redact(s string) string {
	if r == nil {
		return s
	}
	return r.replacer().Replace(s)
}

// replacer is made when it is first needed: adding many secrets costs one.
func (r *Redactor) replacer() *strings.Replacer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.forms == nil {
		r.forms = replacer(r.known)
	}
	return r.forms
}

func replacer(known map[string]bool) *strings.Replacer {
	var forms []string
	for k := range known {
		j, _ := json.Marshal(k)
		forms = append(forms, k, string(j[1:len(j)-1]), url.QueryEscape(k), url.PathEscape(k),
			strings.ReplaceAll(k, "'", `'\''`),
			base64.StdEncoding.EncodeToString([]byte(k)), base64.RawStdEncoding.EncodeToString([]byte(k)),
			base64.URLEncoding.EncodeToString([]byte(k)))
		for _, line := range strings.Split(k, "\n") {
			if line = strings.TrimSpace(line); len(line) >= minLength {
				forms = append(forms, line)
			}
		}
	}
	// Longest first: a form must not be half replaced by a shorter one.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(forms))
	for _, f := range forms {
		pairs = append(pairs, f, Mask)
	}
	return strings.NewReplacer(pairs...)
}
