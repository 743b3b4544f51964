package vars

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/tokens"
)

// The lexer gives gonja's tokens but is our own: gonja's drops characters that
// it does not know, ends a string at '\\' too late, refuses '\.', and does not
// see "or" before a line break. Each of these changes a condition's meaning
// without a word.

// outputTag stands for {{ }} in the token stream, so that gonja's block parser
// hands expressions to our expression parser.
const outputTag = "{{"

// syntaxError is a mistake at a byte offset of the template's text.
type syntaxError struct {
	at, end    int
	text, hint string
}

func (e *syntaxError) Error() string { return e.text }

func errAt(t *tokens.Token, text, hint string) *syntaxError {
	return &syntaxError{at: t.Pos, end: t.Pos + max(1, len(t.Val)), text: text, hint: hint}
}

type lexer struct {
	src      string
	pos      int
	out      []*tokens.Token
	brackets []byte
	trimNext bool // the tag before ended with a minus sign
	dropNL   bool // trim_blocks: the newline after a block tag goes
}

func (l *lexer) emit(t tokens.Type, val string, at int) {
	l.out = append(l.out, &tokens.Token{Type: t, Val: val, Pos: at})
}

func (l *lexer) fail(at int, text, hint string) *syntaxError {
	return &syntaxError{at: at, end: at + 1, text: text, hint: hint}
}

// lexTemplate cuts text with {{ }}, {% %} and {# #} into tokens.
func lexTemplate(src string) ([]*tokens.Token, *syntaxError) {
	l := &lexer{src: src}
	for l.pos < len(src) {
		next := nextTag(src, l.pos)
		if next < 0 {
			l.data(len(src), false)
			break
		}
		l.data(next, next+2 < len(src) && src[next+2] == '-')
		if err := l.tag(next); err != nil {
			return nil, err
		}
	}
	l.emit(tokens.EOF, "", len(src))
	return l.out, nil
}

func nextTag(src string, from int) int {
	for i := from; i+1 < len(src); i++ {
		if src[i] == '{' && (src[i+1] == '{' || src[i+1] == '%' || src[i+1] == '#') {
			return i
		}
	}
	return -1
}

// data emits the plain text up to end.
func (l *lexer) data(end int, trimRight bool) {
	at, text := l.pos, l.src[l.pos:end]
	l.pos = end
	if l.dropNL {
		text = strings.TrimPrefix(text, "\n")
	}
	if l.trimNext {
		text = strings.TrimLeft(text, " \t\r\n")
	}
	if trimRight {
		text = strings.TrimRight(text, " \t\r\n")
	}
	l.dropNL, l.trimNext = false, false
	if text != "" {
		l.emit(tokens.Data, text, at)
	}
}

func (l *lexer) tag(at int) *syntaxError {
	kind := l.src[at+1]
	if kind == '#' {
		return l.comment(at)
	}
	l.pos = at + 2
	if l.pos < len(l.src) && (l.src[l.pos] == '-' || l.src[l.pos] == '+') {
		l.pos++
	}
	l.emit(tokens.BlockBegin, "{%", at)
	closing := "%}"
	if kind == '{' {
		closing = "}}"
		l.emit(tokens.Name, outputTag, at)
	}
	first := len(l.out)
	if err := l.expression(at, closing); err != nil {
		return err
	}
	if kind == '{' {
		return nil
	}
	l.dropNL = true
	if len(l.out) > first && l.out[first].Type == tokens.Name && l.out[first].Val == "raw" {
		return l.raw(at)
	}
	return nil
}

func (l *lexer) comment(at int) *syntaxError {
	end := strings.Index(l.src[at+2:], "#}")
	if end < 0 {
		return &syntaxError{at: at, end: at + 2, text: "comment without an end", hint: `close it with "#}"`}
	}
	l.pos = at + 2 + end + 2
	l.trimNext = end > 0 && l.src[at+2+end-1] == '-'
	l.dropNL = true
	return nil
}

// raw takes the text up to {% endraw %} as it stands.
func (l *lexer) raw(at int) *syntaxError {
	for from := l.pos; ; {
		i := strings.Index(l.src[from:], "{%")
		if i < 0 {
			return &syntaxError{at: at, end: at + 2, text: "{% raw %} without {% endraw %}"}
		}
		rest := strings.TrimLeft(l.src[from+i+2:], "-+ \t\r\n")
		if strings.HasPrefix(rest, "endraw") {
			l.data(from+i, l.src[from+i+2:from+i+3] == "-")
			return l.tag(from + i)
		}
		from += i + 2
	}
}

// lexExpr cuts a bare expression, as it stands in when:, into tokens.
func lexExpr(src string) ([]*tokens.Token, *syntaxError) {
	l := &lexer{src: src}
	if err := l.expression(0, ""); err != nil {
		return nil, err
	}
	l.emit(tokens.EOF, "", len(src))
	return l.out, nil
}

