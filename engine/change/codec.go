package change

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/dayops/dayops/engine/plain"
	"github.com/dayops/dayops/engine/reader"
)

// EncodeOptions say how much of a change goes into its JSON.
type EncodeOptions struct {
	// Content: also the bytes of files (new, and old where they are at hand) and
	// of an Exec's input. They may be secret.
	Content bool
}

// Encode is c as JSON (see package plain for its shape); Kind names its type.
// Openers are left out, and of a file's state what says nothing about it: inode, ctime.
func Encode(c Change, opt EncodeOptions) (json.RawMessage, error) {
	if b, ok := c.(*Bracket); ok {
		return encodeBracket(b, opt)
	}
	n := twin(c)
	if f := planned(n); f != nil {
		*f = steady(*f)
	}
	switch n := n.(type) {
	case *Write:
		if !opt.Content {
			n.Was, n.After.Bytes = nil, nil
		}
	case *Move:
		n.Over = steadyPointer(n.Over)
	case *Exec:
		if !opt.Content {
			n.Stdin, n.Undo = nil, slices.Clone(n.Undo)
			for i, u := range n.Undo {
				if u != nil {
					n.Undo[i] = twin(u).(*Exec)
					n.Undo[i].Stdin = nil
				}
			}
		}
	case *Transfer:
		n.FromFile = steadyPointer(n.FromFile)
	}
	return plain.Marshal(n)
}

// steady is f without what differs between two equal files.
func steady(f reader.File) reader.File {
	f.Ctime, f.Dev, f.Inode, f.Blocks = time.Time{}, 0, 0, 0
	return f
}

func steadyPointer(f *reader.File) *reader.File {
	if f == nil {
		return nil
	}
	s := steady(*f)
	return &s
}

// tagged is a change within a Bracket.
type tagged struct {
	Kind   string
	Change json.RawMessage
}

type bracket struct{ Do, Then []tagged }

func encodeBracket(c *Bracket, opt EncodeOptions) (json.RawMessage, error) {
	var b bracket
	for _, part := range []struct {
		from []Change
		to   *[]tagged
	}{{c.Do, &b.Do}, {c.Then, &b.Then}} {
		for _, m := range part.from {
			if err := bracketable(m); err != nil {
				return nil, err
			}
			raw, err := Encode(m, opt)
			if err != nil {
				return nil, err
			}
			*part.to = append(*part.to, tagged{m.Kind(), raw})
		}
	}
	return plain.Marshal(b)
}

// DecodeOptions say where a decoded change finds what its JSON does not hold.
type DecodeOptions struct {
	// Open gives the bytes that a Keeper stored under ref.
	Open func(ref string) (io.ReadCloser, error)
}

// Decode reads what Encode wrote of a change of this kind. A Write without its
// content can be looked at, not applied.
func Decode(kind string, raw json.RawMessage, opt DecodeOptions) (Change, error) {
	c := blank(kind)
	if c == nil {
		return nil, fmt.Errorf("no kind of change is called %.40q", kind)
	}
	var err error
	if b, ok := c.(*Bracket); ok {
		err = decodeBracket(b, raw, opt)
	} else {
		err = plain.Unmarshal(raw, c)
	}
	if err != nil {
		return nil, fmt.Errorf("a change %q: %w", kind, err)
	}
	if w, ok := c.(*Write); ok && w.After.Blob != "" && opt.Open != nil {
		ref := w.After.Blob
		w.After.Open = func() (io.ReadCloser, error) { return opt.Open(ref) }
	}
	return c, nil
}

func blank(kind string) Change {
	for _, c := range []Change{&Write{}, &Attrs{}, &Dir{}, &Link{}, &Move{}, &Remove{}, &Unit{}, &Package{}, &Exec{}, &Transfer{}, &Wait{}, &Reboot{}, &Bracket{}} {
		if c.Kind() == kind {
			return c
		}
	}
	return nil
}

