package change

import (
	"context"
	"errors"

	"github.com/dayops/dayops/engine/store"
)

// A Transfer of a Tree is an Action: it makes another set each time.
//
//	tree_list.go   what there is to take
//	tree_set.go    into a backup set; tree_batch.go, tree_judge.go: one batch of it
//	tree_dir.go    into a folder of the same host
//	tree_tar.go    the host's tar

// SetResult is what a Transfer of a tree into a set learned.
type SetResult struct {
	Path     string // where the set lies
	Manifest store.Manifest
}

var errTreeTarget = errors.New("a tree goes into a backup set or into a folder of its host, one of them")

func (t *Transfer) observeTree(context.Context, Host) (Where, error) { return Before, nil }

func (t *Transfer) applyTree(ctx context.Context, h Host) (Outcome, error) {
	switch {
	case t.ToSet != nil && t.ToDir == "" && t.ToLocal == "":
		return backUpTree(ctx, h, *t.FromTree, *t.ToSet)
	case t.ToDir != "" && t.ToSet == nil && t.ToLocal == "":
		return copyTree(ctx, h, *t.FromTree, t.ToDir)
	}
	return Outcome{}, errTreeTarget
}
