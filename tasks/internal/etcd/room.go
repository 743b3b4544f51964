package etcd

import (
	"context"
	"errors"
	"regexp"
	"strconv"

	"github.com/dayops/dayops/engine/task"
)

// Room is a file system as df has it.
type Room struct {
	Mount string // where it is mounted
	Type  string
	Free  int64 // bytes; -1 where df does not say
}

// RoomOf asks for the file system that a folder is on. A folder that is not there, and
// a df that hangs, are a Room that is not known; the error is the connection's alone.
func RoomOf(ctx context.Context, r task.Reader, dir string) (Room, error) {
	res, err := r.Probe(ctx, "df", "-PT", dir)
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return Room{Free: -1}, nil
	case err != nil:
		return Room{Free: -1}, err
	case res.Code != 0:
		return Room{Free: -1}, nil
	}
	return parseRoom(res.Stdout.String()), nil
}

var dfLine = regexp.MustCompile(`(?m)^.*\s(\S+)\s+(?:\d+|-)\s+(?:\d+|-)\s+(\d+)\s+(?:\d+%|-)\s+(/.*)$`)

// parseRoom reads df -PT of one path: source, type, KiB, used, free, per cent, mount.
func parseRoom(out string) Room {
	m := dfLine.FindStringSubmatch(out)
	if m == nil {
		return Room{Free: -1}
	}
	kib, err := strconv.ParseInt(m[2], 10, 53)
	if err != nil {
		return Room{Free: -1}
	}
	return Room{Mount: m[3], Type: m[1], Free: kib << 10}
}
