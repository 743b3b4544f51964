package ssh

import (
	"context"
	"io"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/shell"
)

// Conn is a connection to one host.
type Conn struct {
	*shell.Host
	link *link
	sftp *transfers
}

func newConn(l *link, t conn.Target, r *route) *Conn {
	h := &shell.Host{Name: t.Name, Login: r.user, Method: t.BecomeMethod, Password: t.BecomePassword, Start: l.start}
	c := &Conn{Host: h, link: l, sftp: newTransfers(h)}
	l.room.idle = c.sftp.drop
	h.Upload = c.upload
	return c
}

// Get is conn.Conn's Get, over SFTP, or with cat where the host has none.
func (c *Conn) Get(ctx context.Context, as, path string, w io.Writer) (int64, error) {
	t, err := c.sftp.take(ctx, c.account(as))
	if err != nil {
		return 0, err
	}
	if t == nil {
		return c.Host.Get(ctx, as, path, w)
	}
	n, err := t.get(ctx, path, w)
	c.sftp.give(t, err)
	return n, err
}

func (c *Conn) upload(ctx context.Context, as, temp string, r io.Reader) error {
	t, err := c.sftp.take(ctx, c.account(as))
	if err != nil {
		return err
	}
	if t == nil {
		return c.CatUpload(ctx, as, temp, r)
	}
	err = t.put(ctx, temp, r)
	c.sftp.give(t, err)
	return err
}

func (c *Conn) account(as string) string {
	if as == c.Login {
		return ""
	}
	return as
}

// Close ends the connection. What runs fails with *conn.LostError.
func (c *Conn) Close() error {
	c.link.close()
	return nil
}
