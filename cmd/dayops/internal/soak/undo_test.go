package soak

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
)

// undoBench is one lab host with a desk, and how the host looks.
type undoBench struct {
	*desk
	host *labtest.Host
}

func newUndoBench(t *testing.T) *undoBench {
	t.Helper()
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Nodes: 1})
	b := &undoBench{desk: newDesk(t, l.Inventory()), host: l.Hosts()[0]}
	b.file("files/small", "of the control machine\n")
	b.file("files/large", strings.Repeat("not so empty\n", 100000))
	b.file("files/tree/one", "1\n")
	b.file("files/tree/sub/two words", "2\n")
	b.file("templates/t.j2", "of {{ inventory_hostname }}\n")
	return b
}

// state is everything that an undo must bring back: the whole file system but
// times and the list of exceptions, units, packages.
func (b *undoBench) state() string {
	b.t.Helper()
	text, err := b.host.ListingWith(b.t.Context(), labtest.ListOptions{Links: true})
	require.NoError(b.t, err)
	return together(labtest.WithoutUndoExcluded(text)) + on(b.t, b.host, `systemctl list-unit-files --no-legend --no-pager | awk '{print $1, $2}'
systemctl list-units --all --plain --no-legend --no-pager --type=service,socket,timer | awk '$1 !~ /^(systemd-(tmpfiles|hostnamed|timedated)|user@|user-runtime|apt-daily|dpkg-db|e2scrub|fstrim|session|run-)/ && $2 != "not-found" {print $1, $3}' | sort
dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' | grep ^installed`)
}

// together leaves out the hard links of files whose other names are not listed.
func together(listing string) string {
	mark := regexp.MustCompile(` is=("([^"\\]|\\.)*")\n`)
	n := map[string]int{}
	for _, m := range mark.FindAllStringSubmatch(listing, -1) {
		n[m[1]]++
	}
	return mark.ReplaceAllStringFunc(listing, func(s string) string {
		if n[mark.FindStringSubmatch(s)[1]] > 1 {
			return s
		}
		return "\n"
	})
}

// equal compares two states line by line.
func (b *undoBench) equal(before, after, story string) {
	b.t.Helper()
	if before != after {
		b.t.Errorf("%s\nnot as before:\n- %s+ %s", story, strings.Join(less(before, after), "- "), strings.Join(less(after, before), "+ "))
	}
}

// less is the lines of a that c lacks.
func less(a, c string) (out []string) {
	has := map[string]bool{}
	for l := range strings.Lines(c) {
		has[l] = true
	}
	for l := range strings.Lines(a) {
		if !has[l] {
			out = append(out, l)
		}
	}
	return out
}

// step is one task of a playbook that is written as JSON.
type step map[string]any

// args are a task's parameters.
type args map[string]any

// play is a playbook of one play.
func play(steps []step, more step) []any {
	p := step{"hosts": "all", "gather_facts": false, "tasks": steps}
	for k, v := range more {
		p[k] = v
	}
	return []any{p}
}

func (b *undoBench) playbook(name string, plays []any) {
	b.t.Helper()
	text, err := json.MarshalIndent(plays, "", " ")
	require.NoError(b.t, err)
	b.file(name, string(text)) // JSON is YAML
}

// run runs a playbook, whatever becomes of it, and returns its id.
func (b *undoBench) run(args ...string) (id string, code int, said string) {
	b.t.Helper()
	before := b.runs()
	code, said = b.begin(nil, args...).wait()
	id = b.newRun(before)
	require.NotEmpty(b.t, id, said)
	return id, code, said
}

