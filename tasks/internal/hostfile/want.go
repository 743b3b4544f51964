package hostfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
)

// Want is one file as it should be.
type Want struct {
	Path    string
	Content change.Content
	Attrs   Attrs
	Backup  bool
	Keep    bool // force: false: an existing file is left as it is
}

// Content holds bytes that are at hand.
func Content(b []byte) change.Content {
	sum := sha256.Sum256(b)
	return change.Content{
		Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]), Bytes: b,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
	}
}

// Change gives what turns have into want, or nil when that is so already. A
// symlink at the path is replaced, not followed.
func Change(have Have, want Want) (change.Change, error) {
	f := have.File
	switch f.Type {
	case "", reader.Regular, reader.Symlink:
	default:
		return nil, fmt.Errorf("%s is %s, not a file", want.Path, TypeName(f.Type))
	}
	if f.Exists && want.Keep {
		return nil, nil
	}
	at := want.Attrs.ForNew(NewMode, false)
	if f.Type == reader.Regular {
		at = want.Attrs.For(f)
		if f.SHA256 == want.Content.SHA256 {
			if !Differs(f, at) {
				return nil, nil
			}
			return &change.Attrs{Path: want.Path, Before: f, Attr: at}, nil
		}
	}
	return &change.Write{
		Path: want.Path, Before: f, Was: have.Text, After: want.Content, Attr: at,
		Backup: want.Backup && f.Type == reader.Regular,
	}, nil
}

// TypeName is the word for a file type.
func TypeName(t reader.FileType) string {
	switch t {
	case reader.Regular:
		return "a file"
	case reader.Directory:
		return "a folder"
	case reader.Symlink:
		return "a symlink"
	case reader.Fifo:
		return "a fifo"
	case reader.Socket:
		return "a socket"
	case reader.BlockDev, reader.CharDev:
		return "a device"
	}
	return "nothing"
}
