package splice

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// List reads the list of words at a path of keys in a YAML text.
func List(file, text string, path ...string) ([]string, error) {
	root, err := strictyaml.Parse(file, []byte(text))
	if err != nil {
		return nil, err
	}
	n := root
	for _, key := range path {
		n = n.Get(key)
	}
	if n == nil || n.Kind != strictyaml.Seq {
		return nil, n.Mistake(strings.Join(path, ".")+" is not a list", "")
	}
	return listWords(n), nil
}

func listWords(n *strictyaml.Node) []string {
	out := make([]string, len(n.Items))
	for i, it := range n.Items {
		out[i] = it.Raw
	}
	return out
}

// EditList edits a list of words at a path of keys in a YAML text, as
// etcdClientInfo, urls. The list is in block or flow style; new words get the
// quotes and indentation of their neighbours. A comment beside a word goes with
// it, other comments stay. A list is never left empty.
func EditList(file, text string, path []string, edits ...Item) (string, error) {
	name := strings.Join(path, ".")
	y := &yamlEdit{place: place{file, fmt.Sprintf("in %s: %s", name, words(edits))}, name: name, text: text}
	if err := check(edits); err != nil {
		return "", err
	}
	if len(text) > maxText {
		return "", y.byHand(0, "the file is longer than 1 MiB")
	}
	have, err := List(file, text, path...)
	if err != nil {
		return "", y.wrong(err)
	}
	want, ok := Edited(have, edits...)
	switch {
	case !ok:
		return "", y.byHand(0, name+" does not have what is to be replaced")
	case slices.Equal(have, want):
		return text, nil
	case len(want) == 0:
		return "", y.byHand(0, name+" would be left empty")
	case len(want) > maxItems:
		return "", y.byHand(0, fmt.Sprintf("%s would have more than %d words", name, maxItems))
	}
	if err := y.list(path, edits); err != nil {
		return "", err
	}
	if err := y.verify(text, yamlPath(path), want); err != nil {
		return "", err
	}
	return y.text, nil
}

func yamlPath(keys []string) []any {
	out := make([]any, len(keys))
	for i, k := range keys {
		out[i] = k
	}
	return out
}

// yamlEdit is one edit of a YAML text while it is made.
type yamlEdit struct {
	place
	name string
	text string
}

func (y *yamlEdit) wrong(err error) error {
	var list source.List
	if errors.As(err, &list) {
		return &source.ByHand{Pos: list[0].Pos, Why: list[0].Text, Do: y.do}
	}
	var m *source.Mistake
	if errors.As(err, &m) {
		return &source.ByHand{Pos: m.Pos, Why: m.Text, Do: y.do}
	}
	return y.byHand(0, err.Error())
}