// starts are start states of the path "$1", by name. The folder around it is new.
func starts() map[string]string {
	return map[string]string{
		"absent":          ":",
		"file":            `printf 'one\ntwo\n' >"$1"`,
		"no newline":      `printf 'one\ntwo' >"$1"`,
		"empty file":      `: >"$1"`,
		"same":            `printf 'new\n' >"$1"`,
		"mode":            `echo x >"$1"; chown 1:65534 "$1"; chmod 6751 "$1"`,
		"readonly":        `echo x >"$1"; chmod 0 "$1"`,
		"xattr":           `echo x >"$1"; setfattr -n user.k -v v "$1"`,
		"acl":             `echo x >"$1"; setfacl -m u:nobody:rwx "$1"`,
		"label":           `echo x >"$1"; setfattr -n security.selinux -v system_u:object_r:etc_t:s0 "$1"`,
		"capability":      `cp /bin/true "$1"; setfattr -n security.capability -v 0sAQAAAgAgAAAAAAAAAAAAAAAAAAA= "$1"`,
		"binary":          `head -c 3000 /dev/urandom >"$1"`,
		"large":           `yes large | head -c 1500000 >"$1"`,
		"link":            `echo x >"$1.real"; ln -s -- "${1##*/}.real" "$1"`,
		"owned link":      `echo x >"$1.real"; ln -s -- "${1##*/}.real" "$1"; chown -h 1:1 "$1"`,
		"dangling link":   `ln -s nowhere "$1"`,
		"link to folder":  `mkdir "$1.d"; echo x >"$1.d/in"; ln -s -- "${1##*/}.d" "$1"`,
		"hard link":       `echo x >"$1"; ln "$1" "$1.other"`,
		"hard xattr":      `echo x >"$1"; setfattr -n user.k -v v "$1"; ln "$1" "$1.other"`,
		"fifo":            `mkfifo -m 640 "$1"`,
		"empty folder":    `mkdir "$1"`,
		"odd folder":      `mkdir "$1"; chown 1:2 "$1"; chmod 2771 "$1"`,
		"acl folder":      `mkdir "$1"; setfacl -m u:nobody:rwx -m d:u:nobody:rx "$1"; echo x >"$1/in"`,
		"label folder":    `mkdir "$1"; setfattr -n security.selinux -v system_u:object_r:etc_t:s0 "$1"`,
		"inherits":        `setfacl -m d:u:nobody:rwx,d:g:1:rx "${1%/*}"; echo x >"$1"`,
		"setgid parent":   `chgrp 1 "${1%/*}"; chmod 2775 "${1%/*}"; echo x >"$1"; ln -s nowhere "$1.link"`,
		"inherits absent": `setfacl -m d:u:nobody:rwx,d:g:1:rx "${1%/*}"`,
		"full folder": `mkdir -p "$1/sub/deep" "$1/a b"; echo 1 >"$1/one"; echo 2 >"$1/sub/two words"; ln "$1/one" "$1/sub/hard"; ln -s ../one "$1/sub/soft"
echo n >"$1/a b/$(printf 'new\nline')"; echo u >"$1/$(printf 'bro\377ken')"; mkfifo "$1/sub/fifo"; setfacl -m u:nobody:r "$1/sub/two words"; setfattr -n user.k -v v "$1/sub/deep"
chown 1:1 "$1/sub"; chmod 1770 "$1/sub"; chmod 4755 "$1/one"; chown -h 1 "$1/sub/soft"`,
	}
}