func decodeBracket(c *Bracket, raw json.RawMessage, opt DecodeOptions) error {
	var b bracket
	if err := plain.Unmarshal(raw, &b); err != nil {
		return err
	}
	for _, part := range []struct {
		from []tagged
		to   *[]Change
	}{{b.Do, &c.Do}, {b.Then, &c.Then}} {
		for _, t := range part.from {
			if m := blank(t.Kind); m == nil || bracketable(m) != nil {
				return fmt.Errorf("%.40q cannot be in a bracket", t.Kind)
			}
			m, err := Decode(t.Kind, t.Change, opt)
			if err != nil {
				return err
			}
			*part.to = append(*part.to, m)
		}
	}
	return nil
}

// Digest is a SHA-256 of what c would do: paths, hashes, attributes, verbs,
// words. Two plans of the same thing have the same, whatever they started from.
func Digest(c Change) string {
	raw, err := plain.Marshal(deed(c))
	if err != nil {
		raw = []byte(c.Summary()) // not reached: deed gives plain data
	}
	sum := sha256.Sum256(append([]byte(c.Kind()+"\n"), raw...))
	return hex.EncodeToString(sum[:])
}

// deed is c without what it was planned from and what only people read.
func deed(c Change) any {
	switch c := c.(type) {
	case *Write:
		return Write{Path: path.Clean(c.Path), After: Content{Size: c.After.Size, SHA256: c.After.SHA256}, Attr: c.Attr, Backup: c.Backup, Force: c.Force}
	case *Attrs:
		return Attrs{Path: path.Clean(c.Path), Attr: c.Attr, Recursive: c.Recursive, Touch: c.Touch, Force: c.Force}
	case *Dir:
		return Dir{Path: path.Clean(c.Path), Attr: c.Attr, Force: c.Force, Staging: c.Staging}
	case *Link:
		return Link{Path: path.Clean(c.Path), Target: c.Target, Hard: c.Hard, Attr: c.Attr, Force: c.Force}
	case *Move:
		return Move{From: path.Clean(c.From), To: path.Clean(c.To), Kept: c.Kept, Force: c.Force}
	case *Remove:
		return Remove{Path: path.Clean(c.Path), OnlyEmpty: c.OnlyEmpty, Staging: c.Staging, Force: c.Force}
	case *Unit:
		return struct {
			Name  string
			Verbs []string
		}{c.Name, c.verbs()}
	case *Package:
		p := *c
		p.Before, p.Was, p.Left = nil, nil, nil
		return p
	case *Exec:
		return deedOf(c)
	case *Transfer:
		t := *c
		t.Note = ""
		if t.FromFile != nil {
			t.FromFile = &reader.File{Path: t.FromFile.Path, SHA256: t.FromFile.SHA256}
		}
		t.Before = reader.File{}
		return t
	case *Wait:
		w := *c
		w.Find = deedOfQuery(c.Find)
		return w
	case *Reboot:
		r := *c
		r.BootID = ""
		return r
	case *Bracket:
		var parts struct{ Do, Then []string }
		for _, m := range c.Do {
			parts.Do = append(parts.Do, Digest(m))
		}
		for _, m := range c.Then {
			parts.Then = append(parts.Then, Digest(m))
		}
		return parts
	}
	return c // not reached
}

// deedOf leaves out of a command, and of what it asks, the words for people.
func deedOf(c *Exec) Exec {
	e := *c
	e.Purpose, e.UndoWhy, e.Words, e.Undo = "", "", maps.Clone(c.Words), nil
	for name, q := range e.Words {
		e.Words[name] = *deedOfQuery(&q)
	}
	for _, u := range c.Undo {
		if u != nil {
			d := deedOf(u)
			e.Undo = append(e.Undo, &d)
		}
	}
	if c.Done != nil {
		p := *c.Done
		p.Find = deedOfQuery(p.Find)
		e.Done = &p
	}
	return e
}

func deedOfQuery(q *Query) *Query {
	if q == nil {
		return nil
	}
	d := *q
	d.What = ""
	return &d
}