// list makes the edits word by word, and reads the places anew for each. It
// adds before it removes, so that the list is never empty on the way.
func (y *yamlEdit) list(path []string, edits []Item) error {
	edits = slices.DeleteFunc(slices.Clone(edits), func(e Item) bool { return e.Old == e.New })
	slices.SortStableFunc(edits, func(a, b Item) int { return min(len(a.Old), 1) - min(len(b.Old), 1) })
	for _, e := range edits {
		more, err := true, error(nil)
		for i := 0; more && err == nil; i++ { // an old word may stand there several times
			if i > maxRepeats {
				return y.byHand(0, e.Old+" stands too often in "+y.name)
			}
			more, err = y.once(path, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// once makes one splice, and tells whether there may be more to do.
func (y *yamlEdit) once(path []string, e Item) (bool, error) {
	l, err := y.find(path)
	if err != nil {
		return false, err
	}
	old, has := -1, false
	for i, it := range l.Items {
		if old < 0 && e.Old != "" && it.Value == e.Old {
			old = i
		}
		has = has || e.New != "" && it.Value == e.New
	}
	switch {
	case e.Old == "" && has, e.Old != "" && old < 0:
		return false, nil
	case e.Old == "":
		err = y.add(l, e.New)
	case e.New == "" || has:
		if len(l.Items) == 1 {
			return false, y.byHand(l.Line+1, y.name+" would be left empty")
		}
		err = y.remove(l, old)
	default:
		err = y.replace(l, old, e.New)
	}
	return err == nil, err
}

func (y *yamlEdit) find(path []string) (*strictyaml.Written, error) {
	n, err := strictyaml.ParseWritten(y.file, y.text)
	if err != nil {
		return nil, y.wrong(err)
	}
	for _, key := range path {
		if n.Tied {
			return nil, y.byHand(n.Line+1, "an alias, an anchor or a tag stands above "+y.name)
		}
		if _, n = n.Get(key); n == nil {
			return nil, y.byHand(0, y.name+" comes through an alias or a merge key")
		}
	}
	return n, y.plainList(n)
}

// plainList refuses a list that has more than words, each on one line.
func (y *yamlEdit) plainList(l *strictyaml.Written) error {
	if l.Tied {
		return y.byHand(l.Line+1, y.name+" is an alias, or has an anchor or a tag")
	}
	if l.Kind != strictyaml.Seq {
		return y.byHand(l.Line+1, y.name+" is not a list")
	}
	for _, it := range l.Items {
		switch {
		case it.Tied:
			return y.byHand(it.Line+1, "an alias, an anchor or a tag in "+y.name)
		case it.Kind != strictyaml.Scalar:
			return y.byHand(it.Line+1, y.name+" has more in it than words")
		case it.End < 0:
			return y.byHand(it.Line+1, "a word that takes several lines in "+y.name)
		}
	}
	return nil
}

var (
	dash    = regexp.MustCompile(`^ *- +$`)
	behind  = regexp.MustCompile(`^ *(?: #.*)?$`)
	flowSep = regexp.MustCompile(`^[ \r\n]*,[ \r\n]*$`)
)

// blockLine gives the text before a word of a list in block style, and checks
// that the line has nothing else but a comment.
func (y *yamlEdit) blockLine(lines source.Lines, it *strictyaml.Written) (before string, err error) {
	start := strings.LastIndexByte(y.text[:it.Start], '\n') + 1
	before = y.text[start:it.Start]
	if !dash.MatchString(before) || !behind.MatchString(lines.Bare(it.Line)[it.End-start:]) {
		return "", y.byHand(it.Line+1, "the line has more than a dash, a word and a comment, or a tab")
	}
	return before, nil
}

func (y *yamlEdit) add(l *strictyaml.Written, value string) error {
	if len(l.Items) == 0 {
		return y.addFirst(l, value)
	}
	last := l.Items[len(l.Items)-1]
	token := quoteAs(value, last.Style, l.Style == '[')
	if l.Style == '[' {
		return y.addFlow(l, last, token)
	}
	lines := source.SplitLines(y.text)
	before, err := y.blockLine(lines, last)
	if err != nil {
		return err
	}
	y.text = lines.Insert(last.Line+1, before+token).String()
	return nil
}

func (y *yamlEdit) addFirst(l *strictyaml.Written, value string) error {
	rest, ok := strings.CutPrefix(y.text[l.Start:], "[")
	if !ok || !strings.HasPrefix(strings.TrimLeft(rest, " "), "]") {
		return y.byHand(l.Line+1, "an empty list that is not written []")
	}
	style := byte(0)
	if strings.HasPrefix(strings.TrimSpace(y.text), "{") {
		style = '"' // JSON
	}
	y.text = y.text[:l.Start+1] + quoteAs(value, style, true) + strings.TrimLeft(rest, " ")
	return nil
}

// addFlow adds behind the last word, on a line of its own if that one has.
func (y *yamlEdit) addFlow(l, last *strictyaml.Written, token string) error {
	sep := ", "
	if n := len(l.Items); n > 1 {
		between := y.text[l.Items[n-2].End:last.Start]
		if !flowSep.MatchString(between) {
			return y.byHand(last.Line+1, "comments or tabs inside the brackets of "+y.name)
		}
		sep = between
	} else if start := strings.LastIndexByte(y.text[:last.Start], '\n') + 1; strings.TrimLeft(y.text[start:last.Start], " ") == "" {
		sep = "," + lineEnd(y.text) + y.text[start:last.Start]
	}
	y.text = y.text[:last.End] + sep + token + y.text[last.End:]
	return nil
}

func lineEnd(text string) string {
	if strings.Contains(text, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

func (y *yamlEdit) remove(l *strictyaml.Written, i int) error {
	it := l.Items[i]
	if l.Style != '[' {
		lines := source.SplitLines(y.text)
		if _, err := y.blockLine(lines, it); err != nil {
			return err
		}
		y.text = lines.Delete(it.Line, it.Line+1).String()
		return nil
	}
	from, to := it.Start, 0
	if i > 0 {
		from, to = l.Items[i-1].End, it.End
		if !flowSep.MatchString(y.text[from:it.Start]) {
			return y.byHand(it.Line+1, "comments or tabs inside the brackets of "+y.name)
		}
	} else {
		to = l.Items[1].Start
		if !flowSep.MatchString(y.text[it.End:to]) {
			return y.byHand(it.Line+1, "comments or tabs inside the brackets of "+y.name)
		}
	}
	y.text = y.text[:from] + y.text[to:]
	return nil
}

func (y *yamlEdit) replace(l *strictyaml.Written, i int, value string) error {
	it := l.Items[i]
	if l.Style != '[' {
		if _, err := y.blockLine(source.SplitLines(y.text), it); err != nil {
			return err
		}
	}
	y.text = y.text[:it.Start] + quoteAs(value, it.Style, l.Style == '[') + y.text[it.End:]
	return nil
}

// quoteAs writes a word in a style, or in double quotes where that would
// mean something else.
func quoteAs(value string, style byte, flow bool) string {
	switch style {
	case '\'':
		return "'" + strings.ReplaceAll(value, "'", "''") + "'"
	case 0:
		probe := "- " + value
		if flow {
			probe = "[" + value + ", x]"
		}
		n, err := strictyaml.Parse("", []byte(probe))
		if err == nil && n.Kind == strictyaml.Seq && len(n.Items) > 0 && n.Items[0].Value == value &&
			n.Items[0].Tag == "" && !n.Items[0].Quote && !strings.Contains(value, " #") {
			return value
		}
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// verify reads the text again: it says the same as before, and want at path.
func (y *yamlEdit) verify(before string, path []any, want []string) error {
	a, err := strictyaml.Parse(y.file, []byte(before))
	if err != nil {
		return y.wrong(err)
	}
	b, err := strictyaml.Parse(y.file, []byte(y.text))
	if err != nil || !same(a, b, path, want) {
		return y.byHand(0, "the edited text would not say what is wanted")
	}
	return nil
}

// same compares two trees. At path, where it is not nil, b has to be the list
// of the words wanted, or the word, instead of what a is.
func same(a, b *strictyaml.Node, path []any, want []string) bool {
	if path != nil && len(path) == 0 {
		if b.Kind == strictyaml.Scalar {
			return len(want) == 1 && b.Value == want[0]
		}
		return b.Kind == strictyaml.Seq && allWords(b) && slices.Equal(listWords(b), want)
	}
	if a.Kind != b.Kind || a.Tag != b.Tag || len(a.Pairs) != len(b.Pairs) || len(a.Items) != len(b.Items) ||
		a.Value != b.Value || a.Raw != b.Raw || a.Quote != b.Quote {
		return false
	}
	below := func(step any) []any {
		if len(path) > 0 && path[0] == step {
			return path[1:]
		}
		return nil
	}
	for i := range a.Pairs {
		if a.Pairs[i].Key != b.Pairs[i].Key || !same(a.Pairs[i].Value, b.Pairs[i].Value, below(a.Pairs[i].Key), want) {
			return false
		}
	}
	for i := range a.Items {
		if !same(a.Items[i], b.Items[i], below(i), want) {
			return false
		}
	}
	return true
}

func allWords(n *strictyaml.Node) bool {
	return !slices.ContainsFunc(n.Items, func(it *strictyaml.Node) bool {
		_, isText := it.Value.(string)
		return !isText && it.Raw == ""
	})
}