// deeds are what tasks do with a path, by name.
func deeds() map[string]func(p string) step {
	file := func(a args) func(string) step {
		return func(p string) step {
			c := args{"path": p}
			for k, v := range a {
				c[k] = strings.ReplaceAll(fmt.Sprint(v), "PATH", p)
			}
			return step{"file": c}
		}
	}
	with := func(task string, a args) func(string) step {
		f := file(a)
		return func(p string) step {
			c := f(p)["file"].(args)
			if task != "lineinfile" && task != "file" {
				c["dest"] = c["path"]
				delete(c, "path")
			}
			return step{task: c}
		}
	}
	return map[string]func(string) step{
		"copy content":      with("copy", args{"content": "new\n"}),
		"copy owned":        with("copy", args{"content": "new\n", "mode": "0640", "owner": "nobody", "group": "1"}),
		"copy mode":         with("copy", args{"content": "new\n", "mode": "u+x,g-w"}),
		"copy backup":       with("copy", args{"content": "new\n", "backup": "true"}),
		"copy large":        with("copy", args{"src": "large", "mode": "0600"}),
		"copy follow":       with("copy", args{"src": "small", "follow": "true"}),
		"copy no force":     with("copy", args{"src": "small", "force": "false"}),
		"copy into":         with("copy", args{"src": "small", "dest": "PATH/"}),
		"copy tree":         with("copy", args{"src": "tree", "directory_mode": "0750"}),
		"copy tree's":       with("copy", args{"src": "tree/", "dest": "PATH/", "mode": "0604", "owner": "1"}),
		"template":          with("template", args{"src": "t.j2", "mode": "0751"}),
		"template backup":   with("template", args{"src": "t.j2", "backup": "true", "follow": "true"}),
		"line added":        with("lineinfile", args{"line": "three"}),
		"line first":        with("lineinfile", args{"line": "zero", "insertbefore": "BOF", "backup": "true"}),
		"line replaced":     with("lineinfile", args{"line": "deux", "regexp": "^(two|x)$", "mode": "0600", "owner": "1"}),
		"line removed":      with("lineinfile", args{"regexp": ".", "state": "absent"}),
		"line created":      with("lineinfile", args{"line": "first", "create": "true", "path": "PATH"}),
		"line created deep": with("lineinfile", args{"line": "first", "create": "true", "path": "PATH/deep/er"}),
		"folder":            file(args{"state": "directory"}),
		"folder owned":      file(args{"state": "directory", "mode": "2750", "owner": "nobody", "group": "2"}),
		"folder deep":       file(args{"path": "PATH/a/b/c", "state": "directory", "mode": "0700"}),
		"folder recursive":  file(args{"state": "directory", "recurse": "true", "mode": "u=rwX,go=X", "owner": "nobody", "group": "3"}),
		"owner":             file(args{"owner": "2", "group": "2"}),
		"mode":              file(args{"mode": "ug+s,o-r", "state": "file"}),
		"link":              file(args{"src": "/etc/hostname", "state": "link"}),
		"link forced":       file(args{"src": "not/there", "state": "link", "force": "true"}),
		"hard":              file(args{"src": "/srv/undo/.source", "state": "hard", "force": "true"}),
		"touch":             file(args{"state": "touch", "mode": "0606"}),
		"absent":            file(args{"state": "absent"}),
	}
}

// names are names of paths that programs stumble over.
func names() []string { return []string{"t", "a b", "-rf", "new\nline", "ü\"'$(x)`\\", "{{x}}*"} }

// quoted writes a name so that a template gives it as it is.
func quoted(p string) string { return strings.ReplaceAll(p, "{{", "{{ '{{' }}") }

// sh writes a word for a shell.
func sh(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func keys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

var notName = regexp.MustCompile(`[^a-z0-9]+`)

// TestUndo takes back, on one host, what runs did, and compares whole listings.
func TestUndo(t *testing.T) {
	t.Parallel()
	b := newUndoBench(t)
	for _, part := range []struct {
		name string
		do   func(*undoBench)
	}{{"every deed", undoEveryDeed}, {"units", undoUnits}, {"packages", undoPackages}, {"random", undoRandom}, {"story", undoStories}} {
		t.Run(part.name, func(t *testing.T) {
			defer func(was testing.TB) { b.t = was }(b.t)
			b.t = t
			part.do(b)
		})
	}
}

// undoEveryDeed does everything with every start state in one run, and takes it back.
func undoEveryDeed(b *undoBench) {
	var setup strings.Builder
	setup.WriteString("mkdir -p /srv/undo; echo hard >/srv/undo/.source\n")
	var steps []step
	n := 0
	for _, deed := range keys(deeds()) {
		for i, start := range keys(starts()) {
			if !long() && (n+i)%27 != 0 {
				continue
			}
			dir := "/srv/undo/" + notName.ReplaceAllString(deed, "-") + "/" + notName.ReplaceAllString(start, "-")
			p := dir + "/" + names()[(i+n)%len(names())]
			fmt.Fprintf(&setup, "mkdir -p %s; set -- %s; %s\n", sh(dir), sh(p), starts()[start])
			s := deeds()[deed](quoted(p))
			s["name"], s["ignore_errors"] = deed+" on "+start, true
			steps = append(steps, s)
		}
		n++
	}
	out, err := b.host.ExecIn(b.t.Context(), setup.String(), "sh", "-e")
	require.NoError(b.t, err, out)
	before := b.state()
	b.playbook("all.yml", play(steps, nil))
	id, code, said := b.run("run", "all.yml")
	require.Zero(b.t, code, said)
	done := b.state()
	require.Greater(b.t, len(less(done, before)), len(steps)/2)
	code, undone := b.begin(nil, "undo", id, "-y").wait()
	b.equal(before, b.state(), "")
	require.Zero(b.t, code, undone)
	b.t.Logf("%d steps", len(steps))
}
