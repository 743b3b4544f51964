package inventory

import (
	"github.com/dayops/dayops/engine/strictyaml"
)

// varSet holds the variables of one host or group in the order in which they
// were first set, each with the source file that set it last.
type varSet struct {
	pairs []strictyaml.Pair
	files []string
	index map[string]int
}

// get returns the pair of that name and the file that set it.
func (s *varSet) get(name string) (*strictyaml.Pair, string) {
	if i, ok := s.index[name]; ok {
		return &s.pairs[i], s.files[i]
	}
	return nil, ""
}

func (s *varSet) set(p strictyaml.Pair, file string) {
	if i, ok := s.index[p.Key]; ok {
		s.pairs[i], s.files[i] = p, file
		return
	}
	if s.index == nil {
		s.index = make(map[string]int, 4)
	}
	s.index[p.Key] = len(s.pairs)
	s.pairs, s.files = append(s.pairs, p), append(s.files, file)
}

// node gives the set as a Map; nil when it is empty.
func (s *varSet) node() *strictyaml.Node {
	if len(s.pairs) == 0 {
		return nil
	}
	return &strictyaml.Node{Kind: strictyaml.Map, Pos: s.pairs[0].KeyAt.Pos, Line: s.pairs[0].KeyAt.Line, Pairs: s.pairs}
}

// sameValue compares two values, not their places.
func sameValue(a, b *strictyaml.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Kind != b.Kind || a.Tag != b.Tag || len(a.Pairs) != len(b.Pairs) || len(a.Items) != len(b.Items) {
		return false
	}
	if a.Kind == strictyaml.Scalar && a.Value != b.Value {
		return false
	}
	for _, p := range a.Pairs {
		if v := b.Get(p.Key); v == nil || !sameValue(p.Value, v) {
			return false
		}
	}
	for i := range a.Items {
		if !sameValue(a.Items[i], b.Items[i]) {
			return false
		}
	}
	return true
}
