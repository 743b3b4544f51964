package vars

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/tokens"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// placer turns an offset in a template's text into a place in a file.
type placer struct {
	node *strictyaml.Node // nil for a template file
	file string
	src  string
}

func (p *placer) pos() source.Pos {
	if p.node != nil {
		return p.node.Pos
	}
	return source.Pos{File: p.file, Line: 1, Col: 1}
}

// mistake places e. Within a plain or quoted scalar on one line the place is
// exact; within a literal block it is the line; otherwise it is the scalar's.
func (p *placer) mistake(e *syntaxError) *source.Mistake {
	pos, line, n := p.locate(e.at, e.end)
	return &source.Mistake{Pos: pos, Line: line, Len: n, Text: e.text, Hint: e.hint}
}

func (p *placer) locate(at, end int) (source.Pos, string, int) {
	at = min(max(at, 0), len(p.src))
	end = min(max(end, at), len(p.src))
	lineNo := strings.Count(p.src[:at], "\n")
	start := strings.LastIndexByte(p.src[:at], '\n') + 1
	col := utf8.RuneCountInString(p.src[start:at])
	n := utf8.RuneCountInString(strings.SplitN(p.src[at:end], "\n", 2)[0])
	if p.node == nil {
		line, _, _ := strings.Cut(p.src[start:], "\n")
		return source.Pos{File: p.file, Line: lineNo + 1, Col: col + 1}, line, n
	}
	pos, text := p.node.Pos, p.node.Line
	whole := utf8.RuneCountInString(p.node.Raw)
	from := []rune(text)
	if pos.Col < 1 || pos.Col > len(from) {
		return pos, text, whole
	}
	rest := from[pos.Col-1:]
	switch {
	case rest[0] == '|':
		return source.Pos{File: pos.File, Line: pos.Line + 1 + lineNo}, "", 0
	case rest[0] == '>':
		return pos, text, 1
	case rest[0] == '"' || rest[0] == '\'':
		if strings.HasPrefix(string(rest[1:]), p.src[:end]) {
			pos.Col += 1 + col
			return pos, text, n
		}
	case strings.HasPrefix(string(rest), p.src[:end]):
		pos.Col += col
		return pos, text, n
	}
	return pos, text, whole
}

// recovered turns a panic into an error with a place.
func (p *placer) recovered(r any, err error) error {
	if r == nil {
		return err
	}
	e, ok := r.(error)
	if !ok {
		return p.mistake(&syntaxError{end: len(p.src), text: fmt.Sprintf("internal error in a template: %v", r)})
	}
	return p.placeErr(e)
}

func (p *placer) placeErr(e error) error {
	var (
		mistake *source.Mistake
		syntax  *syntaxError
		undef   *UndefinedError
		limit   *LimitError
	)
	switch {
	case errors.As(e, &undef):
		if undef.Mistake == nil {
			undef.Mistake = p.mistake(undef.syntax())
		}
		return undef
	case errors.As(e, &mistake):
		return e
	case errors.As(e, &syntax):
		return p.mistake(syntax)
	case errors.As(e, &limit):
		return &placedLimit{limit, p.mistake(&syntaxError{end: len(p.src), text: limit.Text})}
	}
	return p.mistake(&syntaxError{end: len(p.src), text: e.Error()})
}

// placedLimit is a LimitError with its place.
type placedLimit struct {
	limit   *LimitError
	mistake *source.Mistake
}

func (e *placedLimit) Error() string { return e.mistake.Error() }
func (e *placedLimit) Unwrap() error { return e.mistake }

// As lets errors.As find the LimitError beside the Mistake.
func (e *placedLimit) As(target any) bool {
	if l, ok := target.(**LimitError); ok {
		*l = e.limit
		return true
	}
	return false
}

// placed tells whether err has a place already, or gets it from the template
// around.
func placed(err error) bool {
	var (
		mistake *source.Mistake
		syntax  *syntaxError
		undef   *UndefinedError
		limit   *LimitError
	)
	if errors.As(err, &undef) {
		return undef.Mistake != nil || undef.at != nil
	}
	return errors.As(err, &mistake) || errors.As(err, &syntax) || errors.As(err, &limit)
}

// UndefinedError is a name, or a part of a value, that is read and is not there.
type UndefinedError struct {
	Name    string          // as written: "a", "a.b", "hostvars['x'].y"
	Mistake *source.Mistake // the place and the hint
	at      *tokens.Token
	hint    string
}

func (e *UndefinedError) Error() string {
	if e.Mistake != nil {
		return e.Mistake.Error()
	}
	return e.text()
}

func (e *UndefinedError) text() string {
	if strings.HasPrefix(e.Name, "the ") || strings.HasPrefix(e.Name, "an ") {
		return e.Name + " is undefined"
	}
	return `"` + e.Name + `" is undefined`
}

func (e *UndefinedError) syntax() *syntaxError {
	s := &syntaxError{text: e.text(), hint: e.hint}
	if e.at != nil {
		s.at, s.end = e.at.Pos, e.at.Pos+len(e.at.Val)
	}
	return s
}

// Unwrap gives the *source.Mistake.
func (e *UndefinedError) Unwrap() error {
	if e.Mistake == nil {
		return nil
	}
	return e.Mistake
}

func (u *undefined) err() error {
	if u.hint == "" && u.near != nil {
		u.hint = u.near()
	}
	return &UndefinedError{Name: u.name, at: u.at, hint: u.hint}
}

// UnknownError is a name whose value only a later step will give.
type UnknownError struct {
	Name string
	Step string // the step that sets it
	Pos  source.Pos
}

func (e *UnknownError) Error() string {
	s := `"` + e.Name + `" is unknown until ` + e.Step
	if p := e.Pos.String(); p != "" {
		s = p + ": " + s
	}
	return s
}

// CycleError is a variable that needs itself.
type CycleError struct {
	Names   []string // a, b, a
	Mistake *source.Mistake
}

func (e *CycleError) Error() string { return e.Mistake.Error() }

// Unwrap gives the *source.Mistake.
func (e *CycleError) Unwrap() error { return e.Mistake }

func newOut() *strings.Builder { return &strings.Builder{} }
