package snapshot

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/dayops/dayops/engine/store"
)

// Names of the proofs by which changes ask for them.
const (
	ProofSaved  = "etcd snapshot" // must be Sealed
	ProofCopied = "etcd database" // of a stopped member: the host's checksum is its seal
)

// Names of facts in the manifest of a set, as the proofs give them.
const (
	FactRevision  = "revision"
	FactHash      = "hash"       // as snapshot status prints it
	FactKeys      = "keys"       // that a reader of the revision sees
	FactTotalKeys = "total_keys" // as snapshot status counts
	FactDBSize    = "db_size"
	FactSealed    = "sealed" // true, false
	FactStorage   = "storage_version"
	FactIndex     = "raft_index"
)

// Prove is the proof of a file that `etcdctl snapshot save` wrote.
func Prove(ctx context.Context, f io.ReaderAt, a store.Artefact) (map[string]string, error) {
	return prove(ctx, f, a, true)
}

// ProveCopied is the proof of member/snap/db of a stopped member.
func ProveCopied(ctx context.Context, f io.ReaderAt, a store.Artefact) (map[string]string, error) {
	return prove(ctx, f, a, false)
}

func prove(ctx context.Context, f io.ReaderAt, a store.Artefact, sealed bool) (map[string]string, error) {
	facts, err := Verify(ctx, f, a.Size)
	switch {
	case err != nil:
		return nil, err
	case sealed && !facts.Sealed:
		return nil, damaged("it has no SHA-256 at its end: it was cut off there, or is a copied database")
	case facts.SHA256 != a.SHA256:
		return nil, fmt.Errorf("it reads otherwise than it was written: the disk of the control machine may be failing")
	}
	return facts.Manifest(), nil
}

// Manifest is what a set's manifest says of the file.
func (facts Facts) Manifest() map[string]string {
	m := map[string]string{
		FactRevision: strconv.FormatInt(facts.Revision, 10), FactHash: strconv.FormatUint(uint64(facts.Hash), 16),
		FactKeys: strconv.FormatInt(facts.Keys, 10), FactTotalKeys: strconv.FormatInt(facts.TotalKeys, 10),
		FactDBSize: strconv.FormatInt(facts.TotalSize, 10), FactSealed: strconv.FormatBool(facts.Sealed),
	}
	if facts.Version != "" {
		m[FactStorage] = facts.Version
	}
	if facts.Index > 0 {
		m[FactIndex] = strconv.FormatUint(facts.Index, 10)
	}
	return m
}
