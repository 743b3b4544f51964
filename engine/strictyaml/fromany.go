package strictyaml

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/dayops/dayops/engine/source"
)

// FromAny makes a tree of plain data (the types that Any returns, and Go's
// other integer, float, []string and map types) with every node placed at pos.
// Map keys are sorted.
func FromAny(v any, pos source.Pos) *Node { return fromAny(v, &Node{Pos: pos}) }

func fromAny(v any, at *Node) *Node {
	n := &Node{Pos: at.Pos, Line: at.Line, Kind: Scalar}
	switch v := v.(type) {
	case nil:
		n.Kind = Null
	case *Node:
		return v
	case string:
		n.Value, n.Raw, n.Quote = v, v, true
	case bool:
		n.Value, n.Raw = v, strconv.FormatBool(v)
	case int:
		n.Value, n.Raw = int64(v), strconv.Itoa(v)
	case int64:
		n.Value, n.Raw = v, strconv.FormatInt(v, 10)
	case float64:
		n.Value, n.Raw = v, strconv.FormatFloat(v, 'g', -1, 64)
	case map[string]any:
		n.Kind = Map
		for _, k := range slices.Sorted(maps.Keys(v)) {
			n.Pairs = append(n.Pairs, Pair{Key: k, KeyAt: fromAny(k, at), Value: fromAny(v[k], at)})
		}
	case []any:
		n.Kind = Seq
		for _, it := range v {
			n.Items = append(n.Items, fromAny(it, at))
		}
	case []string:
		n.Kind = Seq
		for _, it := range v {
			n.Items = append(n.Items, fromAny(it, at))
		}
	default:
		s := fmt.Sprint(v)
		n.Value, n.Raw, n.Quote = s, s, true
	}
	return n
}
