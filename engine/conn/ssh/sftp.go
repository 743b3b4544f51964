package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/shell"
	"github.com/pkg/sftp"
)

// serverScript becomes the host's SFTP server. It is started as a command, not
// as the subsystem: that serves every account through sudo, is not spoiled by
// noise of start-up files, and makes new files private from the first moment.
const serverScript = `for s in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server \
  /usr/libexec/ssh/sftp-server /usr/libexec/sftp-server /usr/lib/sftp-server; do [ -x "$s" ] && exec "$s" -u 0077; done; exit 127`

// transfers keeps one SFTP session per account warm between transfers.
type transfers struct {
	host *shell.Host
	mu   sync.Mutex
	warm map[string]*transfer
	none map[string]bool // accounts whose host has no server
}

// transfer is one SFTP session, used by one caller at a time.
type transfer struct {
	as      string
	client  *sftp.Client
	running *shell.Running
	out     *io.PipeReader // what the server says
}

func newTransfers(h *shell.Host) *transfers {
	return &transfers{host: h, warm: map[string]*transfer{}, none: map[string]bool{}}
}

// take gives the caller a session of its own; nil where the host has no SFTP server.
func (s *transfers) take(ctx context.Context, as string) (*transfer, error) {
	s.mu.Lock()
	t, none := s.warm[as], s.none[as]
	delete(s.warm, as)
	s.mu.Unlock()
	if t != nil || none {
		return t, nil
	}
	t, err := s.open(ctx, as)
	if t == nil && err == nil {
		s.mu.Lock()
		s.none[as] = true
		s.mu.Unlock()
	}
	return t, err
}

// open starts a server. A host without one is no error.
func (s *transfers) open(ctx context.Context, as string) (*transfer, error) {
	out, in := io.Pipe()
	run, err := s.host.Open(ctx, conn.Cmd{As: as, Argv: []string{"/bin/sh", "-c", serverScript}}, in, io.Discard)
	if err != nil {
		return nil, err
	}
	go func() {
		<-run.Done()
		in.Close()
	}()
	t := &transfer{as: as, running: run, out: out}
	err = t.do(ctx, func() (err error) {
		t.client, err = sftp.NewClientPipe(out, run.Stdin(), sftp.UseConcurrentWrites(true))
		return err
	})
	switch lost := (*conn.LostError)(nil); {
	case err == nil:
		return t, nil
	case ctx.Err() != nil || errors.As(err, &lost):
		return nil, err
	}
	t.end()
	return nil, nil
}

// give takes a session back and keeps it warm when nothing went wrong with it.
func (s *transfers) give(t *transfer, err error) {
	harmless := err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, errNotRegular)
	if !harmless {
		t.end()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.warm[t.as] != nil {
		go t.end()
		return
	}
	s.warm[t.as] = t
}

// drop ends one warm session, to make room for a command.
func (s *transfers) drop() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for as, t := range s.warm {
		delete(s.warm, as)
		t.end()
		return true
	}
	return false
}

// end lets go of the server; it exits at the end of its input.
func (t *transfer) end() {
	t.running.Stdin().Close()
	t.out.Close()
	t.running.Release()
}

// do runs f, which talks to the server. When ctx ends first, the server is
// ended, which makes f return.
func (t *transfer) do(ctx context.Context, f func() error) error {
	var err error // f's, once done is closed
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			// The library reads what the host sends; a bug there must cost one transfer, not the run.
			if p := recover(); p != nil {
				err = fmt.Errorf("panic in the SFTP client: %v", p)
			}
		}()
		err = f()
	}()
	select {
	case <-done:
		return t.reason(ctx, err)
	case <-ctx.Done():
		t.out.Close()
		t.running.Abort(ctx)
		select {
		case <-done:
		case <-time.After(time.Second): // it is in the caller's reader or writer
		}
		return ctx.Err()
	}
}

// reason tells a broken link from what the server answered.
func (t *transfer) reason(ctx context.Context, err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, sftp.ErrSSHFxConnectionLost) && !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	select {
	case <-t.running.Done():
		if _, lost := t.running.Wait(ctx); lost != nil {
			return lost
		}
	case <-time.After(time.Second):
	}
	return fmt.Errorf("the SFTP server ended: %w", err)
}

var errNotRegular = errors.New("not a regular file")

func (t *transfer) get(ctx context.Context, name string, w io.Writer) (int64, error) {
	var n atomic.Int64
	err := t.do(ctx, func() error {
		info, err := t.client.Stat(name)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return errNotRegular // to open a fifo may wait for ever
		}
		f, err := t.client.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		written, err := f.WriteTo(w)
		n.Store(written)
		return err
	})
	return n.Load(), pathError("get", name, err)
}

func (t *transfer) put(ctx context.Context, temp string, r io.Reader) error {
	err := t.do(ctx, func() error {
		f, err := t.client.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		if err != nil {
			return err
		}
		_, err = f.ReadFromWithConcurrency(r, 64)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		// The protocol has no word for a full disk.
		if failed := (*sftp.StatusError)(nil); errors.As(err, &failed) {
			if room, e := t.client.StatVFS(path.Dir(temp)); e == nil && (room.Bavail == 0 || room.Favail == 0 && room.Files > 0) {
				return syscall.ENOSPC
			}
		}
		return err
	})
	return pathError("put", temp, err)
}

// pathError names the path in what the server answered; other errors pass.
func pathError(op, name string, err error) error {
	var known *fs.PathError
	var status *sftp.StatusError
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.As(err, &status), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, errNotRegular), errors.Is(err, syscall.ENOSPC):
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return err
}
