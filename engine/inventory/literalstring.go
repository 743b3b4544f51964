package inventory

import (
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/strictyaml"
)

// strings reads one or more string literals side by side, which Python joins.
func (p *literal) strings(start int) (*strictyaml.Node, bool) {
	var b strings.Builder
	for n := 0; ; n++ {
		p.space()
		at := p.i
		for p.i < len(p.text) && strings.ContainsRune("rRuUbB", p.text[p.i]) && p.i-at < 2 {
			p.i++
		}
		if p.i == len(p.text) || p.text[p.i] != '\'' && p.text[p.i] != '"' {
			p.i = at
			if n == 0 {
				return nil, false
			}
			break
		}
		if !p.oneString(&b, strings.ContainsAny(string(p.text[at:p.i]), "rR")) {
			return nil, false
		}
	}
	n := p.node(start)
	n.Kind, n.Value, n.Raw, n.Quote = strictyaml.Scalar, b.String(), b.String(), true
	return n, true
}

// oneString reads from the opening quote (or three of them) to the closing one.
func (p *literal) oneString(b *strings.Builder, raw bool) bool {
	quote := string(p.text[p.i])
	if p.has(strings.Repeat(quote, 3)) {
		quote = strings.Repeat(quote, 3)
	}
	p.i += len(quote)
	for p.i < len(p.text) {
		switch {
		case p.has(quote):
			p.i += len(quote)
			return true
		case p.text[p.i] == '\\' && p.i+1 == len(p.text):
			return false
		case p.text[p.i] == '\\' && raw:
			b.WriteString(string(p.text[p.i : p.i+2]))
			p.i += 2
		case p.text[p.i] == '\\':
			if !p.escape(b) {
				return false
			}
		default:
			b.WriteRune(p.text[p.i])
			p.i++
		}
	}
	return false
}

func (p *literal) has(s string) bool {
	r := []rune(s)
	return p.i+len(r) <= len(p.text) && string(p.text[p.i:p.i+len(r)]) == s
}

// escape reads one escape sequence; an unknown one stays as it is written.
func (p *literal) escape(b *strings.Builder) bool {
	simple := map[rune]string{'\\': "\\", '\'': "'", '"': "\"", 'n': "\n", 't': "\t", 'r': "\r",
		'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v"}
	r := p.text[p.i+1]
	if s, ok := simple[r]; ok {
		b.WriteString(s)
		p.i += 2
		return true
	}
	switch digits := map[rune]int{'x': 2, 'u': 4, 'U': 8}[r]; {
	case digits > 0:
		return p.code(b, p.i+2, digits, 16, true)
	case r >= '0' && r <= '7':
		return p.code(b, p.i+1, 3, 8, false)
	case r == 'N':
		return false // \N{NAME}: no table of names here, so the text stays as it is
	}
	b.WriteString(string(p.text[p.i : p.i+2]))
	p.i += 2
	return true
}

// code reads up to n digits from index i as a character.
func (p *literal) code(b *strings.Builder, i, n, base int, exact bool) bool {
	end := i
	for end < len(p.text) && end-i < n {
		if _, err := strconv.ParseUint(string(p.text[end]), base, 8); err != nil {
			break
		}
		end++
	}
	v, err := strconv.ParseUint(string(p.text[i:end]), base, 32)
	if err != nil || exact && end-i != n || v > 0x10ffff {
		return false
	}
	b.WriteRune(rune(v))
	p.i = end
	return true
}
