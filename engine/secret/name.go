package secret

import (
	"slices"
	"strings"
)

// Words are the parts of a variable's name that make its value a secret.
// A name is cut at underscores: db_password and API_TOKEN_2 match, tokens and
// passwordless do not.
func Words() []string {
	return []string{"password", "passwd", "passphrase", "pass", "secret", "token", "apikey", "credential", "credentials"}
}

// Name tells whether a variable's name says that its value is secret: it
// has one of Words, or ends in api_key, access_key or private_key, and
// does not end in a word that says that only the place of a secret is meant
// (file, path, url, name, ...).
func Name(name string) bool {
	lower := strings.ToLower(name)
	if place(lower) {
		return false
	}
	for _, end := range []string{"api_key", "access_key", "private_key", "secret_key"} {
		if strings.HasSuffix(lower, end) {
			return true
		}
	}
	return slices.ContainsFunc(strings.Split(lower, "_"), func(w string) bool { return slices.Contains(Words(), w) })
}

// place tells whether a name in lower case says where a secret is, or what of it.
func place(lower string) bool {
	switch lower[strings.LastIndexByte(lower, '_')+1:] {
	case "file", "path", "dir", "url", "name", "length", "ttl", "expiry", "prompt":
		return true
	}
	return false
}
