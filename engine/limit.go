package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// LimitError: something took longer than it may. It matches context.DeadlineExceeded.
type LimitError struct {
	What  string
	Limit time.Duration
}

func (e *LimitError) Error() string { return fmt.Sprintf("%s took longer than %s", e.What, e.Limit) }

func (e *LimitError) Unwrap() error { return context.DeadlineExceeded }

// within runs f with a limit, and says so when it was this limit that ended it.
func within[T any](ctx context.Context, what string, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	inner, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	v, err := f(inner)
	if err != nil && errors.Is(err, context.DeadlineExceeded) && inner.Err() != nil && ctx.Err() == nil && !isLost(err) {
		err = &LimitError{What: what, Limit: limit}
	}
	return v, err
}

// limited gives every single look at a host its limit.
type limited struct {
	task.Reader
	host func() change.Host // for those tasks that are the engine's own
}

func look[T any](ctx context.Context, f func(context.Context) (T, error)) (T, error) {
	return within(ctx, "one look at the host", ProbeLimit, f)
}

func (l limited) ReadFile(ctx context.Context, path string, max int64) ([]byte, error) {
	return look(ctx, func(ctx context.Context) ([]byte, error) { return l.Reader.ReadFile(ctx, path, max) })
}

func (l limited) Stat(ctx context.Context, paths ...string) ([]reader.File, error) {
	return look(ctx, func(ctx context.Context) ([]reader.File, error) { return l.Reader.Stat(ctx, paths...) })
}

// Hash has no limit of its own: a sum of a large file takes its time, the step's limit holds.

func (l limited) List(ctx context.Context, roots ...string) ([]reader.File, error) {
	return look(ctx, func(ctx context.Context) ([]reader.File, error) { return l.Reader.List(ctx, roots...) })
}

func (l limited) Units(ctx context.Context, names ...string) ([]reader.Unit, error) {
	return look(ctx, func(ctx context.Context) ([]reader.Unit, error) { return l.Reader.Units(ctx, names...) })
}

func (l limited) Packages(ctx context.Context, names ...string) ([]reader.Package, error) {
	return look(ctx, func(ctx context.Context) ([]reader.Package, error) { return l.Reader.Packages(ctx, names...) })
}

func (l limited) Probe(ctx context.Context, argv ...string) (conn.Result, error) {
	return look(ctx, func(ctx context.Context) (conn.Result, error) { return l.Reader.Probe(ctx, argv...) })
}

// User asks no host.
func (l limited) User(service string) (string, error) { return change.User(l.Reader, service) }
