package local_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/stretchr/testify/require"
)

func TestQuick(t *testing.T) {
	c, err := local.New(conn.Target{Name: "x"})
	require.NoError(t, err)
	ctx := context.Background()
	r, err := c.Run(ctx, conn.Cmd{Argv: []string{"/bin/sh", "-c", "pwd; cat; echo err >&2; kill -9 $$"}, Stdin: bytes.NewReader([]byte("hi\n"))})
	t.Log(r.Stdout.String(), r.Stderr.String(), r.Code, r.Signal, err)
	start := time.Now()
	_, err = c.Run(ctx, conn.Cmd{Argv: []string{"/bin/sh", "-c", "sleep 300 & setsid sleep 301 & wait"}, Limit: 300 * time.Millisecond})
	t.Log(err, time.Since(start))
	p := t.TempDir() + "/a b'c"
	require.NoError(t, c.Put(ctx, conn.Put{Path: p, Mode: 0640, Size: -1}, bytes.NewReader([]byte("hello"))))
	big := bytes.Repeat([]byte("0123456789"), 100000)
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
