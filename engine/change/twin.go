package change

import (
	"reflect"

	"github.com/dayops/dayops/engine/reader"
)

// twin is a shallow copy of c: its own fields can be set, c keeps its.
func twin(c Change) Change {
	n := reflect.New(reflect.TypeOf(c).Elem())
	n.Elem().Set(reflect.ValueOf(c).Elem())
	return n.Interface().(Change)
}

// planned is where a change holds the state that it was planned from; nil where it holds none.
func planned(c Change) *reader.File {
	switch c := c.(type) {
	case *Write:
		return &c.Before
	case *Attrs:
		return &c.Before
	case *Dir:
		return &c.Before
	case *Link:
		return &c.Before
	case *Remove:
		return &c.Before
	case *Move:
		return &c.Before
	case *Transfer:
		return &c.Before
	}
	return nil
}

// forcing is where a change holds its Force; nil where it has none.
func forcing(c Change) *bool {
	switch c := c.(type) {
	case *Write:
		return &c.Force
	case *Attrs:
		return &c.Force
	case *Dir:
		return &c.Force
	case *Link:
		return &c.Force
	case *Move:
		return &c.Force
	case *Remove:
		return &c.Force
	case *Unit:
		return &c.Force
	}
	return nil
}
