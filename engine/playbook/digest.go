package playbook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Digest is a checksum of a playbook as written and of its vars_files as read.
func (b *Bound) Digest() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d\n%s\n", len(b.Text), b.Text)
	enc := json.NewEncoder(sum)
	for _, p := range b.Plays {
		for _, f := range p.VarsFiles {
			if err := enc.Encode([]any{f.Path, f.Vars.Any()}); err != nil { // .inf and .nan: JSON has none
				fmt.Fprintf(sum, "%s %#v\n", f.Path, f.Vars.Any())
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}
