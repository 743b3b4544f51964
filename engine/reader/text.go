package reader

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable is s with control characters and bytes that are not UTF-8 written
// as \x1b, so that a host's names can neither move a cursor nor forge a line.
func Printable(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteString(s[i : i+n])
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// special are the mode bits above 0777, as Unix and as Go has them.
func special() [3]specialBit {
	return [3]specialBit{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}}
}

type specialBit struct {
	unix uint32
	mode fs.FileMode
}

// ModeOf is a mode as chmod and stat have it (04755) in Go's bits.
func ModeOf(unix uint32) fs.FileMode {
	m := fs.FileMode(unix & 0o777)
	for _, s := range special() {
		if unix&s.unix != 0 {
			m |= s.mode
		}
	}
	return m
}

// Octal is a mode as chmod reads it: "0644", "4755".
func Octal(m fs.FileMode) string {
	n := uint32(m.Perm())
	for _, s := range special() {
		if m&s.mode != 0 {
			n |= s.unix
		}
	}
	return fmt.Sprintf("%04o", n)
}
