package hostbackup_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/hostbackup"
)

// backUp is the engine's part: check, plan, apply, verify.
func backUp(t *testing.T, h change.Host, params string) hostbackup.Result {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(params))
	require.NoError(t, err)
	def := hostbackup.Define()
	p, err := def.Decode(n, nil)
	require.NoError(t, err)
	f, err := facts.Gather(t.Context(), h.Conn, time.Now)
	require.NoError(t, err)
	state, err := def.Check(t.Context(), h.Reader, p)
	require.NoError(t, err)
	in := task.AnyInput{Host: h.Name, Target: h.Name, Params: p, Facts: f, State: state, Now: time.Now()}
	plan, err := def.Plan([]task.AnyInput{in}, in.Now)
	require.NoError(t, err)
	var out task.Outcome
	for _, s := range plan.Changes() {
		o, err := change.Apply(t.Context(), h, s.Change)
		require.NoError(t, err)
		out.Steps = append(out.Steps, o)
	}
	found, err := def.Verify(t.Context(), h.Reader, in, out)
	require.NoError(t, err)
	require.Empty(t, found)
	return def.Result(in, out).(hostbackup.Result)
}

// describe says of every path what a restore must give back. Folders' times
// and sizes are the file system's.
const describe = `cd "$1" || exit 1
export LC_ALL=C
while IFS= read -r -d '' p; do
  [ -e "$p" ] || [ -L "$p" ] || { echo "LOST $p"; continue; }
  if [ -d "$p" ] && [ ! -L "$p" ]; then find "$p" -maxdepth 0 -printf '%y %m %U:%G %p\n'
  else find "$p" -maxdepth 0 -printf '%y %m %U:%G %s %T@ %l %p\n'; fi
  [ -f "$p" ] && [ ! -L "$p" ] && sha256sum < "$p"
  [ -L "$p" ] || getfattr -h -d -m - --absolute-names -- "$p" 2>/dev/null
done`

func TestLabHostsComeBackByteForByte(t *testing.T) {
	l := labtest.NeedAlone(t)
	dir := t.TempDir()
	d := ssh.New(ssh.Options{Home: t.TempDir(), Agent: "none", ConfigFile: "none", SSHProgram: "none"})
	t.Cleanup(func() { _ = d.Close() })
	for _, lh := range l.Hosts()[:1] {
		c, err := d.Dial(t.Context(), conn.Target{Name: lh.Name, Address: lh.IP, User: "operator", KeyFile: l.Key(),
			CommonArgs: []string{"-o", "UserKnownHostsFile=" + l.KnownHosts()}})
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		h := change.Host{Name: lh.Name, Conn: c, As: "root", Reader: reader.New(c, "root"), Run: "lab", Now: time.Now}
		before, err := lh.Listing(t.Context())
		require.NoError(t, err)
		res := backUp(t, h, fmt.Sprintf("{roles: [%s], backup_dir: %s}", strings.Join(lh.Roles, ", "), dir))
		require.Empty(t, res.Missed)
		require.Greater(t, res.Items, 20)
		after, err := lh.Listing(t.Context())
		require.NoError(t, err)
		require.Equal(t, before, after, "a backup leaves nothing on the host")

		back := t.TempDir()
		unpack := exec.Command("tar", "-xpzf", filepath.Join(res.Path, "files.tar.gz"), "--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls", "--selinux", "-C", back)
		out, err := unpack.CombinedOutput()
		require.NoError(t, err, "%s", out)
		list := exec.Command("sh", "-c", "find . -mindepth 1 -print0 | sort -z")
		list.Dir = back
		names, err := list.Output()
		require.NoError(t, err)
		mine := exec.Command("bash", "-c", describe, "x", back)
		mine.Stdin = strings.NewReader(string(names))
		got, err := mine.Output()
		require.NoError(t, err)
		want, err := lh.ExecIn(t.Context(), string(names), "bash", "-c", describe, "x", "/")
		require.NoError(t, err)
		// Folders above the items are made by tar and are nobody's.
		require.Empty(t, differences(string(got), want, res))
	}
}

// differences leaves out folders that are no items: tar makes them on the way.
func differences(got, want string, res hostbackup.Result) (out []string) {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] != b[i] && !strings.HasPrefix(a[i], "d 755 0:0 ") {
			out = append(out, a[i]+" | "+b[i])
		}
	}
	if len(a) != len(b) {
		out = append(out, fmt.Sprintf("%d lines, %d on the host", len(a), len(b)))
	}
	return out
}

func TestKeepOnHost(t *testing.T) {
	l := labtest.Need(t)
	lh := l.Hosts()[len(l.Hosts())-1]
	d := ssh.New(ssh.Options{Home: t.TempDir(), Agent: "none", ConfigFile: "none", SSHProgram: "none"})
	t.Cleanup(func() { _ = d.Close() })
	c, err := d.Dial(t.Context(), conn.Target{Name: lh.Name, Address: lh.IP, User: "operator", KeyFile: l.Key(),
		CommonArgs: []string{"-o", "UserKnownHostsFile=" + l.KnownHosts()}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	h := change.Host{Name: lh.Name, Conn: c, As: "root", Reader: reader.New(c, "root"), Run: "lab", Now: time.Now}
	keep := fmt.Sprintf("/var/tmp/keep-%d", os.Getpid())
	t.Cleanup(func() { _, _ = lh.Exec(context.Background(), "rm", "-rf", keep) })
	params := fmt.Sprintf("{roles: [node], backup_dir: %s, keep_on_host: yes, keep_dir: %s}", t.TempDir(), keep)
	first, second := backUp(t, h, params), backUp(t, h, params)
	require.Equal(t, first.Kept+"-2", second.Kept)
	require.True(t, strings.HasPrefix(first.Kept, keep+"/"+lh.Name), first.Kept)
	out, err := lh.Exec(t.Context(), "sh", "-c", "stat -c %a "+first.Kept+" && diff -r /etc/origin/master "+first.Kept+"/etc/origin/master || diff -r /etc/cni "+first.Kept+"/etc/cni")
	require.NoError(t, err, out)
	require.True(t, strings.HasPrefix(out, "700"), out)
}
