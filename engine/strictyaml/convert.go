package strictyaml

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/dayops/dayops/engine/source"
)

// converter turns the library's tree into ours. An alias shares the tree of
// its anchor, so memory stays that of the file however much it expands to.
type converter struct {
	text *text
	ms   *source.Mistakes
	done map[*yaml.Node]converted
	open []*yaml.Node // nodes being converted, to find an anchor inside itself
	stop bool         // a limit was passed: say so once and give up
}

type converted struct {
	node  *Node
	count int // nodes after expansion
	depth int
}

func (c *converter) node(y *yaml.Node, depth int) converted {
	if c.stop {
		return converted{node: c.place(y), count: 1, depth: 1}
	}
	if y.Kind == yaml.AliasNode {
		return c.alias(y, depth)
	}
	r := converted{node: c.place(y), count: 1, depth: 1}
	if y.Anchor != "" {
		c.open = append(c.open, y)
		defer func() { c.open = c.open[:len(c.open)-1] }()
	}
	switch y.Kind {
	case yaml.ScalarNode:
		c.scalar(y, r.node)
	case yaml.SequenceNode:
		r.node.Kind = Seq
		c.collectionTag(y, r.node, "!!seq")
		r.node.Items = make([]*Node, 0, len(y.Content))
		for _, item := range y.Content {
			it := c.node(item, depth+1)
			r.node.Items = append(r.node.Items, it.node)
			r.add(it)
		}
	case yaml.MappingNode:
		r.node.Kind = Map
		c.collectionTag(y, r.node, "!!map")
		c.mapping(y, &r, depth)
	}
	c.limits(y, r, depth)
	if y.Anchor != "" {
		c.done[y] = r
	}
	return r
}

func (r *converted) add(child converted) {
	r.count += child.count
	r.depth = max(r.depth, child.depth+1)
}

func (c *converter) alias(y *yaml.Node, depth int) converted {
	for _, o := range c.open {
		if o == y.Alias {
			c.add(y, len(y.Value)+1, fmt.Sprintf("anchor %q contains itself", y.Value), "")
			return converted{node: c.place(y), count: 1, depth: 1}
		}
	}
	r, ok := c.done[y.Alias]
	if !ok {
		r = c.node(y.Alias, depth)
	}
	c.limits(y, r, depth)
	return r
}

func (c *converter) limits(y *yaml.Node, r converted, depth int) {
	switch {
	case c.stop:
	case r.count > MaxNodes:
		c.stop = true
		c.add(y, 1, fmt.Sprintf("more than %d values after aliases are expanded", MaxNodes), "repeat less through anchors and aliases, or split the file")
	case depth+r.depth-1 > MaxDepth:
		c.stop = true
		c.add(y, 1, fmt.Sprintf("nested more than %d levels deep", MaxDepth), "")
	}
}

func (c *converter) place(y *yaml.Node) *Node {
	return &Node{Pos: source.Pos{File: c.text.file, Line: y.Line, Col: y.Column}, Line: c.text.line(y.Line)}
}

func (c *converter) add(y *yaml.Node, length int, what, hint string) {
	c.ms.Add(c.text.mistake(y.Line, y.Column, length, what, hint))
}

func (c *converter) mapping(y *yaml.Node, r *converted, depth int) {
	n := r.node
	index := make(map[string]int, len(y.Content)/2)
	var merges []Pair
	var merge *yaml.Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.Tag == "!!merge" {
			if merge != nil {
				c.add(key, 2, "duplicate key <<", fmt.Sprintf("first on line %d; merge several with << : [*a, *b]", merge.Line))
				continue
			}
			merge = key
			merges = c.merge(value, r, depth)
			continue
		}
		name, ok := c.key(key)
		v := c.node(value, depth+1)
		r.count++
		r.add(v)
		if !ok {
			continue
		}
		if at, dup := index[name]; dup {
			c.add(key, len([]rune(name)), fmt.Sprintf("duplicate key %q", name), fmt.Sprintf("first on line %d; only one of them would count", n.Pairs[at].KeyAt.Pos.Line))
			continue
		}
		index[name] = len(n.Pairs)
		n.Pairs = append(n.Pairs, Pair{Key: name, KeyAt: c.keyNode(key), Value: v.node})
	}
	for _, p := range merges {
		if _, has := index[p.Key]; !has {
			index[p.Key] = len(n.Pairs)
			n.Pairs = append(n.Pairs, p)
		}
	}
}

