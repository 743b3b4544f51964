package change

import (
	"context"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
)

// Looker is the read-only side of a host: all that a task's Check may do to
// it. A *reader.Reader is one, and an *OverlayReader. Paths are absolute.
// Errors that match fs.ErrPermission and fs.ErrNotExist mean what they say.
type Looker interface {
	// ReadFile returns the whole file, or an error when it is larger than max bytes.
	ReadFile(ctx context.Context, path string, max int64) ([]byte, error)
	// Stat looks at paths, in order; absent ones have Exists false. It does not follow symlinks.
	Stat(ctx context.Context, paths ...string) ([]reader.File, error)
	// Hash is Stat with SHA256 filled in for regular files.
	Hash(ctx context.Context, paths ...string) ([]reader.File, error)
	// List walks the trees below roots, which are included; globs in roots are
	// expanded on the host. At most 100,000 entries.
	List(ctx context.Context, roots ...string) ([]reader.File, error)
	// Units looks at systemd units, in order.
	Units(ctx context.Context, names ...string) ([]reader.Unit, error)
	// Packages returns those of names that are installed; no names: all.
	Packages(ctx context.Context, names ...string) ([]reader.Package, error)
	// Probe runs a program that only reads. argv must match the reviewed table
	// in engine/reader/probes.go, else it is refused without running.
	Probe(ctx context.Context, argv ...string) (conn.Result, error)
}

// User is the name under which r asks a service, "etcd"; "" where it has none.
// See reader.Logins.
func User(r Looker, service string) (string, error) {
	if u, ok := r.(interface {
		User(service string) (string, error)
	}); ok {
		return u.User(service)
	}
	return "", nil
}
