package etcdmember

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"

	"github.com/dayops/dayops/engine/change"
)

func mode(m fs.FileMode) *fs.FileMode { return &m }

// write is a Write of a text over f.
func write(f File, after string, attr change.Attr) *change.Write {
	sum := sha256.Sum256([]byte(after))
	return &change.Write{Path: f.Path, Before: f.File, Was: f.Text, Attr: attr,
		After: change.Content{Size: int64(len(after)), SHA256: hex.EncodeToString(sum[:]), Bytes: []byte(after)}}
}
