package bench

import (
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/skeema/knownhosts"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

// floor is what cannot be beaten without fewer round trips: one goroutine per
// host, one connection, n sessions one after the other, host keys checked.
func (f *field) floor(t testing.TB, n int) time.Duration {
	start := time.Now()
	pem, err := os.ReadFile(f.KeyFile)
	require.NoError(t, err)
	key, err := ssh.ParsePrivateKey(pem)
	require.NoError(t, err)
	db, err := knownhosts.NewDB(f.KnownHosts)
	require.NoError(t, err)
	errs := make([]error, len(f.hosts))
	var wg sync.WaitGroup
	for i, h := range f.hosts {
		wg.Go(func() {
			addr := net.JoinHostPort(h, strconv.Itoa(f.Port))
			errs[i] = loop(addr, n, &ssh.ClientConfig{User: f.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)},
				HostKeyCallback: db.HostKeyCallback(), HostKeyAlgorithms: db.HostKeyAlgorithms(addr), Timeout: 10 * time.Second})
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	return time.Since(start)
}

func loop(addr string, n int, cfg *ssh.ClientConfig) error {
	c, err := ssh.Dial("tcp", addr, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	for range n {
		s, err := c.NewSession()
		if err != nil {
			return err
		}
		if _, err := s.Output("/bin/echo hello"); err != nil {
			return err
		}
	}
	return nil
}
