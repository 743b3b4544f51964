package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/source"
)

// File is one file of the sources, in their order.
type File struct {
	Path     string
	Text     string
	Editable bool // false: a program, or a file that must not be written
}

// Edit is a file's text before and after an edit.
type Edit struct{ Path, Before, After string }

// MoveHost moves a host's entry, with its variables, from one group to
// another in the text of an inventory, YAML or INI; entry and group may stand
// in different files of one format. The entry comes behind the last one of its
// new group. A comment on its lines or about it right above goes with it, all
// else stays as it is; a group that loses its last host stays, empty. A host
// that is in the new group already is taken out of the old one only.
//
// The result is read again: groups, hosts and variables are the same but for
// the move. What cannot be edited so is a *source.ByHand, with the edit for a
// person to make: a host that comes from a range, stands in several places, in
// a list in braces, behind an alias or merge key, or in a file that is not
// Editable. No edit at all means that there is nothing to do.
func MoveHost(files []File, host, from, to string) ([]Edit, error) {
	e := &editor{files: files, host: host, from: from, to: to,
		do: fmt.Sprintf("take %s with its variables out of group %s, and add it to group %s", host, from, to)}
	if from == to {
		return nil, fmt.Errorf("group %s cannot be moved to itself", from)
	}
	return e.edit()
}

// RemoveHost takes a host out of a group, under the rules of MoveHost. The
// variables of its entry go with it when the host is in no other group; else
// they must stand at another of its entries too, or move to one that has none.
func RemoveHost(files []File, host, group string) ([]Edit, error) {
	e := &editor{files: files, host: host, from: group, do: fmt.Sprintf("take %s out of group %s", host, group)}
	return e.edit()
}

// editor makes one edit.
type editor struct {
	files          []File
	host, from, to string // to is "" when the host is only removed
	do             string

	before  *shape
	docs    map[string]*document
	entries []entry
}

// document is a file that is edited: its lines, and what replaces some of them.
type document struct {
	file    File
	lines   source.Lines
	yaml    *yamlDoc // nil: INI
	changes []change
}

// change puts lines in place of those from..to-1.
type change struct {
	from, to int
	lines    []string
}

func (e *editor) byHand(at source.Pos, why string) error {
	return &source.ByHand{Pos: at, Why: why, Do: e.do}
}

func (e *editor) edit() ([]Edit, error) {
	for _, g := range []string{e.from, e.to} {
		if g == "all" || g == "ungrouped" {
			return nil, e.byHand(source.Pos{}, fmt.Sprintf("group %s has hosts by itself", g))
		}
	}
	var err error
	if e.before, err = e.load(e.files, func(en entry) { e.entries = append(e.entries, en) }); err != nil {
		return nil, err
	}
	old, err := e.oldEntry()
	if err != nil || old == nil {
		return nil, err
	}
	e.docs = map[string]*document{}
	if err := e.plan(*old); err != nil {
		return nil, err
	}
	return e.result()
}

// load reads texts as Load does, without group_vars and host_vars, which no
// edit touches. Programs are passed over.
func (e *editor) load(files []File, onEntry func(entry)) (*shape, error) {
	b := newBuilder()
	b.onEntry = onEntry
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f.Path] {
			return nil, e.byHand(source.Pos{File: f.Path}, "the file is named twice as a source")
		}
		seen[f.Path] = true
		if !f.Editable && isProgram([]byte(f.Text)) {
			continue
		}
		b.text(f.Path, []byte(f.Text), false)
	}
	s := shapeOf(b.inv)
	b.finish()
	if list, ok := b.mistakes.Err().(source.List); ok {
		return nil, e.byHand(list[0].Pos, list[0].Text)
	}
	return s, nil
}

// oldEntry is the entry to take away; nil when that is done.
func (e *editor) oldEntry() (*entry, error) {
	own := e.entriesOf(e.from)
	if e.to != "" && e.before.groups[e.to] == nil {
		return nil, e.byHand(source.Pos{}, fmt.Sprintf("no file of the inventory has a group %s", e.to))
	}
	switch {
	case len(own) == 1:
	case len(own) > 1:
		return nil, e.byHand(own[1].at, fmt.Sprintf("%s stands several times in group %s", e.host, e.from))
	case e.to == "" && !e.before.within(e.from, e.host), e.to != "" && e.before.has(e.to, e.host):
		return nil, nil
	case e.before.within(e.from, e.host):
		return nil, e.byHand(source.Pos{}, fmt.Sprintf("%s is in group %s through a group inside it", e.host, e.from))
	default:
		return nil, e.byHand(source.Pos{}, fmt.Sprintf("no file of the inventory has %s in group %s", e.host, e.from))
	}
	old := own[0]
	if len(old.names) > 1 {
		if len(old.names) <= 10 {
			rest := slices.DeleteFunc(slices.Clone(old.names), func(n string) bool { return n == e.host })
			e.do = fmt.Sprintf("write %s in place of %s in group %s", strings.Join(rest, " and "), old.text, e.from)
			if e.to != "" {
				e.do += fmt.Sprintf(", and add %s to group %s, each with the variables of the range", e.host, e.to)
			}
		}
		return nil, e.byHand(old.at, fmt.Sprintf("%s comes from the range %s", e.host, old.text))
	}
	return &old, nil
}

