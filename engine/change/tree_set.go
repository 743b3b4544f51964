package change

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change/internal/tarstream"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/store"
)

// A tree goes into a set in batches, so that the host needs no disk and the
// control machine little: list (tree_list.go), stream and compare one batch
// after the other (tree_batch.go), keep what is proven (here).

// Names of the artefacts beside store.FilesName.
const (
	packagesName = "packages.txt"
	trustName    = "trust.txt"
)

// treeSet is one tree on its way into a set.
type treeSet struct {
	h    Host
	tree Tree
	root string
	set  store.Set
	out  *gzip.Writer
	tar  tarTool
	m    store.Manifest
	why  []Missed

	done, total int64 // bytes, for Progress
}

// backUpTree makes a set. Nothing of it is left when there is an error.
func backUpTree(ctx context.Context, h Host, tree Tree, to SetTarget) (out Outcome, err error) {
	out.Start = h.Now()
	st := h.Store
	if to.Dir != "" {
		st = store.NewLocal(to.Dir)
	}
	if st == nil {
		return out, errors.New("no store to back up to")
	}
	set, err := st.Begin(ctx, to.Host, out.Start)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, set.Abort()) }()
	for _, p := range set.Abandoned() {
		out.Notes = append(out.Notes, "removed what a run that died left: "+p)
	}
	s := &treeSet{h: h, tree: tree, root: treeRoot(tree.Root), set: set, why: slices.Clone(to.Missed), m: store.Manifest{
		Kind: to.Kind, Tool: tool(), Run: h.Run, Host: to.Host, Start: out.Start, Facts: maps.Clone(to.Facts),
	}}
	if err := s.fill(ctx, to.Raw); err != nil {
		return out, err
	}
	s.m.End = h.Now()
	s.m.Partial = len(s.why) > 0
	for _, m := range s.why {
		s.m.Missed = append(s.m.Missed, store.Missed(m))
	}
	where, err := set.Commit(s.m)
	if err != nil {
		return out, err
	}
	// The host is as it was: nothing is changed.
	out.End, out.Missed = s.m.End, s.why
	out.Outputs = map[string]string{"path": where}
	out.Data = SetResult{Path: where, Manifest: s.m}
	return out, nil
}

func tool() string {
	v := "unknown"
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		v = b.Main.Version
	}
	return "dayops " + v
}

// fill takes everything into the set.
func (s *treeSet) fill(ctx context.Context, raw []RawFile) error {
	list, err := ListTree(ctx, s.h.Reader, s.tree)
	if err != nil {
		return err
	}
	s.m.Absent, s.why, s.total = list.Absent, append(s.why, list.Missed...), list.Bytes
	if err := s.raws(ctx, raw); err != nil { // first: what does not verify costs the least so
		return err
	}
	if s.tar, err = askTar(ctx, s.h); err != nil {
		return err
	}
	w, err := s.set.Create(store.FilesName)
	if err != nil {
		return err
	}
	// No name and no time in gzip's header: equal files give equal archives.
	// The default level takes six times as long for a seventh less.
	if s.out, err = gzip.NewWriterLevel(w, gzip.BestSpeed); err != nil {
		return err
	}
	err = s.batches(ctx, list.Files)
	if err == nil {
		_, err = s.out.Write(tarstream.Trailer())
	}
	if err := errors.Join(err, s.out.Close(), w.Close()); err != nil {
		return err
	}
	for _, f := range list.Special {
		s.keep(f, "")
	}
	slices.SortFunc(s.m.Items, func(a, b store.Item) int { return strings.Compare(a.Path, b.Path) })
	return s.extras(ctx)
}

// keep lists one entry that is in the set.
func (s *treeSet) keep(f reader.File, linked string) {
	target := f.Target
	if linked != "" {
		target = linked
	}
	p, target, encoded := store.EncodePaths(f.Path[len(s.root):], target)
	s.m.Items = append(s.m.Items, store.Item{
		Path: p, Encoded: encoded, Type: string(f.Type), Size: f.Size, Mode: reader.Octal(f.Mode),
		Owner: f.Owner, Group: f.Group, UID: f.UID, GID: f.GID, Mtime: f.Mtime.UTC(),
		SHA256: f.SHA256, Target: target, Label: f.Label,
	})
}

func (s *treeSet) missed(p, why string) {
	m := Missed{Path: reader.Printable(p), Why: reader.Printable(why)}
	known := func(o Missed) bool { return o.Path == m.Path && strings.EqualFold(o.Why, m.Why) }
	if !slices.ContainsFunc(s.why, known) { // the listing may have told it already
		s.why = append(s.why, m)
	}
}

// extras are artefacts that a program of the host prints.
func (s *treeSet) extras(ctx context.Context) error {
	if s.tree.Packages {
		if err := s.extra(ctx, packagesName, packagesScript); err != nil {
			return err
		}
	}
	if s.tree.Trust && s.root == "" {
		return s.extra(ctx, trustName, trustScript)
	}
	return nil
}

const (
	codeNone = 101 // a script's way to say: not on this host

	packagesScript = `if [ -s "$1/var/lib/dpkg/status" ] && command -v dpkg-query >/dev/null; then
  dpkg-query --admindir="$1/var/lib/dpkg" -W
  exit
fi
for db in "$1/var/lib/rpm" "$1/usr/lib/sysimage/rpm"; do
  [ -d "$db" ] && command -v rpm >/dev/null || continue
  list=$(rpm --dbpath "$db" -qa) || exit
  [ -n "$list" ] || continue
  printf '%s\n' "$list" | sort
  exit
done
exit 101`

	trustScript = `command -v trust >/dev/null || exit 101
trust list`

	maxExtra = 64 << 20
)

// extra takes a script's output. That it fails is no reason to give up the rest.
func (s *treeSet) extra(ctx context.Context, name, script string) (err error) {
	f, free, err := s.set.Scratch()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, free()) }()
	w := &limitWriter{w: f, left: maxExtra}
	res, err := s.h.Conn.Run(ctx, shCommand(s.h, nil, w, script, s.root))
	if w.full {
		return fmt.Errorf("%s: the host's answer is larger than %d bytes", name, maxExtra)
	}
	if err := errors.Join(w.err, err); err != nil {
		return err
	}
	switch res.Code {
	case 0:
	case codeNone:
		s.m.Absent = append(s.m.Absent, name)
		return nil
	default:
		s.missed(name, fmt.Sprintf("exit code %d: %s", res.Code, lastLine(res.Stderr.String())))
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	a, err := s.set.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(a, f)
	return errors.Join(err, a.Close())
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return reader.Printable(s[strings.LastIndexByte(s, '\n')+1:])
}

// limitWriter passes on so many bytes and then fails.
type limitWriter struct {
	w    io.Writer
	left int64
	full bool
	err  error // of w
	stop func()
}

func (l *limitWriter) Write(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	if int64(len(p)) > l.left {
		l.full = true
		l.err = errors.New("more than expected")
	} else {
		var n int
		n, l.err = l.w.Write(p)
		l.left -= int64(n)
	}
	if l.err != nil {
		if l.stop != nil {
			l.stop()
		}
		return 0, l.err
	}
	return len(p), nil
}
