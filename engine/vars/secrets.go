package vars

import (
	"slices"
	"strconv"
	"strings"
)

// SecretWords are the parts of a variable's name that make its value a secret.
// A name is cut at underscores: db_password and API_TOKEN_2 match, tokens and
// passwordless do not.
func SecretWords() []string {
	return []string{"password", "passwd", "passphrase", "pass", "secret", "token", "apikey", "credential", "credentials"}
}

// SecretName tells whether a variable's name says that its value is secret: it
// has one of SecretWords, or ends in api_key, access_key or private_key, and
// does not end in a word that says that only the place of a secret is meant
// (file, path, url, name, ...).
func SecretName(name string) bool {
	words := strings.Split(strings.ToLower(name), "_")
	switch words[len(words)-1] {
	case "file", "path", "dir", "url", "name", "length", "ttl", "expiry", "prompt":
		return false
	}
	lower := strings.ToLower(name)
	for _, end := range []string{"api_key", "access_key", "private_key", "secret_key"} {
		if strings.HasSuffix(lower, end) {
			return true
		}
	}
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(SecretWords(), w) })
}

// Secrets lists the texts in plain data that stand under a secret name, at any
// depth, for a secret.Redactor.
func Secrets(vars map[string]any) []string {
	var out []string
	for k, v := range vars {
		out = secretsIn(out, v, SecretName(k))
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

func secretsIn(out []string, v any, secret bool) []string {
	switch v := v.(type) {
	case string:
		if secret && v != "" {
			out = append(out, v)
		}
	case int64:
		if secret {
			out = append(out, strconv.FormatInt(v, 10))
		}
	case []any:
		for _, it := range v {
			out = secretsIn(out, it, secret)
		}
	case map[string]any:
		for k, it := range v {
			out = secretsIn(out, it, secret || SecretName(k))
		}
	}
	return out
}

// Secrets evaluates the scope's variables with a secret name and lists their
// texts. A variable that cannot be evaluated is passed over: it has no value
// that could be shown.
func (s *Scope) Secrets() []string {
	found := map[string]any{}
	for _, name := range s.Names() {
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
	if !SecretName(name) {
		// A plain map may hold secrets deeper down; it need not be evaluated whole.
		n, _ := s.Definition(name)
		if n == nil || len(n.Pairs) == 0 && len(n.Items) == 0 {
			return nil, false
		}
	}
	v, ok, err := s.Lookup(name)
	return v, ok && err == nil
}
