package hostfile

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// maxText bounds what is read of an old file for the diff; larger ones are
// only hashed.
const maxText = 1 << 20

// maxLinks is the kernel's own limit.
const maxLinks = 40

// Stat looks at one path without following a symlink.
func Stat(ctx context.Context, r task.Reader, p string) (reader.File, error) {
	files, err := r.Stat(ctx, p)
	if err != nil {
		return reader.File{}, err
	}
	return files[0], nil
}

// Follow looks at what p stands for after symlinks at its end. The file's Path
// is where it really lies; Exists is false when nothing is there.
func Follow(ctx context.Context, r task.Reader, p string) (reader.File, error) {
	start := p
	for range maxLinks {
		f, err := Stat(ctx, r, p)
		if err != nil || f.Type != reader.Symlink {
			return f, err
		}
		p = Target(f)
	}
	return reader.File{}, fmt.Errorf("%s: more than %d symlinks in a row", start, maxLinks)
}

// Target is where a symlink points, as an absolute path.
func Target(link reader.File) string {
	if strings.HasPrefix(link.Target, "/") {
		return Clean(link.Target)
	}
	return Clean(path.Dir(link.Path) + "/" + link.Target)
}

// Dest works out which file a task's dest means: dest itself, what it links to
// with follow, or the file called base inside it when it is a folder or is
// written with a slash at its end. base "" refuses folders.
func Dest(ctx context.Context, r task.Reader, dest, base string, follow bool) (string, error) {
	end, err := Follow(ctx, r, dest)
	if err != nil {
		return "", err
	}
	slash := strings.HasSuffix(dest, "/")
	switch {
	case end.Type == reader.Directory || slash && !end.Exists:
		if base == "" {
			return "", fmt.Errorf("%s is a folder: name the file", dest)
		}
		inside := Clean(strings.TrimSuffix(dest, "/") + "/" + base)
		if f, err := Follow(ctx, r, inside); err != nil || f.Type == reader.Directory {
			if err == nil {
				err = fmt.Errorf("%s is a folder", inside)
			}
			return "", err
		}
		return inside, nil
	case slash:
		return "", fmt.Errorf("%s ends in a slash and is not a folder", dest)
	case follow:
		return end.Path, nil
	}
	return Clean(dest), nil
}

// Parent fails with a MissingError when file is not there, nor the folder that
// it would lie in.
func Parent(ctx context.Context, r task.Reader, file reader.File) error {
	if file.Exists {
		return nil
	}
	dir := path.Dir(Clean(file.Path))
	f, err := Follow(ctx, r, dir)
	switch {
	case err != nil:
		return err
	case !f.Exists:
		return &task.MissingError{What: "folder", Name: dir, Hint: "make it with a `file` step (state: directory)"}
	case f.Type != reader.Directory:
		return fmt.Errorf("%s is not a folder", dir)
	}
	return nil
}

// Have is a file of the host, with its text where it was read.
type Have struct {
	File reader.File
	Text []byte // nil: not read, or not there
}

// Look hashes files and reads the text of those that differ from what is
// wanted, so that a diff can be shown. want[i] is the sha256 for paths[i].
func Look(ctx context.Context, r task.Reader, paths, want []string) ([]Have, error) {
	files, err := r.Hash(ctx, paths...)
	if err != nil {
		return nil, err
	}
	room := int64(8 * maxText) // of all texts together
	out := make([]Have, len(files))
	for i, f := range files {
		out[i].File = f
		if f.Type != reader.Regular || f.SHA256 == want[i] || f.Size > maxText || f.Size > room {
			continue
		}
		room -= f.Size
		if out[i].Text, err = r.ReadFile(ctx, f.Path, maxText); err != nil {
			return nil, err
		}
		if out[i].Text == nil {
			out[i].Text = []byte{}
		}
	}
	return out, nil
}
