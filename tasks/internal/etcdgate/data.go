package etcdgate

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/words"
)

// usual is where a member's data lie if nothing else is said.
const usual = "/var/lib/etcd/member"

// site is a path that a change takes away, or puts something else in the place of.
type site struct {
	path    string
	pattern bool // a shell's: names may hold *, ?, [ and $
}

// sites are the paths that a change takes away. A path that was empty loses nothing.
func sites(c change.Change) (out []site) {
	put := func(p string, gone bool) {
		if gone && p != "" {
			out = append(out, site{path: path.Clean(p)})
		}
	}
	switch c := c.(type) {
	case *change.Remove:
		put(c.Path, !c.OnlyEmpty && !c.Staging)
	case *change.Move:
		put(c.From, !c.Kept)
		put(c.To, c.Over != nil || c.Force)
	case *change.Link:
		put(c.Path, c.Before.Exists || c.Force)
	case *change.Write:
		put(c.Path, c.Before.Exists || c.Force)
	case *change.Transfer:
		put(c.ToFile, c.Before.Exists)
	case *change.Dir:
		put(c.Path, c.Before.Exists && c.Before.Type != reader.Directory)
	case *change.Exec:
		for _, d := range words.Deeds(c.Argv, c.Dir) {
			out = append(out, sitesOf(d)...)
		}
	case *change.Bracket:
		for _, part := range slices.Concat(c.Do, c.Then) {
			out = append(out, sites(part)...)
		}
	}
	return slices.DeleteFunc(out, site.elsewhere)
}

func sitesOf(d words.Deed) (out []site) {
	if d.Object == words.File {
		for _, n := range d.Names {
			out = append(out, site{path: n, pattern: true})
		}
	}
	return out
}

// elsewhere tells paths below which nobody keeps data.
func (s site) elsewhere() bool {
	return slices.ContainsFunc([]string{"/etc", "/usr", "/boot", "/proc", "/sys", "/tmp", "/root", "/home"}, func(dir string) bool {
		return s.path == dir || strings.HasPrefix(s.path, dir+"/")
	})
}

// meets tells a path that is, holds, or lies within a folder.
func (s site) meets(dir string) bool {
	have, want := parts(s.path), parts(dir)
	for i := range min(len(have), len(want)) {
		switch {
		case have[i] == want[i]:
		case !s.pattern:
			return false
		case strings.ContainsAny(have[i], "$`{"):
			// What only the shell knows is one of many in a folder that data lie in
			// among others, and is all that is in the folder of the data.
			return i >= len(want)-1
		default:
			if ok, err := path.Match(have[i], want[i]); !ok && err == nil {
				return false
			}
		}
	}
	return true
}

func parts(p string) []string {
	return strings.FieldsFunc(p, func(r rune) bool { return r == '/' })
}

// near tells, without a look at a host, paths where its data may lie.
func (s site) near() bool { return strings.Contains(s.path, "etcd") || s.meets(usual) }

// Minds tells a change that is Safe for its host, and may take an etcd's data away.
func (g *Gate) Minds(c change.Change) bool { return len(sites(c)) > 0 }

// mayTake tells a change that may take the data of its host's member away. Where
// a path does not say it, hosts of etcd's groups are asked once where theirs lie.
func (g *Gate) mayTake(ctx context.Context, c engine.Claim) bool {
	all := sites(c.Change)
	if len(all) == 0 || slices.ContainsFunc(all, site.near) {
		return len(all) > 0
	}
	if !slices.ContainsFunc(groups(), func(group string) bool { return slices.Contains(c.Inventory[group], c.Host) }) {
		return false
	}
	g.mu.Lock()
	dirs, known := g.places[c.Host]
	g.mu.Unlock()
	if !known {
		in, ok, err := find(ctx, c, c.Host)
		if err != nil {
			return false // nor can it be said that it lies there
		}
		if ok {
			if r, err := c.Live(ctx, c.Host); err == nil {
				dirs = places(ctx, r, in)
			}
		}
		g.mu.Lock()
		g.places[c.Host] = dirs
		g.mu.Unlock()
	}
	return slices.ContainsFunc(all, func(s site) bool { return slices.ContainsFunc(dirs, s.meets) })
}

// places are the folders that etcd itself writes: what else lies in its folder of
// data, as backups and what was moved aside, is not the member's.
func places(ctx context.Context, r task.Reader, in etcd.Instance) []string {
	var out []string
	for dir, leaf := range map[string]string{in.DataDir: "member", in.WALDir: ""} {
		if path.IsAbs(dir) {
			out = append(out, path.Join(dir, leaf))
		}
	}
	slices.Sort(out)
	for _, p := range slices.Clone(out) { // and what a link on the way leads to
		res, err := r.Probe(ctx, "readlink", "-f", p)
		if real := strings.TrimSuffix(res.Stdout.String(), "\n"); err == nil && res.Code == 0 && path.IsAbs(real) && !slices.Contains(out, real) {
			out = append(out, real)
		}
	}
	return out
}

// look finds the member of the claim's own host, and whether the change is about
// the data that it works on.
func (g *Gate) look(ctx context.Context, c engine.Claim) (target, error) {
	all := sites(c.Change)
	t, err := look(ctx, c)
	if err != nil && !mayMatter(c.Change) && !slices.ContainsFunc(all, func(s site) bool { return s.meets(usual) }) {
		return target{}, nil // only because of its name
	}
	if err != nil || !t.found || len(all) == 0 {
		return t, err
	}
	r, err := c.Live(ctx, c.Host)
	if err != nil {
		return t, err
	}
	limited, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	dirs := places(limited, r, t.Instance)
	if slices.ContainsFunc(all, func(s site) bool { return slices.ContainsFunc(dirs, s.meets) }) && g.running(ctx, c, t) {
		t.data = dirs
	}
	return t, nil
}

// data refuses to take from a member that runs what it works on: a stop of it is
// weighed, and then they are nobody's.
func (cl *cluster) data(e effect, refused string) string {
	switch {
	case refused != "":
		return refused
	case cl.down: // in a dry run
		return "earlier steps start the member that works on " + reader.Printable(e.data)
	case cl.own == nil:
		return ""
	}
	m := *cl.own
	return fmt.Sprintf("%s: it runs, and loses what it has in %s for good", etcd.Without(cl.members, m, e.doing).Text, reader.Printable(e.data))
}

// running tells whether the member of the claim's host runs when the change is
// made: in a dry run, after what it has foreseen and what the plan does before.
func (g *Gate) running(ctx context.Context, c engine.Claim, t target) bool {
	up := !t.Down() || waking(t.Instance) || taken(ctx, c, t.Endpoint)
	if !c.Check {
		return up
	}
	for _, earlier := range slices.Backward(c.Earlier) {
		switch t.of(earlier).power {
		case halts:
			return false
		case starts, bounces:
			return true
		}
	}
	g.mu.Lock()
	up = up && !g.halted[c.Host]
	g.mu.Unlock()
	if slices.ContainsFunc(c.Next, func(next change.Change) bool { return t.of(next).power != as || t.stopped().of(next).power != as }) {
		return up
	}
	if would, err := runs(ctx, c, c.Host, t.Instance); err == nil {
		return would
	}
	return up
}

// loses is what becomes of a member that loses what it works on.
func (t target) loses(all []site) effect {
	for _, s := range all {
		if slices.ContainsFunc(t.data, s.meets) {
			return effect{power: halts, doing: "taking away the data of", data: s.path}
		}
	}
	return effect{}
}
