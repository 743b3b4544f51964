package change

import (
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/reader"
)

// Overlay is what one host would be like after the changes that a dry run
// planned for it and did not make. Read through it (see Over) a later step
// sees the file that an earlier one would write.
type Overlay struct {
	Files    map[string]OverlayFile
	Units    map[string]reader.Unit
	Packages map[string]*reader.Package // nil: would be removed. A version is known where it was asked for
	// Opaque is set once a change was planned whose effects nobody knows (an
	// Exec without a probe): what a later step does not find may be there by then.
	Opaque string // name of the step that made it so
	// Brings is set once a package was planned: units, packages, and files where
	// packages put them, may be there by then.
	Brings string // name of the step that made it so
	// Step is the name of the step whose changes are being foreseen. The engine
	// sets it before Foresee.
	Step string

	moves []overlayMove     // of whole trees, oldest first
	by    map[string]string // step that planned a unit or a package
}

// overlayMove: the tree at from is at to by then; "" when it is gone.
type overlayMove struct{ from, to string }

// OverlayFile is a file as it would be.
type OverlayFile struct {
	File    reader.File
	Content []byte // of a small regular file; nil when not at hand
	Step    string // that planned it
	Unknown bool   // something will be there, nobody knows what

	from string                        // where on the host the content lies now, if it stays
	open func() (io.ReadCloser, error) // of a large planned file
}

// Clone is o as it is now: for one who reads a host while others foresee more of it.
func (o *Overlay) Clone() *Overlay {
	c := *o
	c.Files, c.Units, c.Packages, c.by = maps.Clone(o.Files), maps.Clone(o.Units), maps.Clone(o.Packages), maps.Clone(o.by)
	c.moves = slices.Clone(o.moves)
	return &c
}

func (o *Overlay) step(fallback string) string {
	if o.Step != "" {
		return o.Step
	}
	return fallback
}

// opaque says that from here on more may be there than is known.
func (o *Overlay) opaque(summary string) {
	if o.Opaque == "" {
		o.Opaque = o.step(summary)
	}
}

// brings says that from here on a package's files and units may be there.
func (o *Overlay) brings(summary string) {
	if o.Brings == "" {
		o.Brings = o.step(summary)
	}
}

// packaged tells the places where packages put files. /srv, /home, /root, /tmp,
// /mnt and the like are the site's own (FHS 3.0).
func packaged(p string) bool {
	top, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(p), "/"), "/")
	switch top {
	case "etc", "usr", "var", "opt", "bin", "sbin", "boot", "run":
		return true
	}
	return strings.HasPrefix(top, "lib")
}

func (o *Overlay) put(at string, f OverlayFile) {
	if o.Files == nil {
		o.Files = map[string]OverlayFile{}
	}
	f.Step = o.step("an earlier step")
	o.Files[at] = f
}

// remove forgets what was planned at and below the path: it will be gone.
func (o *Overlay) remove(at string) {
	for p := range o.Files {
		if below(p, at) {
			delete(o.Files, p)
		}
	}
	o.moves = append(o.moves, overlayMove{from: at})
	o.put(at, OverlayFile{})
}

// move takes what is planned below the old path along.
func (o *Overlay) move(from, to string, before reader.File) {
	taken := map[string]OverlayFile{}
	for p, f := range o.Files {
		switch {
		case below(p, from):
			taken[to+p[len(from):]] = f
			delete(o.Files, p)
		case below(p, to):
			delete(o.Files, p)
		}
	}
	self, planned := o.Files[from]
	if !planned {
		self = OverlayFile{File: before}
		self.from, _ = o.origin(from)
	}
	self.File.Path = to
	o.moves = append(o.moves, overlayMove{from: from, to: to})
	o.put(from, OverlayFile{})
	if planned || before.Type != reader.Directory {
		o.put(to, self)
	} else {
		delete(o.Files, to)
	}
	for p, f := range taken {
		f.File.Path = p
		o.Files[p] = f
	}
}

// origin is where on the host what will be at p is now; false when nothing of
// the host will be there.
func (o *Overlay) origin(p string) (string, bool) {
	for i := len(o.moves) - 1; i >= 0; i-- {
		m := o.moves[i]
		switch {
		case m.to != "" && (p == m.to || below(p, m.to)):
			p = m.from + p[len(m.to):]
		case p == m.from || below(p, m.from):
			return "", false
		}
	}
	return p, true
}

// present is where what is at p on the host will be; false when it will be gone.
func (o *Overlay) present(p string) (string, bool) {
	for _, m := range o.moves {
		switch {
		case p == m.from || below(p, m.from):
			if m.to == "" {
				return "", false
			}
			p = m.to + p[len(m.from):]
		case m.to != "" && (p == m.to || below(p, m.to)):
			return "", false
		}
	}
	return p, true
}

func (o *Overlay) setUnit(u reader.Unit) {
	if o.Units == nil {
		o.Units = map[string]reader.Unit{}
	}
	o.Units[u.Name] = u
	o.note("unit " + u.Name)
}

func (o *Overlay) setPackage(name string, p *reader.Package) {
	if o.Packages == nil {
		o.Packages = map[string]*reader.Package{}
	}
	o.Packages[name] = p
	o.note("package " + name)
}

func (o *Overlay) note(what string) {
	if o.by == nil {
		o.by = map[string]string{}
	}
	o.by[what] = o.step("an earlier step")
}

// touched is the step that planned something about the file, unit or package
// that a probe names; "" when none did.
func (o *Overlay) touched(word string) string {
	if f, ok := o.Files[path.Clean(word)]; ok {
		return f.Step
	}
	if name, err := reader.UnitName(word); err == nil {
		if step := o.by["unit "+name]; step != "" {
			return step
		}
	}
	return o.by["package "+word]
}

// below tells whether p lies in the folder dir.
func below(p, dir string) bool { return strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/") }
