package change

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change/internal/tarstream"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
)

const (
	batchNames = 4000
	batchBytes = 256 << 20 // on the control machine's disk at once, unless one file is larger
	treeTries  = 3
	treePause  = 200 * time.Millisecond // before the second try, twice that before the third
	// headerRoom is more than the headers of one member take: names, ACLs and attributes.
	headerRoom = 256 << 10
)

// unit is what is kept or dropped together: one entry, or all names of a
// hard-linked file, so that no link is kept without what it links to.
type unit []reader.File

func units(files []reader.File) []unit {
	type inode struct{ dev, ino uint64 }
	at := map[inode]int{}
	var out []unit
	for _, f := range files {
		if f.Type == reader.Regular && f.Links > 1 {
			k := inode{f.Dev, f.Inode}
			if i, ok := at[k]; ok {
				out[i] = append(out[i], f)
				continue
			}
			at[k] = len(out)
		}
		out = append(out, unit{f})
	}
	return out
}

// batches takes all files. Peak use of disk and memory is one batch.
func (s *treeSet) batches(ctx context.Context, files []reader.File) error {
	all := units(files)
	for len(all) > 0 {
		n, names, size := 0, 0, int64(0)
		for n < len(all) && (n == 0 || names+len(all[n]) <= batchNames && size+all[n].stored() <= batchBytes) {
			names, size = names+len(all[n]), size+all[n].stored()
			n++
		}
		if err := s.batch(ctx, all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}

// stored is about how much of the stream a unit takes.
func (u unit) stored() int64 { return min(u[0].Size, u[0].Blocks*512) }

// batch streams units, compares, keeps what is proven, and tries the rest again.
func (s *treeSet) batch(ctx context.Context, left []unit) error {
	for try := 1; len(left) > 0; try++ {
		again, err := s.try(ctx, left, try == treeTries)
		if err != nil {
			return err
		}
		if left = again; len(left) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(treePause << (try - 1)):
		}
	}
	return nil
}

// try is one stream and one look afterwards. What would not hold still comes back.
func (s *treeSet) try(ctx context.Context, batch []unit, last bool) (again []unit, err error) {
	scratch, free, err := s.set.Scratch()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, free()) }()
	members, complaints, err := s.stream(ctx, batch, scratch)
	if err != nil {
		return nil, err
	}
	after, refused, err := s.lookAgain(ctx, batch, members)
	if err != nil {
		return nil, err
	}
	for _, u := range batch {
		v := judge(u, s.root, members, after)
		for _, p := range v.gone {
			s.m.Gone = append(s.m.Gone, reader.Printable(p[len(s.root):]))
		}
		why := unreadable(v.left, s.root, members, complaints, refused)
		switch {
		case v.good:
			sortByStart(u, s.root, members)
			if err := s.take(u, members, after, scratch); err != nil {
				return nil, err
			}
		case len(v.left) == 0: // all of it is gone
		case why != "":
			s.missedUnit(v.left, why)
		case last:
			s.missedUnit(v.left, fmt.Sprintf("%s, %d tries", v.why, treeTries))
		default:
			again = append(again, v.left)
		}
	}
	return again, nil
}

func (s *treeSet) missedUnit(u unit, why string) {
	for _, f := range u {
		s.missed(f.Path[len(s.root):], why)
	}
}

// stream runs tar on the host into scratch and takes the stream apart.
func (s *treeSet) stream(ctx context.Context, batch []unit, scratch io.ReadWriteSeeker) (map[string]tarstream.Member, map[string]string, error) {
	asked := map[string]reader.File{}
	var names strings.Builder
	limit := int64(1 << 20)
	for _, u := range batch {
		for _, f := range u {
			name := f.Path[len(s.root)+1:]
			asked[name] = f
			names.WriteString(name + "\x00")
			// A file may grow while it is read, but not without end. Blocks say
			// nothing here: a file system may compress.
			limit += headerRoom + f.Size + f.Size/2
		}
	}
	runCtx, stop := context.WithCancel(ctx)
	defer stop()
	w := &limitWriter{w: io.MultiWriter(scratch, s.progress()), left: limit, stop: stop}
	res, err := s.h.Conn.Run(runCtx, conn.Cmd{
		Argv: s.tar.create(s.root), Env: plainEnv(), As: s.h.As, Stdin: strings.NewReader(names.String()), Stdout: w,
	})
	if w.full {
		return nil, nil, fmt.Errorf("the host's tar sends more than the %d bytes that it was asked for", limit)
	}
	if w.err != nil {
		return nil, nil, w.err
	}
	if err != nil {
		return nil, nil, err
	}
	// 1: a file changed. 2: one could not be read; every member is judged by itself.
	if res.Code > 2 || res.Signal != "" {
		return nil, nil, fmt.Errorf("tar on the host ended with code %d: %s", res.Code, lastLine(res.Stderr.String()))
	}
	members, err := scan(ctx, scratch, asked)
	if err != nil && res.Code != 0 {
		err = fmt.Errorf("%w (tar on the host ended with code %d: %s)", err, res.Code, lastLine(res.Stderr.String()))
	}
	return members, parseComplaints(res.Stderr.String()), err
}

