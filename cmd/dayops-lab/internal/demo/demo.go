// Package demo makes hosts for a demonstration out of OpenSSH's own sshd.
package demo

import (
	"context"
	"errors"
	"time"
)

// Options say which hosts to make.
type Options struct {
	Dir   string
	Count int
	Now   time.Time
}

// Make is not written yet.
func Make(context.Context, Options) (string, error) { return "", errors.New("not yet") }