// merge reads the value of <<: a map or a list of maps, the first of which
// wins. Keys of the map itself win over all.
func (c *converter) merge(y *yaml.Node, r *converted, depth int) []Pair {
	v := c.node(y, depth+1)
	r.add(v)
	if c.stop {
		return nil
	}
	maps := []*Node{v.node}
	if v.node.Kind == Seq {
		maps = v.node.Items
	}
	var pairs []Pair
	seen := map[string]bool{}
	for _, m := range maps {
		if m.Kind != Map {
			c.add(y, 1, "<< wants a map or a list of maps", "")
			return nil
		}
		for _, p := range m.Pairs {
			if !seen[p.Key] {
				seen[p.Key] = true
				pairs = append(pairs, p)
			}
		}
	}
	return pairs
}

func (c *converter) keyNode(y *yaml.Node) *Node {
	n := c.place(y)
	n.Kind, n.Value, n.Raw = Scalar, y.Value, y.Value
	n.Quote = quoted(y)
	return n
}

func (c *converter) key(y *yaml.Node) (string, bool) {
	if y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	if y.Kind != yaml.ScalarNode {
		if y.Kind == yaml.MappingNode && y.Style&yaml.FlowStyle != 0 && y.Column > 1 {
			c.ms.Add(c.text.mistake(y.Line, y.Column-1, 2, bareTemplate, bareTemplateHint))
			return "", false
		}
		c.add(y, 1, "a list or map as a key", "a key must be a string")
		return "", false
	}
	tagged := y.Style&yaml.TaggedStyle != 0
	if quoted(y) || tagged && y.Tag == "!!str" {
		return y.Value, true
	}
	if tagged {
		c.add(y, 1, "a key with the tag "+y.Tag, "write a plain string")
		return "", false
	}
	switch resolve(y.Value).(type) {
	case bool:
		c.add(y, len(y.Value), fmt.Sprintf("the key %s is a bool, not a string", y.Value), fmt.Sprintf("put it in quotes: %q", y.Value))
		return "", false
	case nil:
		c.add(y, max(len(y.Value), 1), "a key that is empty", "put it in quotes if it is meant")
		return "", false
	}
	return y.Value, true
}

func quoted(y *yaml.Node) bool {
	return y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

func (c *converter) collectionTag(y *yaml.Node, n *Node, plain string) {
	if y.Style&yaml.TaggedStyle == 0 || y.Tag == plain {
		return
	}
	if y.Tag == "!unsafe" {
		n.Tag = y.Tag
		return
	}
	c.badTag(y)
}

func (c *converter) badTag(y *yaml.Node) {
	hint := "remove the tag"
	if y.Tag == "!vault" || y.Tag == "!vault-encrypted" {
		hint = "ansible-vault is not supported; keep the secret in a file of mode 0600 and name it with -e @FILE"
	}
	c.add(y, len(y.Tag), "the tag "+y.Tag+" is not known here", hint)
}

func (c *converter) scalar(y *yaml.Node, n *Node) {
	n.Kind, n.Raw, n.Quote, n.Value = Scalar, y.Value, quoted(y), y.Value
	if y.Style&yaml.TaggedStyle != 0 {
		c.taggedScalar(y, n)
		return
	}
	if n.Quote {
		return
	}
	n.Value = resolve(y.Value)
	if n.Value == nil {
		n.Kind = Null
	}
}

func (c *converter) taggedScalar(y *yaml.Node, n *Node) {
	n.Tag = y.Tag
	switch y.Tag {
	case "!!str", "!unsafe":
		n.Quote = true
		return
	case "!!int", "!!float", "!!bool", "!!null":
	default:
		c.badTag(y)
		return
	}
	v := resolve(y.Value)
	ok := false
	switch x := v.(type) {
	case nil:
		ok = y.Tag == "!!null"
		n.Kind = Null
	case bool:
		ok = y.Tag == "!!bool"
	case int64:
		ok = y.Tag == "!!int" || y.Tag == "!!float"
		if y.Tag == "!!float" {
			v = float64(x)
		}
	case float64:
		ok = y.Tag == "!!float"
	}
	if !ok {
		c.add(y, len(y.Tag), fmt.Sprintf("%q does not fit the tag %s", y.Value, y.Tag), "remove the tag")
	}
	n.Value, n.Quote = v, false
}
