package change

import (
	"path"
	"strings"

	"github.com/dayops/dayops/engine/reader"
)

// Later is something that a change takes from a host when it is done: a value
// that a query finds, or a file of another host.
type Later struct {
	Host  string // of the file; "" of a query's
	What  string // for people: "the ID of etcd-3"
	path  string
	query *Query
}

// Awaits lists what c takes when it is done.
func Awaits(c Change) (out []Later) {
	switch c := c.(type) {
	case *Exec:
		for _, q := range c.Words {
			out = append(out, Later{What: q.what(), query: &q})
		}
	case *Transfer:
		if c.between() {
			out = append(out, Later{Host: c.FromPeer, What: reader.Printable(path.Base(c.ToFile)), path: path.Clean(c.FromPath)})
		}
	}
	return out
}

// Brings tells whether c, done on host, is what l waits for: it ends when the
// same is found, or makes the file or the folder that it lies in.
func (l Later) Brings(host string, c Change) bool {
	below := func(p string) bool {
		return p != "" && host == l.Host && (l.path == path.Clean(p) || strings.HasPrefix(l.path, path.Clean(p)+"/"))
	}
	switch c := c.(type) {
	case *Exec:
		if l.query == nil {
			return c.Done != nil && !c.Done.Absent && below(c.Done.Path)
		}
		if c.Done == nil || c.Done.Find == nil || c.Done.Absent {
			return false
		}
		f := c.Done.Find
		return f.List == l.query.List && f.Key == l.query.Key && f.Value == l.query.Value
	case *Dir:
		return l.query == nil && below(c.Path)
	}
	return false
}