// entriesOf lists the entries of a group that give the host.
func (e *editor) entriesOf(group string) (out []entry) {
	for _, en := range e.entries {
		if en.group == group && slices.Contains(en.names, e.host) {
			out = append(out, en)
		}
	}
	return out
}

// document opens a file for an edit.
func (e *editor) document(path string) (*document, error) {
	if d := e.docs[path]; d != nil {
		return d, nil
	}
	i := slices.IndexFunc(e.files, func(f File) bool { return f.Path == path })
	if i < 0 || !e.files[i].Editable {
		return nil, e.byHand(source.Pos{File: path}, "this file cannot be edited")
	}
	d := &document{file: e.files[i], lines: source.SplitLines(e.files[i].Text)}
	if isYAML(strings.ToLower(filepath.Ext(path)), []byte(d.file.Text)) {
		var err error
		if d.yaml, err = readYAMLDoc(d.file); err != nil {
			return nil, e.byHand(source.Pos{File: path}, err.Error())
		}
	}
	e.docs[path] = d
	return d, nil
}

// plan finds the lines to take away and the place for them.
func (e *editor) plan(old entry) error {
	d, err := e.document(old.at.File)
	if err != nil {
		return err
	}
	cut, ok := d.find(old)
	if !ok {
		return e.byHand(old.at, fmt.Sprintf("the entry of %s has no lines of its own", e.host))
	}
	away := cut
	away.from -= d.commentsAbove(cut, e.host)
	gone := change{from: away.from, to: away.to}
	if d.blank(gone.from-1) && (gone.to == len(d.lines) || d.blank(gone.to)) {
		gone.from-- // one blank line is left of two
	}
	d.changes = append(d.changes, gone)
	if e.to == "" || e.before.has(e.to, e.host) {
		return e.handOver(old, d, cut)
	}
	for _, roomy := range []bool{false, true} { // where the group has hosts, else where they may be
		for _, path := range e.placesFirst(old.at.File) {
			into, err := e.document(path)
			if err != nil || (into.yaml == nil) != (d.yaml == nil) {
				continue
			}
			if into.insert(e.to, e.from, d.take(away), roomy) {
				return nil
			}
		}
	}
	return e.byHand(old.at, fmt.Sprintf("no place was found for %s in group %s", e.host, e.to))
}

// placesFirst lists the files, that of the entry first.
func (e *editor) placesFirst(path string) []string {
	out := []string{path}
	for _, f := range e.files {
		if f.Path != path {
			out = append(out, f.Path)
		}
	}
	return out
}

// handOver gives the variables of the entry to another one of the host, where
// they would be lost.
func (e *editor) handOver(old entry, d *document, cut region) error {
	if old.vars == 0 {
		return nil
	}
	var others []entry
	for _, en := range e.entries {
		if en.at != old.at && slices.Contains(en.names, e.host) {
			others = append(others, en)
		}
	}
	if len(others) == 0 {
		return nil
	}
	if _, err := e.result(); err == nil {
		return nil // they stand elsewhere too
	}
	slices.SortStableFunc(others, func(a, b entry) int { return cmp.Compare(b2i(b.group == e.to), b2i(a.group == e.to)) })
	for _, en := range others {
		into, err := e.document(en.at.File)
		if err != nil || en.vars > 0 || len(en.names) > 1 || (into.yaml == nil) != (d.yaml == nil) {
			continue
		}
		if at, ok := into.find(en); ok && !strings.Contains(strings.Join(into.lines[at.from:at.to], ""), "#") {
			into.changes = append(into.changes, change{at.from, at.to, d.take(cut).at(at.indent)})
			return nil
		}
	}
	return e.byHand(old.at, fmt.Sprintf("the variables of %s would be lost, and no other entry of it can take them", e.host))
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// result applies the changes and reads everything again.
func (e *editor) result() ([]Edit, error) {
	var edits []Edit
	files := slices.Clone(e.files)
	for i, f := range files {
		d := e.docs[f.Path]
		if d == nil || len(d.changes) == 0 {
			continue
		}
		changes := slices.Clone(d.changes)
		slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(b.from, a.from) })
		lines := d.lines
		for _, c := range changes {
			lines = lines.Delete(c.from, c.to).Insert(c.from, c.lines...)
		}
		files[i].Text = lines.String()
		edits = append(edits, Edit{f.Path, f.Text, files[i].Text})
	}
	at := source.Pos{File: edits[0].Path}
	after, err := e.load(files, nil)
	var hand *source.ByHand
	if errors.As(err, &hand) {
		return nil, e.byHand(at, "the edited text would be wrong: "+hand.Why)
	}
	if len(after.hosts) == 0 {
		return nil, e.byHand(at, "the inventory would have no hosts left")
	}
	if why := e.before.differs(after, e.host, e.from, e.to); why != "" {
		return nil, e.byHand(at, "the edited text would not say what is wanted: "+why)
	}
	return edits, nil
}
