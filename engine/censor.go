package engine

import (
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/secret"
	"github.com/dayops/dayops/engine/source"
)

// presentable is a text of a step for people and records: without the secrets
// that are known, and without those that a name in it gives away. Diffs are
// masked where they are made, of whole files.
func presentable(red *secret.Redactor, text string) string {
	return secret.String(red.Redact(text))
}

// censorStep takes secrets out. What is sealed is compared all the same.
func (r *run) censorStep(s *planfile.Step, hidden bool) {
	red := r.opt.Redactor
	sealed := hidden || red.Redact(string(s.Observed)) != string(s.Observed) || secretive(s.Observed)
	for i := range s.Changes {
		c := &s.Changes[i]
		digest, held := strings.CutPrefix(c.Digest, planfile.Sealed)
		mine := held || hidden || red.Redact(c.Summary+"\n"+c.Diff) != c.Summary+"\n"+c.Diff
		sealed = sealed || mine
		if c.Summary, c.Diff, c.Why, c.Unknown = presentable(red, c.Summary), red.Redact(c.Diff), presentable(red, c.Why), presentable(red, c.Unknown); hidden {
			c.Summary, c.Diff, c.Why, c.Unknown = hiddenText, "", "", ""
		}
		if mine {
			c.Digest = planfile.Sealed + r.opt.Keep.Seal([]byte(digest))
		}
	}
	for i := range s.Findings {
		f := &s.Findings[i]
		if f.Text, f.Hint = presentable(red, f.Text), presentable(red, f.Hint); hidden {
			f.Text, f.Hint = hiddenText, ""
		}
	}
	for _, t := range []*string{&s.Play, &s.Step, &s.Unknown} {
		*t = red.Redact(*t)
	}
	s.Item = presentable(red, s.Item)
	if sealed && len(s.Observed) > 0 {
		s.Sealed, s.Observed = r.opt.Keep.Seal(s.Observed), nil
	}
}

// secretive tells whether a key of the data says that its value is secret, or a
// text in it does.
func secretive(raw json.RawMessage) bool {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return false
	}
	var walk func(any) bool
	walk = func(v any) bool {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				if secret.Name(k) || walk(x) {
					return true
				}
			}
		case string:
			return secret.String(v) != v
		case []any:
			return slices.ContainsFunc(v, walk)
		}
		return false
	}
	return walk(v)
}

// maxSearched bounds the files that are searched for secrets.
const maxSearched = 1 << 20

// fileInput is a file that a step read here. The sum of one that holds a secret
// would let it be guessed, so that one is sealed.
func (r *run) fileInput(path, sum string) planfile.Input {
	in := planfile.Input{Path: path, What: "file", SHA256: sum}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return in
	}
	data, err := source.ReadFile(path, maxSearched)
	if text := string(data); err == nil && presentable(r.opt.Redactor, text) != text {
		in.SHA256, in.HMAC = "", r.opt.Keep.Seal([]byte(sum))
	}
	return in
}
