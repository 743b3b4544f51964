// Package store keeps what is brought home from hosts: backup sets in folders
// that are visible only when they are complete. A local folder for now.
package store

import (
	"context"
	"io"
	"time"
)

// Store holds backup sets, one per host and moment.
type Store interface {
	// Begin opens a new set. It stays invisible until Commit; one that is never
	// committed is removed by Abort or found and named by the next Begin.
	Begin(ctx context.Context, host string, at time.Time) (Set, error)
	// Sets lists the committed sets of a host, oldest first.
	Sets(ctx context.Context, host string) ([]Info, error)
	// Location names the store for people: a path, later a URL.
	Location() string
}

// Set is a backup being made.
type Set interface {
	// Create adds one artefact. Names are plain: no slash, no leading dot.
	Create(name string) (io.WriteCloser, error)
	// Scratch is a private file for staging that is never part of the set.
	Scratch() (io.ReadWriteSeeker, func() error, error)
	// Commit writes SHA256SUMS, then the manifest last, syncs, and makes the set visible. It returns where it lies.
	Commit(m Manifest) (string, error)
	// Abort removes all traces. After Commit it does nothing.
	Abort() error
}

// Info is one committed set.
type Info struct {
	Host     string
	At       time.Time
	Path     string
	Manifest Manifest
}

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
	Artefacts []Artefact        `json:"artefacts"`
	Items     []Item            `json:"items"`
	Absent    []string          `json:"absent,omitempty"` // optional items that the host does not have
	Missed    []Missed          `json:"missed,omitempty"`
	Facts     map[string]string `json:"facts,omitempty"` // os, kernel, hostname, ...
}

// Artefact is one file of the set.
type Artefact struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Item is one entry of the host that is in the set. A path that is not UTF-8
// is percent-encoded, and Encoded says so.
type Item struct {
	Path    string    `json:"path"`
	Encoded bool      `json:"encoded,omitempty"`
	Type    string    `json:"type"` // find's %y
	Size    int64     `json:"size"`
	Mode    string    `json:"mode"` // "0640"
	Owner   string    `json:"owner"`
	Group   string    `json:"group"`
	UID     int       `json:"uid"`
	GID     int       `json:"gid"`
	Mtime   time.Time `json:"mtime"`
	SHA256  string    `json:"sha256,omitempty"` // of the file on the host, equal to the archived bytes
	Target  string    `json:"target,omitempty"` // of a symlink or a hard link
	Label   string    `json:"label,omitempty"`
}

// Missed is an item that is not in the set, and why.
type Missed struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}
