package lab

import (
	"context"
	"io"
)

// Identity is the lab's random name and its bridge.
func Identity(l *Lab) (id, bridge string) { return l.state.ID, l.state.Bridge }

// Sweep removes labs whose owner is dead.
func Sweep(ctx context.Context) error { return sweep(ctx, io.Discard) }

// Disown makes the lab look as if its owner had died.
func Disown(l *Lab) error {
	l.state.Owner.Start = "1"
	return writeState(l.dir, l.state)
}

// Warm builds the base image.
func Warm(ctx context.Context) error {
	_, err := ensureBase(ctx, io.Discard)
	return err
}
