package v2copy

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/dayops/dayops/engine/store"
)

// ProofCopy is the name by which a change asks for Prove.
const ProofCopy = "etcd v2 copy"

// FactIndex is the fact in a set's manifest up to which entry of raft's the v2 store goes.
const FactIndex = "v2_raft_index"

// FactKeys is the fact how many keys are in the v2 store for certain: Facts.Keys,
// counted from the copy itself. Not there where that cannot be counted.
const FactKeys = "v2_keys"

// Prove is the proof of a packed copy of a v2 store.
func Prove(ctx context.Context, f io.ReaderAt, a store.Artefact) (map[string]string, error) {
	facts, err := Read(ctx, io.NewSectionReader(f, 0, a.Size))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	out := map[string]string{FactIndex: strconv.FormatUint(facts.Last, 10)}
	if facts.Keys >= 0 {
		out[FactKeys] = strconv.FormatInt(facts.Keys, 10)
	}
	return out, nil
}
