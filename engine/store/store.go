// Package store keeps what is brought home from hosts: backup sets in folders
// that are visible only when they are complete. A local folder for now.
package store

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Store holds backup sets, one per host and moment.
type Store interface {
	// Begin opens a new set. It stays invisible until Commit; one that is never
	// committed is removed by Abort, or by a later Begin for the same host once
	// the process that made it is gone.
	Begin(ctx context.Context, host string, at time.Time) (Set, error)
	// Sets lists the committed sets of a host, oldest first. A folder without a
	// readable manifest is no set and is not listed.
	Sets(ctx context.Context, host string) ([]Info, error)
	// Location names the store for people: a path, later a URL.
	Location() string
}

// Set is a backup being made, by one goroutine. A *FullError says that the
// store has no room; the caller then calls Abort, as after any error.
type Set interface {
	// Create adds one artefact, which is complete once it is closed without an
	// error. Names are plain: letters, digits and ._- without a leading dot.
	Create(name string) (io.WriteCloser, error)
	// Open reads an artefact that is complete, while the set is not committed yet.
	Open(name string) (ArtefactReader, Artefact, error)
	// Scratch is a private file for staging that is never part of the set. The
	// function closes it and frees its room.
	Scratch() (io.ReadWriteSeeker, func() error, error)
	// Abandoned names what sets of dead runs Begin found and removed.
	Abandoned() []string
	// Commit writes SHA256SUMS, then the manifest last, syncs, and makes the set
	// visible. It fills in m's version and artefacts and returns where the set
	// lies. After an error the set is still to be aborted.
	Commit(m Manifest) (string, error)
	// Abort removes all traces. After Commit it does nothing.
	Abort() error
}

// ArtefactReader reads an artefact.
type ArtefactReader interface {
	io.ReaderAt
	io.Closer
}

// Info is one committed set.
type Info struct {
	Host     string
	At       time.Time
	Path     string
	Manifest Manifest
}

// Names that every set has beside its artefacts.
const (
	SumsName     = "SHA256SUMS"
	ManifestName = "manifest.json"
)

// ManifestVersion grows when a field of Manifest changes its meaning or goes.
const ManifestVersion = 1

// Manifest is written last; a set without one is not a backup. JSON, versioned.
type Manifest struct {
	Version   int               `json:"version"`
	Kind      string            `json:"kind"` // host_backup, etcd_backup
	Tool      string            `json:"tool"` // dayops version
	Run       string            `json:"run"`
	Host      string            `json:"host"`
	Start     time.Time         `json:"start"`
	End       time.Time         `json:"end"`
	Partial   bool              `json:"partial"`
	Artefacts []Artefact        `json:"artefacts"` // SHA256SUMS among them, the manifest not
	Items     []Item            `json:"items"`
	Absent    []string          `json:"absent,omitempty"` // optional items that the host does not have
	Gone      []string          `json:"gone,omitempty"`   // removed on the host while the backup was made
	Missed    []Missed          `json:"missed,omitempty"`
	Facts     map[string]string `json:"facts,omitempty"` // os, kernel, hostname, ...
}

// Artefact is one file of the set.
type Artefact struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Item is one entry of the host that is in the set. A path or target that is
// not UTF-8 has both percent-encoded, and Encoded says so: EncodePaths and DecodePath.
type Item struct {
	Path    string    `json:"path"` // absolute, below the tree's root
	Encoded bool      `json:"encoded,omitempty"`
	Type    string    `json:"type"` // find's %y. Sockets, fifos and devices (s, p, b, c) are told here and are not in the archive
	Size    int64     `json:"size"`
	Mode    string    `json:"mode"` // "0640"
	Owner   string    `json:"owner"`
	Group   string    `json:"group"`
	UID     int       `json:"uid"`
	GID     int       `json:"gid"`
	Mtime   time.Time `json:"mtime"`
	SHA256  string    `json:"sha256,omitempty"` // of the file on the host, equal to the archived bytes
	Target  string    `json:"target,omitempty"` // of a symlink as stored; of a hard link the path of the member that has the bytes
	Label   string    `json:"label,omitempty"`
}

// Missed is an item that is not in the set, and why.
type Missed struct {
	Path string `json:"path"` // printable; not for use as a path
	Why  string `json:"why"`
}

// FullError: the store has no room left.
type FullError struct {
	Location string
	Free     int64 // bytes for this account; -1 when not known
	Err      error
}

func (e *FullError) Error() string {
	if e.Free >= 0 {
		return fmt.Sprintf("no space left in %s (%d bytes free)", e.Location, e.Free)
	}
	return "no space left in " + e.Location
}

func (e *FullError) Unwrap() error { return e.Err }

// DamagedError: a set is not what its manifest says.
type DamagedError struct {
	Problems []string // at most 20, one line each
	More     int
}

func (e *DamagedError) Error() string {
	s := "damaged set"
	for i, p := range e.Problems {
		if i == 0 {
			s += ": " + p
		} else {
			s += "; " + p
		}
	}
	if e.More > 0 {
		s += fmt.Sprintf("; %d more", e.More)
	}
	return s
}

func (e *DamagedError) add(format string, args ...any) {
	if len(e.Problems) == 20 {
		e.More++
		return
	}
	e.Problems = append(e.Problems, fmt.Sprintf(format, args...))
}

func (e *DamagedError) orNil() error {
	if len(e.Problems) == 0 {
		return nil
	}
	return e
}
