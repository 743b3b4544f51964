package task

import (
	"fmt"
	"io"
	"io/fs"

	"github.com/dayops/dayops/engine/strictyaml"
)

// LocalFile is a parameter that names a file of the control machine. The
// engine finds it (files/ beside the playbook, then beside the playbook) and
// fills in what Plan needs; a large file stays a hash and an opener.
type LocalFile struct {
	Name   string // as written in the playbook
	Path   string // where it was found
	Exists bool
	IsDir  bool
	Size   int64
	Mode   fs.FileMode
	SHA256 string
	Open   func() (io.ReadCloser, error) `json:"-"`
	Tree   []LocalFile                   // of a folder: everything below it, Name relative to it, sorted
}

// DecodeScalar takes the name.
func (f *LocalFile) DecodeScalar(n *strictyaml.Node) error { return name(n, &f.Name) }

// TemplateFile is a LocalFile that the engine renders with the host's
// variables before Plan sees it.
type TemplateFile struct {
	Name    string
	Path    string
	Content []byte // rendered
}

// DecodeScalar takes the name.
func (f *TemplateFile) DecodeScalar(n *strictyaml.Node) error { return name(n, &f.Name) }

// LocalDest is a parameter that names where on the control machine something
// is to be written, relative to the playbook's folder. The engine fills in what is there now.
type LocalDest struct {
	Name   string
	Path   string // absolute
	Slash  bool   // Name ended in a slash: a folder is meant
	Exists bool
	IsDir  bool
	SHA256 string
}

// LocalNamer is a parameter type whose LocalDest is not yet the place itself:
// fetch writes to <dest>/<inventory host>/<src>. The engine calls LocalName for
// each host with rendered parameters and looks at that name (relative to the
// playbook's folder) instead of LocalDest.Name. The name is computed from the
// request alone, never from what a host answered.
type LocalNamer interface{ LocalName(host string) string }

// TypeName is the word in documentation.
func (LocalFile) TypeName() string    { return "local file" }
func (TemplateFile) TypeName() string { return "local template" }
func (LocalDest) TypeName() string    { return "local path" }
func (Expr) TypeName() string         { return "expression" }

// DecodeScalar takes the name.
func (f *LocalDest) DecodeScalar(n *strictyaml.Node) error { return name(n, &f.Name) }

// Expr is a parameter that is an expression (assert's `that`, debug's `var`);
// the engine evaluates it with the host's variables before Plan.
type Expr struct {
	Text  string
	Node  *strictyaml.Node
	Value any
	Err   error // undefined variable and the like; Plan decides what it means
}

// DecodeScalar takes the text. Booleans stand for themselves.
func (e *Expr) DecodeScalar(n *strictyaml.Node) error {
	e.Text, e.Node = fmt.Sprint(n.Value), n
	return nil
}

func name(n *strictyaml.Node, into *string) error {
	s, ok := n.Value.(string)
	if !ok || s == "" {
		return fmt.Errorf("want a file name, got %v", n.Value)
	}
	*into = s
	return nil
}
