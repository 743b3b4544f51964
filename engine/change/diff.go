package change

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
)

// maxDiff is the size up to which texts are compared line by line.
const maxDiff = 1 << 20

// unified is the diff of two texts under Ansible's labels.
func unified(path, old, new string) string {
	return udiff.Unified("before: "+path, "after: "+path, old, new)
}

func isText(b []byte) bool {
	return len(b) <= maxDiff && utf8.Valid(b) && bytes.IndexByte(b, 0) < 0
}

// sizes stands for a diff of what is not text or too large.
func sizes(what string, exists bool, old, new int64) string {
	if !exists {
		return fmt.Sprintf("%s, %d bytes\n", what, new)
	}
	return fmt.Sprintf("%s, %d bytes -> %d bytes\n", what, old, new)
}