// scan reads the stream in scratch: members that were asked for, each once.
func scan(ctx context.Context, scratch io.ReadSeeker, asked map[string]reader.File) (map[string]tarstream.Member, error) {
	if _, err := scratch.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	members := map[string]tarstream.Member{}
	list, err := tarstream.Scan(ctx, bufio.NewReaderSize(scratch, 1<<16), func(m tarstream.Member) (bool, error) {
		f, ok := asked[m.Name]
		if _, twice := members[m.Name]; !ok || twice {
			return false, &tarstream.StreamError{Name: reader.Printable(m.Name), Why: "it was not asked for"}
		}
		members[m.Name] = m
		return m.Size == f.Size, nil
	})
	for _, m := range list {
		members[m.Name] = m
	}
	return members, err
}

// lookAgain reads the files that tar read once more, by other programs: stat
// and sha256sum. What tar could not read is only looked at. refused says why a
// file could not be read now.
func (s *treeSet) lookAgain(ctx context.Context, batch []unit, members map[string]tarstream.Member) (after map[string]reader.File, refused map[string]string, err error) {
	var hash, stat []string
	for _, u := range batch {
		for _, f := range u {
			if _, ok := members[f.Path[len(s.root)+1:]]; ok {
				hash = append(hash, f.Path)
			} else {
				stat = append(stat, f.Path)
			}
		}
	}
	after, refused, err = lookAll(ctx, s.h.Reader.Hash, hash)
	if err != nil {
		return nil, nil, err
	}
	for p := range refused {
		stat = append(stat, p)
	}
	seen, denied, err := lookAll(ctx, s.h.Reader.Stat, stat)
	maps.Copy(after, seen)
	maps.Copy(refused, denied)
	return after, refused, err
}

// lookAll looks at paths in one round trip. One that is refused costs another
// and comes back with the reason.
func lookAll(ctx context.Context, how func(context.Context, ...string) ([]reader.File, error), paths []string) (files map[string]reader.File, refused map[string]string, err error) {
	files, refused = map[string]reader.File{}, map[string]string{}
	for len(paths) > 0 {
		found, err := how(ctx, paths...)
		var one *fs.PathError
		if errors.As(err, &one) && slices.Contains(paths, one.Path) {
			refused[one.Path] = one.Err.Error()
			paths = slices.DeleteFunc(paths, func(p string) bool { return p == one.Path })
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		for i, f := range found {
			files[paths[i]] = f
		}
		break
	}
	return files, refused, nil
}

// take copies a proven unit's raw blocks into the archive.
func (s *treeSet) take(u unit, members map[string]tarstream.Member, after map[string]reader.File, scratch io.ReadSeeker) error {
	for _, f := range u {
		m := members[f.Path[len(s.root)+1:]]
		if _, err := scratch.Seek(m.Start, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(s.out, scratch, m.End-m.Start); err != nil {
			return err
		}
		linked := ""
		if m.Type == tar.TypeLink {
			linked = "/" + path.Clean(m.Link)
		}
		s.keep(after[f.Path], linked)
	}
	return nil
}

// progress counts the stream.
func (s *treeSet) progress() io.Writer { return (*treeProgress)(s) }

type treeProgress treeSet

func (p *treeProgress) Write(b []byte) (int, error) {
	p.done += int64(len(b))
	if p.h.Progress != nil {
		p.h.Progress(min(p.done, p.total), p.total)
	}
	return len(b), nil
}
