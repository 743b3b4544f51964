package playbook

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/source"
)

// selected tells whether tags choose a step, by Ansible's rules: always runs
// unless skipped by name, never runs only when one of its tags is asked for.
func selected(tags, want, skip []string) bool {
	has := func(list []string) bool {
		for _, t := range list {
			switch {
			case t == "all", t == "tagged" && len(tags) > 0, t == "untagged" && len(tags) == 0, slices.Contains(tags, t):
				return true
			}
		}
		return false
	}
	asked := slices.ContainsFunc(want, func(t string) bool { return slices.Contains(tags, t) })
	switch {
	case slices.ContainsFunc(skip, func(t string) bool { return t != "all" || !slices.Contains(tags, "always") }) && has(skip):
		return false
	case slices.Contains(tags, "never"):
		return asked
	case len(want) == 0, slices.Contains(tags, "always"):
		return true
	}
	return has(want)
}

// tagsKnown refuses a tag on the command line that no step has.
func (b *binder) tagsKnown(pb *Playbook) {
	known := []string{"all", "tagged", "untagged", "always", "never"}
	for _, p := range pb.Plays {
		known = append(known, p.Tags...)
		for _, s := range slices.Concat(p.Steps, p.Handlers) {
			known = append(known, s.Tags...)
		}
	}
	for flag, list := range map[string][]string{"--tags": b.env.Tags, "--skip-tags": b.env.SkipTags} {
		for _, t := range list {
			if !slices.Contains(known, t) {
				b.ms.Add(&source.Mistake{Pos: source.Pos{File: flag}, Text: fmt.Sprintf("no task has the tag %q", t),
					Hint: orElse(source.DidYouMean(t, known), "there are: "+strings.Join(slices.Compact(slices.Sorted(slices.Values(known))), ", "))})
			}
		}
	}
}