// expression emits tokens up to closing, or to the end when closing is empty.
func (l *lexer) expression(open int, closing string) *syntaxError {
	for {
		l.space()
		if l.pos >= len(l.src) {
			return l.atEnd(open, closing)
		}
		if closing != "" && len(l.brackets) == 0 {
			if rest := l.src[l.pos:]; strings.HasPrefix(rest, closing) {
				l.emit(tokens.BlockEnd, closing, l.pos)
				l.pos += 2
				return nil
			} else if len(rest) > 2 && (rest[0] == '-' || rest[0] == '+') && strings.HasPrefix(rest[1:], closing) {
				l.emit(tokens.BlockEnd, closing, l.pos)
				l.trimNext = rest[0] == '-'
				l.pos += 3
				return nil
			}
		}
		if err := l.token(); err != nil {
			return err
		}
	}
}

func (l *lexer) atEnd(open int, closing string) *syntaxError {
	switch {
	case len(l.brackets) > 0:
		b := l.brackets[len(l.brackets)-1]
		return l.fail(max(0, len(l.src)-1), `missing "`+string(b)+`"`, "")
	case closing != "":
		return &syntaxError{at: open, end: open + 2, text: `"` + l.src[open:open+2] + `" without "` + closing + `"`}
	}
	return nil
}

func (l *lexer) space() {
	for l.pos < len(l.src) && strings.IndexByte(" \t\r\n\f\v", l.src[l.pos]) >= 0 {
		l.pos++
	}
}

// word is the kind of token that a word is.
func word(s string) tokens.Type {
	switch s {
	case "and":
		return tokens.And
	case "or":
		return tokens.Or
	case "not":
		return tokens.Not
	case "in":
		return tokens.In
	case "is":
		return tokens.Is
	}
	return tokens.Name
}

func (l *lexer) token() *syntaxError {
	at := l.pos
	r, _ := utf8.DecodeRuneInString(l.src[at:])
	switch {
	case r == '\'' || r == '"':
		return l.str(byte(r))
	case r >= '0' && r <= '9':
		return l.number()
	case r == '_' || unicode.IsLetter(r):
		for l.pos < len(l.src) {
			r, w := utf8.DecodeRuneInString(l.src[l.pos:])
			if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				break
			}
			l.pos += w
		}
		s := l.src[at:l.pos]
		l.emit(word(s), s, at)
		return nil
	}
	return l.operator(r)
}

//nolint:gochecknoglobals // read only, and read for every token
var operators = map[string]tokens.Type{
	"==": tokens.Equals, "!=": tokens.Ne, ">=": tokens.GreaterThanOrEqual, "<=": tokens.LowerThanOrEqual,
	"//": tokens.FloorDivision, "**": tokens.Power,
	"+": tokens.Addition, "-": tokens.Subtraction, "*": tokens.Multiply, "/": tokens.Division, "%": tokens.Modulo,
	"~": tokens.Tilde, "<": tokens.LowerThan, ">": tokens.GreaterThan, "=": tokens.Assign, ".": tokens.Dot,
	":": tokens.Colon, ",": tokens.Comma, "|": tokens.Pipe,
	"(": tokens.LeftParenthesis, ")": tokens.RightParenthesis, "[": tokens.LeftBracket, "]": tokens.RightBracket,
	"{": tokens.LeftBrace, "}": tokens.RightBrace,
}

func closer(open string) byte {
	switch open {
	case "(":
		return ')'
	case "[":
		return ']'
	}
	return '}'
}

func (l *lexer) operator(r rune) *syntaxError {
	at := l.pos
	op := string(r)
	if at+2 <= len(l.src) {
		if _, ok := operators[l.src[at:at+2]]; ok {
			op = l.src[at : at+2]
		}
	}
	t, ok := operators[op]
	if !ok {
		return l.fail(at, `unexpected "`+string(r)+`"`, foreignOperator(l.src[at:]))
	}
	l.pos += len(op)
	switch op {
	case "(", "[", "{":
		if len(l.brackets) >= maxDepth {
			return l.fail(at, "brackets nested too deeply", "")
		}
		l.brackets = append(l.brackets, closer(op))
	case ")", "]", "}":
		n := len(l.brackets)
		if n == 0 || l.brackets[n-1] != op[0] {
			return l.fail(at, `unexpected "`+op+`"`, "")
		}
		l.brackets = l.brackets[:n-1]
	}
	l.emit(t, op, at)
	return nil
}

func foreignOperator(rest string) string {
	switch {
	case strings.HasPrefix(rest, "&&"):
		return `write "and"`
	case strings.HasPrefix(rest, "!"):
		return `write "not"`
	case strings.HasPrefix(rest, "$"):
		return "variables have no $ in front"
	}
	return ""
}
