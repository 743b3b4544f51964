package playbook

import (
	"fmt"
	"maps"
	"slices"

	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/vars"
)

// misspelt warns of variables of plays, steps and the command line that were
// meant to say how to connect.
func (b *binder) misspelt() (out []*source.Mistake) {
	trees := []*strictyaml.Node{b.env.Extra}
	for _, p := range b.pb.Plays {
		trees = append(trees, p.Vars)
		for _, s := range slices.Concat(p.Steps, p.Handlers) {
			trees = append(trees, s.Vars)
		}
	}
	for _, n := range trees {
		if n == nil {
			continue
		}
		for _, p := range n.Pairs {
			if hint := inventory.Misspelt(p.Key); hint != "" {
				out = append(out, p.KeyAt.Mistake(fmt.Sprintf("the variable %q has no meaning to dayops", p.Key), hint))
			}
		}
	}
	return out
}

// unread warns of an extra variable that nothing reads and that is nearly one
// that something does: "-e bakup_dir=/mnt" would be without effect.
func (b *binder) unread() (out []*source.Mistake) {
	if b.env.Extra == nil {
		return nil
	}
	read := slices.Sorted(maps.Keys(b.names.read))
	for _, p := range b.env.Extra.Pairs {
		if b.names.read[p.Key] || vars.ConnectionVariable(p.Key) {
			continue
		}
		if hint := source.DidYouMean(p.Key, read); hint != "" {
			out = append(out, &source.Mistake{Pos: source.Pos{File: "-e"}, Text: fmt.Sprintf("nothing reads the variable %q", p.Key), Hint: hint})
		}
	}
	return out
}
