package guard

import "github.com/dayops/dayops/engine/conn"

// Share is the same lock, reached through another connection: two names of one
// host. It is refreshed and released once, by either.
func (l *Lock) Share(c conn.Conn, as string) *Lock {
	s := *l
	s.conn, s.as = c, as
	return &s
}
