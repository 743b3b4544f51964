// Package splice edits values in the text of configuration files without
// touching anything else: comments, blank lines, order, indentation, quotes,
// line ends (\n or \r\n) and a missing final line end stay as they are.
//
// It reads and writes no files. Every edit is checked: the result is read
// again, and must be what the text said before except for the one value that
// was to be changed. What cannot be edited with certainty is a
// *source.ByHand, with the edit for a person to make; no changed text is
// returned then. An edit that is there already gives the text as it is.
package splice

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dayops/dayops/engine/source"
)

// Item is an edit of a list of words: without Old it adds New at the end,
// without New it removes Old, with both it puts New where Old is.
type Item struct{ Old, New string }

// Bounds of one edit.
const (
	maxText    = 1 << 20 // bytes
	maxItems   = 1000
	maxRepeats = 20   // of one word that is removed
	maxWord    = 4096 // bytes
)

// Edited gives the list after the edits, one after the other. Adding what is
// there and removing what is not there change nothing; replacing what is not
// there changes nothing when New is there, else ok is false.
func Edited(list []string, edits ...Item) (out []string, ok bool) {
	out = slices.Clone(list)
	for _, e := range edits {
		has := e.New != "" && slices.Contains(out, e.New)
		at := -1
		if e.Old != "" {
			at = slices.Index(out, e.Old)
		}
		switch {
		case e.Old == e.New:
		case e.Old == "":
			if !has {
				out = append(out, e.New)
			}
		case e.New == "" || has:
			out = slices.DeleteFunc(out, func(s string) bool { return s == e.Old })
		case at < 0:
			return list, false
		default:
			out[at] = e.New
			out = slices.DeleteFunc(out, func(s string) bool { return s == e.Old })
		}
	}
	return out, true
}

// Commas edits a list in one word with commas between, such as the value of
// ETCD_INITIAL_CLUSTER or --etcd-servers. Blanks around the parts are dropped.
func Commas(value string, edits ...Item) (string, error) {
	out, ok := Edited(parts(value), edits...)
	if !ok {
		return "", fmt.Errorf("%q does not have what is to be replaced: %s", value, words(edits))
	}
	for _, w := range out {
		if strings.Contains(w, ",") {
			return "", fmt.Errorf("%q has a comma in it", w)
		}
	}
	return strings.Join(out, ","), nil
}

func parts(value string) []string {
	var out []string
	for p := range strings.SplitSeq(value, ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// words says the edits to a person.
func words(edits []Item) string {
	var out []string
	for _, e := range edits {
		switch {
		case e.Old == "":
			out = append(out, "add "+e.New)
		case e.New == "":
			out = append(out, "remove "+e.Old)
		default:
			out = append(out, "replace "+e.Old+" with "+e.New)
		}
	}
	return strings.Join(out, ", ")
}

// check refuses words that no address or option of a list has.
func check(edits []Item) error {
	for _, e := range edits {
		if e.Old == "" && e.New == "" {
			return fmt.Errorf("an edit of nothing")
		}
		if e.New != "" {
			if err := word(e.New); err != nil {
				return err
			}
		}
	}
	return nil
}

func word(s string) error {
	switch {
	case len(s) > maxWord:
		return fmt.Errorf("a word of %d bytes, more than %d", len(s), maxWord)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%q has characters that cannot be printed", s)
	case strings.TrimSpace(s) != s || s == "":
		return fmt.Errorf("%q is empty or has blanks around it", s)
	}
	return nil
}

// place is where an edit happens, for messages.
type place struct {
	file string
	do   string // by hand
}

func (p place) byHand(line int, why string) error {
	return &source.ByHand{Pos: source.Pos{File: p.file, Line: line}, Why: why, Do: p.do}
}
