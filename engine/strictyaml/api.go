package strictyaml

import (
	"errors"
	"reflect"
)

// Limits of one file. Larger files are refused, not cut.
const (
	MaxBytes = 8 << 20
	MaxDepth = 100
	MaxNodes = 1_000_000 // after aliases and merge keys are expanded
)

// Parse reads one document. The error is a source.List of everything that is
// wrong with the text itself: syntax, a tab, a duplicate key, a key that is not
// a string, a second document, not UTF-8, over the limits. An empty file gives
// a Null node.
func Parse(file string, data []byte) (*Node, error) {
	return nil, errors.New("not yet")
}

// ScalarDecoder is a type that reads itself from a scalar: a file mode, a
// duration, a size. It gets the node so that it can tell 0644 from 644 by
// Raw. The error's text must say what is wrong; the walk adds the place.
type ScalarDecoder interface {
	DecodeScalar(n *Node) error
}

// Options of a Decode.
type Options struct {
	// Template tells that a scalar holds a template and is to be taken unread:
	// its type is checked when it has been rendered. Nil: no templates.
	Template func(*Node) bool
}

// Decode walks n against the struct that into points to and fills it. The
// error is a source.List of all unknown keys (with the nearest name), wrong
// types, missing required fields and values outside `enum`.
//
// Struct tags: `yaml:"name"` (also ",inline" for embedded structs and for a
// map[string]any that takes every other key), `required:"true"`,
// `default:"text"`, `enum:"a,b,c"`, `doc:"text"`, `alias:"other,names"`.
// Fields without a yaml tag are left alone. Pointers tell unset from zero. A
// field of type *Node or any takes the node or its plain value unread.
func Decode(n *Node, into any, opt Options) error {
	return errors.New("not yet")
}

// Field documents one parameter, from the same walk that decodes it.
type Field struct {
	Name     string
	Type     string // "string", "bool", "int", "list of string", "mode", ...
	Required bool
	Default  string
	Enum     []string
	Aliases  []string
	Doc      string
	Fields   []Field // of a struct or a list of structs
}

// Describe lists the fields of the struct type t in declaration order.
func Describe(t reflect.Type) []Field { return nil }
