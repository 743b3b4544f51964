package change

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/reader"
)

// NotFoundError: the answer has no such thing.
type NotFoundError struct{ What string }

func (e *NotFoundError) Error() string { return "not found: " + e.What }

// AnswerError: a host's answer to a query says nothing that can be relied on.
type AnswerError struct {
	What string // was asked for
	Why  string
}

func (e *AnswerError) Error() string { return e.What + " cannot be told: " + e.Why }

// what is the query for people.
func (q *Query) what() string {
	if q.What != "" {
		return reader.Printable(q.What)
	}
	s := "the element"
	if q.Field != "" {
		s = "the " + q.Field + " of the element"
	}
	if q.Key != "" {
		s += " whose " + q.Key + " is " + q.Value
	}
	return reader.Printable(s)
}

// Look asks r and gives what was found, as text; false when nothing was. An
// element without Field gives "" and true; an element itself gives "".
func (q *Query) Look(ctx context.Context, r Looker) (found string, ok bool, err error) {
	res, err := r.Probe(ctx, q.Argv...)
	if err != nil {
		return "", false, err
	}
	if res.Code != 0 {
		why := fmt.Sprintf("%s: exit code %d", reader.Printable(strings.Join(q.Argv, " ")), res.Code)
		if said := tail(res.Stderr.String(), 1); said != "" {
			why += ": " + said
		}
		return "", false, &AnswerError{q.what(), why}
	}
	if res.Stdout.Dropped > 0 {
		return "", false, &AnswerError{q.what(), "the answer is too long"}
	}
	return q.find(res.Stdout.Bytes())
}

// find looks through an answer. Numbers keep all their digits.
func (q *Query) find(answer []byte) (found string, ok bool, err error) {
	var root any
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	if err := d.Decode(&root); err != nil || d.More() {
		return "", false, &AnswerError{q.what(), "the answer is no JSON"}
	}
	at := dig(root, q.List)
	elements, isList := at.([]any)
	switch {
	case at == nil: // as Go's encoders leave out an empty list
	case !isList && q.List != "":
		return "", false, &AnswerError{q.what(), "the answer has no list " + q.List}
	case !isList:
		elements = []any{at}
	}
	var hit any
	for _, e := range elements {
		if !q.fits(e) {
			continue
		}
		if ok && q.Field != "" {
			return "", false, &AnswerError{q.what(), "the answer has it more than once"}
		}
		hit, ok = e, true
	}
	if !ok || q.Field == "" {
		return "", ok, nil
	}
	found, err = q.word(dig(hit, q.Field))
	if err == nil && q.AtMost > 0 {
		ok, err = q.few(found)
	}
	return found, ok && err == nil, err
}

// few tells whether a number is no more than AtMost.
func (q *Query) few(found string) (bool, error) {
	base := 10
	if q.Hex {
		base = 16
	}
	n, ok := new(big.Int).SetString(found, base)
	if !ok {
		return false, &AnswerError{q.what(), q.Field + " is no number"}
	}
	return n.Cmp(big.NewInt(q.AtMost)) <= 0, nil
}

// dig follows a path of keys; nil where it leads nowhere.
func dig(v any, path string) any {
	if path == "" {
		return v
	}
	for key := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

func (q *Query) fits(element any) bool {
	if q.Key == "" {
		return true
	}
	switch v := dig(element, q.Key).(type) {
	case nil: // encoders leave out what is empty
		return q.Value == ""
	case []any:
		return slices.ContainsFunc(v, func(x any) bool { s, ok := scalar(x); return ok && s == q.Value })
	default:
		s, ok := scalar(v)
		return ok && s == q.Value
	}
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// word is a field's value as text; "" when it is absent.
func (q *Query) word(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	s, ok := scalar(v)
	if !ok {
		return "", &AnswerError{q.what(), q.Field + " is no single value"}
	}
	if !q.Hex {
		return s, nil
	}
	n, ok := new(big.Int).SetString(s, 10)
	if _, number := v.(json.Number); !number || !ok || n.Sign() < 0 || n.BitLen() > 64 {
		return "", &AnswerError{q.what(), q.Field + " is no number of 64 bits"}
	}
	return n.Text(16), nil
}

// holds tells whether the query finds something that reads as is ("": whatever
// it is), and what was seen, for people.
func (q *Query) holds(ctx context.Context, r Looker, is string) (yes bool, seen string, err error) {
	found, ok, err := q.Look(ctx, r)
	switch {
	case err != nil:
		return false, "", err
	case !ok:
		return false, "not there", nil
	case is == "":
		return true, "there", nil
	case found == "":
		found = "false"
	}
	return found == is, "it is " + reader.Printable(shorten(found)), nil
}

func shorten(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

// plainWord is what a host may put into an argv: no option, nothing that a
// shell or a program would read as more than a word.
var (
	plainWord = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:/@+-]{0,255}$`)
	wordName  = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
)

// argv is Argv with what the queries of Words find now.
func (e *Exec) argv(ctx context.Context, r Looker) ([]string, error) {
	argv := slices.Clone(e.Argv)
	for _, name := range slices.Sorted(maps.Keys(e.Words)) {
		q := e.Words[name]
		if err := e.checkWord(name); err != nil {
			return nil, err
		}
		word, ok, err := q.Look(ctx, r)
		switch {
		case err != nil:
			return nil, err
		case !ok || word == "":
			return nil, &NotFoundError{q.what()}
		case !plainWord.MatchString(word):
			return nil, &AnswerError{q.what(), "what the host answers is no plain word: " + reader.Printable(shorten(word))}
		}
		for i, a := range e.Argv {
			if strings.Contains(a, "{"+name+"}") {
				argv[i] = strings.ReplaceAll(argv[i], "{"+name+"}", word)
			}
		}
	}
	return argv, nil
}

func (e *Exec) checkWord(name string) error {
	if !wordName.MatchString(name) {
		return fmt.Errorf("%q is no name of a word", reader.Printable(name))
	}
	if !slices.ContainsFunc(e.Argv, func(a string) bool { return strings.Contains(a, "{"+name+"}") }) {
		return fmt.Errorf("no word of the command has {%s}", name)
	}
	return nil
}

// shownArgv is Argv with what people call the words that are found later.
func (e *Exec) shownArgv() []string {
	argv := slices.Clone(e.Argv)
	for name, q := range e.Words {
		for i := range argv {
			argv[i] = strings.ReplaceAll(argv[i], "{"+name+"}", "<"+q.what()+">")
		}
	}
	return argv
}
