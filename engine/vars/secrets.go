package vars

import (
	"slices"
	"strconv"

	"github.com/dayops/dayops/engine/secret"
)

// Secrets lists the texts in plain data that stand under a secret name, at any
// depth, for a secret.Redactor.
func Secrets(vars map[string]any) []string {
	var out []string
	for k, v := range vars {
		out = secretsIn(out, v, secret.Name(k))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// SecretTexts lists every text in plain data: for what stands under no_log.
func SecretTexts(v any) []string {
	out := secretsIn(nil, v, true)
	slices.Sort(out)
	return slices.Compact(out)
}

func secretsIn(out []string, v any, hidden bool) []string {
	switch v := v.(type) {
	case string:
		if hidden && v != "" {
			out = append(out, v)
		}
	case int64:
		if hidden {
			out = append(out, strconv.FormatInt(v, 10))
		}
	case []any:
		for _, it := range v {
			out = secretsIn(out, it, hidden)
		}
	case map[string]any:
		for k, it := range v {
			out = secretsIn(out, it, hidden || secret.Name(k))
		}
	}
	return out
}

// Secrets evaluates those of the named variables that have a secret name, or
// hold one deeper down, and lists their texts. A variable that cannot be evaluated is passed over: it has no value
// that could be shown.
func (s *Scope) Secrets(names ...string) []string {
	found := map[string]any{}
	for _, name := range names {
		if v, ok := s.secretValue(name); ok {
			found[name] = v
		}
	}
	return Secrets(found)
}

func (s *Scope) secretValue(name string) (any, bool) {
	if isMagic(name) {
		return nil, false
	}
	if !secret.Name(name) {
		// A plain map may hold secrets deeper down; it need not be evaluated whole.
		n, _ := s.Definition(name)
		if n == nil || len(n.Pairs) == 0 && len(n.Items) == 0 {
			return nil, false
		}
	}
	v, ok, err := s.Lookup(name)
	return v, ok && err == nil
}
