//go:build crash

package journal

import (
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// crasher kills this process at a write of the journal, as $DAYOPS_CRASH says:
// before:N, half:N (the batch reaches the file in part) or after:N, N from 1.
type crasher struct{ n int }

func (c *crasher) before(to io.Writer, batch []byte) {
	c.n++
	c.at("before")
	if c.due("half") {
		_, _ = to.Write(batch[:len(batch)/2])
		c.at("half")
	}
}

func (c *crasher) after() { c.at("after") }

func (c *crasher) at(when string) {
	if c.due(when) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (c *crasher) due(when string) bool {
	point, number, _ := strings.Cut(os.Getenv("DAYOPS_CRASH"), ":")
	n, err := strconv.Atoi(number)
	return err == nil && point == when && n == c.n
}
