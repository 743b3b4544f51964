package etcd

import (
	"context"
	"io/fs"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// Manifest is that of a static pod: where the kubelet reads it, or on the shelf
// beside, where those of stopped pods lie.
type Manifest struct {
	Path  string      // where the kubelet reads it
	File  reader.File // where it was found; not there: neither here nor on the shelf
	Shelf reader.File // the folder for manifests of stopped pods
	Stale reader.File // an older one on the shelf, while File is in its place
}

// FindManifest looks for a static pod's manifest.
func FindManifest(ctx context.Context, r task.Reader, path string) (Manifest, error) {
	m := Manifest{Path: path}
	files, err := r.Hash(ctx, path, shelved(path), shelf(path))
	if err != nil {
		return m, err
	}
	if m.Shelf = files[2]; files[0].Exists {
		m.File, m.Stale = files[0], files[1]
	} else if files[1].Exists {
		m.File = files[1]
	}
	return m, nil
}

// Down tells that the kubelet does not see it.
func (m Manifest) Down() bool { return m.File.Path == shelved(m.Path) }

// Stop takes the manifest away from the kubelet, which then ends the pod.
func (m Manifest) Stop() []change.Change {
	var out []change.Change
	if !m.Shelf.Exists {
		mode := fs.FileMode(0o700)
		out = append(out, &change.Dir{Path: shelf(m.Path), Before: m.Shelf, Attr: change.Attr{Mode: &mode}})
	}
	from := m.File
	from.Path = m.Path
	move := &change.Move{From: m.Path, To: shelved(m.Path), Before: from}
	if m.Stale.Exists {
		move.Over = &m.Stale
	}
	return append(out, move)
}

// Start gives the manifest back, planned from where Stop leaves it.
func (m Manifest) Start() []change.Change {
	from := m.File
	from.Path = shelved(m.Path)
	return []change.Change{&change.Move{From: from.Path, To: m.Path, Before: from}}
}
