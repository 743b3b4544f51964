//go:build !crash

package journal

import "io"

// crasher does nothing: only a build with the tag crash can be made to die.
type crasher struct{}

func (*crasher) before(io.Writer, []byte) {}

func (*crasher) after() {}
