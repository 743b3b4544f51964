// Package shell is what every POSIX host has in common, however it is
// reached: quoting, the text that starts a command, the talk with sudo, and
// the scripts that move files. conn/local and conn/ssh give it a way to start
// a text under /bin/sh; it gives them Run, Get and Put.
package shell

import "strings"

// Quote returns s as one word of POSIX shell text.
func Quote(s string) string {
	if s != "" && strings.IndexFunc(s, special) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Join quotes every word of argv and puts a space between them.
func Join(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = Quote(a)
	}
	return strings.Join(words, " ")
}

// LoginLine is the line for an account's login shell that runs script under
// /bin/sh in the login shell's place. Backslash and exclamation mark stand
// outside the quotes, so that csh and fish read it as POSIX shells do; only
// csh cannot take a script with a line break.
func LoginLine(script string) string {
	return "exec /bin/sh -c '" + loginSpecials().Replace(script) + "'"
}

func loginSpecials() *strings.Replacer {
	return strings.NewReplacer("'", `'\''`, `\`, `'\\'`, "!", `'\!'`)
}

// special tells whether r needs quotes. A word of the others is the same to
// every shell, also as the first word of a command: "=" and "~" are not among them.
func special(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-_./:,@+%", r)
}
