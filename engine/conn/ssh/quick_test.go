package ssh

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/stretchr/testify/require"
)

func TestQuick(t *testing.T) {
	for _, stdio := range []bool{false, true} {
		s := sshtest.Start(t, sshtest.Options{Stdio: stdio})
		d := New(Options{Home: t.TempDir(), Notice: func(s string) { t.Log("NOTICE", s) }})
		defer d.Close()
		ctx := context.Background()
		c, err := d.Dial(ctx, s.Target("x"))
		if err != nil {
			t.Log(s.Log())
		}
		require.NoError(t, err)
		defer c.Close()
		r, err := c.Run(ctx, conn.Cmd{Argv: []string{"/bin/sh", "-c", "pwd; cat; echo err >&2; kill -9 $$"}, Stdin: bytes.NewReader([]byte("hi\n"))})
		t.Log(r.Stdout.String(), r.Stderr.String(), r.Code, r.Signal, err)
		start := time.Now()
		_, err = c.Run(ctx, conn.Cmd{Argv: []string{"/bin/sh", "-c", "sleep 300 & setsid sleep 301 & wait"}, Limit: 300 * time.Millisecond})
		t.Log(err, time.Since(start))
		start = time.Now()
		p := t.TempDir() + "/a b'c"
		require.NoError(t, c.Put(ctx, conn.Put{Path: p, Mode: 0640, Size: -1}, bytes.NewReader([]byte("hello"))))
		t.Log(time.Since(start))
		big := bytes.Repeat([]byte("0123456789"), 1000000)
		require.NoError(t, c.Put(ctx, conn.Put{Path: p, Mode: 0640, Size: -1}, bytes.NewReader(big)))
		var b bytes.Buffer
		_, err = c.Get(ctx, "", p, &b)
		require.NoError(t, err)
		require.True(t, bytes.Equal(big, b.Bytes()))
		_, err = c.Get(ctx, "", "/nonexist/x", &b)
		t.Log(err)
		t.Log(c.Put(ctx, conn.Put{Path: "/nonexist/x", Mode: 0640, Size: -1}, bytes.NewReader([]byte("hello"))))
		t.Log(c.Put(ctx, conn.Put{Path: "/nonexist/x", Mode: 0640, Size: -1}, bytes.NewReader(big)))
		r, err = c.Run(ctx, conn.Cmd{Argv: []string{"id", "-un"}, As: "nobody"})
		t.Log(r, err)
		r, err = c.Run(ctx, conn.Cmd{Argv: []string{"id", "-un"}, As: "nobodyx"})
		t.Log(r, err)
	}
}
