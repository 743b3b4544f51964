package reader_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
)

// execConn runs commands on this machine.
type execConn struct{ conn.Conn }

func (execConn) Run(ctx context.Context, c conn.Cmd) (conn.Result, error) {
	if c.Limit > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, c.Limit)
		defer cancel()
	}
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdin = os.Environ(), c.Dir, c.Stdin
	for k, v := range c.Env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var out, errs conn.Recorder
	cmd.Stdout, cmd.Stderr = io.Writer(&out), &errs
	if c.Stdout != nil {
		cmd.Stdout = c.Stdout
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return conn.Result{}, err
	}
	return conn.Result{Code: cmd.ProcessState.ExitCode(), Stdout: out.Capture(), Stderr: errs.Capture()}, ctx.Err()
}

func here(t *testing.T) *reader.Reader {
	t.Helper()
	return reader.New(execConn{}, "")
}

// nobodyConn runs commands as the account nobody.
type nobodyConn struct{ execConn }

func (n nobodyConn) Run(ctx context.Context, c conn.Cmd) (conn.Result, error) {
	c.Argv = append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"}, c.Argv...)
	return n.execConn.Run(ctx, c)
}
