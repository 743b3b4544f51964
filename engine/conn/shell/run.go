package shell

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dayops/dayops/engine/conn"
)

// Run is conn.Conn's Run. It does not wait for a Read of c.Stdin that is under
// way when the command ends.
func (h *Host) Run(ctx context.Context, c conn.Cmd) (conn.Result, error) {
	if c.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Limit)
		defer cancel()
	}
	if err := ctx.Err(); err != nil {
		return conn.Result{}, err
	}
	broken, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var out, errs conn.Recorder
	var stdout io.Writer = &out
	if c.Stdout != nil {
		stdout = &sink{to: c.Stdout, fail: fail}
	}
	r, err := h.Open(ctx, c, stdout, &errs)
	if err != nil {
		return conn.Result{}, err
	}
	if c.Stdin == nil {
		r.Stdin().Close()
	} else {
		go feed(r, c.Stdin, fail)
	}
	exit, err := r.Wait(broken)
	// A writer that failed late, when the command had already ended, counts as well.
	if cause := context.Cause(broken); cause != nil {
		return conn.Result{}, cause
	}
	if err != nil {
		return conn.Result{}, err
	}
	return conn.Result{Code: exit.Code, Signal: exit.Signal, Stdout: out.Capture(), Stderr: errs.Capture()}, nil
}

// sink passes an output on until its writer fails once; then it only drains.
type sink struct {
	to     io.Writer
	fail   context.CancelCauseFunc
	failed bool
}

func (s *sink) Write(p []byte) (int, error) {
	if !s.failed {
		if _, err := s.to.Write(p); err != nil {
			s.failed = true
			s.fail(fmt.Errorf("store the output: %w", err))
		}
	}
	return len(p), nil
}

// feed copies from to the command's input. An input that cannot be read ends
// the command: its end must not look like the end of the input.
func feed(r *Running, from io.Reader, fail context.CancelCauseFunc) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, werr := r.Stdin().Write(buf[:n]); werr != nil {
				return // the command does not want more; how it ends is its result
			}
		}
		if errors.Is(err, io.EOF) {
			r.Stdin().Close()
			return
		}
		if err != nil {
			fail(fmt.Errorf("read the input: %w", err))
			return
		}
	}
}
