package ssh

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// promptConn acknowledges what it reads at once. sshd sends small packets one
// after the other and waits for the acknowledgement of the one before; Linux
// delays that by 40 ms, which a new connection would pay twice.
type promptConn struct {
	net.Conn
	raw syscall.RawConn
}

func prompt(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	return &promptConn{Conn: c, raw: raw}
}

func (c *promptConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	// Without it the connection is slower and nothing else.
	_ = c.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	return n, err
}
