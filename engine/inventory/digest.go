package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Digest is a checksum of what the inventory says: hosts, groups and every
// host's variables with those of group_vars and host_vars; not of how it is
// written down. Two inventories that mean the same have the same.
func (inv *Inventory) Digest() string {
	sum := sha256.New()
	enc := json.NewEncoder(sum)
	put := func(v any) {
		if err := enc.Encode(v); err != nil { // .inf and .nan: JSON has none
			fmt.Fprintf(sum, "%#v\n", v)
		}
	}
	put(inv.GroupMap())
	for _, h := range inv.Hosts() {
		put([]any{h, inv.GroupsOf(h), inv.Vars(h).Any()})
	}
	return hex.EncodeToString(sum.Sum(nil))
}
