//go:build crash

package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// crasher kills this process at a write of the journal, as $DAYOPS_CRASH says:
// before:N, half:N (the batch reaches the file in part) or after:N, N from 1;
// or the same with a record that is in the write in place of N: its kind and
// place, "after:done 1.3 node-2 0 0" (step, host, item, try).
type crasher struct {
	n     int
	batch []byte
}

func (c *crasher) before(to io.Writer, batch []byte) {
	c.n++
	c.batch = batch
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
	point, what, _ := strings.Cut(os.Getenv("DAYOPS_CRASH"), ":")
	if point != when || what == "" {
		return false
	}
	if n, err := strconv.Atoi(what); err == nil {
		return n == c.n
	}
	for line := range bytes.Lines(c.batch) {
		var r Record
		if _, text, ok := bytes.Cut(line, []byte(" ")); ok && json.Unmarshal(text, &r) == nil &&
			fmt.Sprintf("%s %s %s %d %d", r.Kind, r.At.Step, r.At.Host, r.At.Item, r.At.Try) == what {
			return true
		}
	}
	return false
}
