package vars

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/tokens"
)

// str reads a quoted string with Python's escapes; an escape that Python does
// not know keeps its backslash, which is what '\.' in a pattern relies on.
func (l *lexer) str(quote byte) *syntaxError {
	at := l.pos
	var b strings.Builder
	i := at + 1
	for i < len(l.src) && l.src[i] != quote {
		if l.src[i] != '\\' || i+1 >= len(l.src) {
			b.WriteByte(l.src[i])
			i++
			continue
		}
		text, n := unescape(l.src[i:])
		b.WriteString(text)
		i += n
	}
	if i >= len(l.src) {
		return &syntaxError{at: at, end: at + 1, text: "string without an end", hint: "close it with " + string(quote)}
	}
	l.pos = i + 1
	l.emit(tokens.String, b.String(), at)
	return nil
}

// simpleEscape is what a backslash and c stand for.
func simpleEscape(c byte) (string, bool) {
	switch c {
	case '\\', '\'', '"':
		return string(rune(c)), true
	case '\n': // the text goes on in the next line
		return "", true
	}
	if i := strings.IndexByte("ntrbfva", c); i >= 0 {
		return "\n\t\r\b\f\v\a"[i : i+1], true
	}
	return "", false
}

// unescape reads the escape at the start of s and tells its length. Unlike
// Python it knows no octal escapes: '\1' is what people write for a group, and
// Python makes a control character of it without a word.
func unescape(s string) (string, int) {
	if r, ok := simpleEscape(s[1]); ok {
		return r, 2
	}
	width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
	if width > 0 && len(s) >= 2+width {
		if v, err := strconv.ParseUint(s[2:2+width], 16, 32); err == nil && utf8.ValidRune(rune(v)) {
			return string(rune(v)), 2 + width
		}
	}
	return s[:2], 2
}

// number emits an integer or a float; after a dot (list.0) only digits count.
func (l *lexer) number() *syntaxError {
	at := l.pos
	afterDot := len(l.out) > 0 && l.out[len(l.out)-1].Type == tokens.Dot
	typ := tokens.Integer
	switch rest := l.src[at:]; {
	case !afterDot && len(rest) > 2 && rest[0] == '0' && strings.IndexByte("xob", rest[1]|0x20) >= 0:
		l.pos += 2
		for l.pos < len(l.src) && isWordByte(l.src[l.pos]) {
			l.pos++
		}
	default:
		l.digits()
		if afterDot {
			break
		}
		if l.pos+1 < len(l.src) && l.src[l.pos] == '.' && l.src[l.pos+1] >= '0' && l.src[l.pos+1] <= '9' {
			typ = tokens.Float
			l.pos++
			l.digits()
		}
		typ = l.exponent(typ)
	}
	text := strings.ReplaceAll(l.src[at:l.pos], "_", "")
	if l.pos < len(l.src) && isWordByte(l.src[l.pos]) {
		return l.fail(at, "a number runs into a name", "quote it if it is text")
	}
	if typ == tokens.Integer {
		base := 10
		if len(text) > 1 && text[0] == '0' && (text[1] < '0' || text[1] > '9') {
			base = 0
		}
		v, err := strconv.ParseInt(text, base, 64)
		if err != nil {
			return l.fail(at, "a number out of range or malformed", "")
		}
		text = strconv.FormatInt(v, 10)
	} else if _, err := strconv.ParseFloat(text, 64); err != nil {
		return l.fail(at, "a number out of range or malformed", "")
	}
	l.emit(typ, text, at)
	return nil
}

func (l *lexer) digits() {
	for l.pos < len(l.src) && (l.src[l.pos] >= '0' && l.src[l.pos] <= '9' || l.src[l.pos] == '_') {
		l.pos++
	}
}

func (l *lexer) exponent(typ tokens.Type) tokens.Type {
	i := l.pos
	if i >= len(l.src) || l.src[i]|0x20 != 'e' {
		return typ
	}
	i++
	if i < len(l.src) && (l.src[i] == '+' || l.src[i] == '-') {
		i++
	}
	if i >= len(l.src) || l.src[i] < '0' || l.src[i] > '9' {
		return typ
	}
	l.pos = i
	l.digits()
	return tokens.Float
}

func isWordByte(b byte) bool {
	return b == '_' || b|0x20 >= 'a' && b|0x20 <= 'z' || b >= '0' && b <= '9'
}
