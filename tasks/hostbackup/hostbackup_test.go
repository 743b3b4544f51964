package hostbackup

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/store"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

var now = time.Date(2026, 11, 22, 3, 12, 7, 0, time.UTC)

func decode(t *testing.T, text string) Params {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	return p.(Params)
}

func TestEveryItemIsAPathWithARoleAndAReason(t *testing.T) {
	seen := map[string]bool{}
	for _, i := range items() {
		require.True(t, path.IsAbs(i.path) && path.Clean(i.path) == i.path, i.path)
		require.False(t, seen[i.path], "%s twice", i.path)
		seen[i.path] = true
		require.NotEmpty(t, i.roles, i.path)
		require.True(t, strings.HasPrefix(i.why, "guide ") || strings.HasPrefix(i.why, "ours: "), i.why)
		_, err := path.Match(i.path, "x")
		require.NoError(t, err)
	}
}

func TestRoles(t *testing.T) {
	paths := func(roles ...string) (out []string) {
		for _, i := range declared(roles) {
			out = append(out, i.Path)
		}
		return out
	}
	require.Equal(t, paths("master", "node"), paths("nodes", "masters", "node"))
	require.Contains(t, paths("masters"), "/etc/origin")
	require.NotContains(t, paths("masters"), "/etc/etcd")
	require.Contains(t, paths("masters", "etcd"), "/etc/etcd")
	require.NotContains(t, paths("node"), "/etc/sysconfig/atomic-*")
	require.Contains(t, paths("node"), "/etc/sysconfig/*-node")
	for _, p := range []string{"/etc/sysconfig/iptables", "/etc/sysconfig/flanneld", "/etc/pki/ca-trust/source/anchors/*"} {
		require.Contains(t, paths("new_etcd"), p)
	}
	require.NotContains(t, paths("etcd"), "/etc/origin")
	require.NotContains(t, paths("etcd"), "/etc/sysconfig/docker*")
	require.Contains(t, paths("lb"), "/etc/haproxy/haproxy.cfg")
	require.NotContains(t, paths("lb"), "/etc/sysconfig/flanneld")
	for _, r := range []string{"master", "node", "etcd", "lb"} {
		for _, p := range []string{"/etc/fstab", "/etc/hosts", "/etc/resolv.conf", "/etc/yum.repos.d", "/etc/systemd/system/*.d"} {
			require.Contains(t, paths(r), p, r)
		}
	}
}

func TestParameters(t *testing.T) {
	p := decode(t, "{roles: masters}")
	require.Equal(t, "./backups", p.BackupDir)
	require.Equal(t, strictyaml.Size(4<<30), p.MaxFile)
	require.True(t, p.Packages)
	for text, want := range map[string]string{
		"{}":                             `nothing to back up: give "roles" or "paths"`,
		"{paths: [etc]}":                 `"etc" is not absolute`,
		"{roles: [workers]}":             "workers",
		`{roles: [lb], exclude: ["["]}`:  "is not a glob",
		"{roles: [lb], root: mnt}":       `root: "mnt" is not absolute`,
		"{roles: [lb], backup_dir: ~/b}": "~ means nothing here",
		"{roles: [lb], keep_dir: /}":     "keep_dir",
	} {
		n, err := strictyaml.Parse("test.yml", []byte(text))
		require.NoError(t, err)
		_, err = Define().Decode(n, nil)
		require.ErrorContains(t, err, want, text)
	}
}

func TestPlan(t *testing.T) {
	in := task.Input[Params, State]{
		Host: "m0", Target: "m0", Params: decode(t, "{roles: [master], keep_on_host: yes, root: /mnt/sysroot}"), Now: now,
		Facts: facts.Host{Hostname: "../m 0", OS: facts.OS{Name: "RHEL 7.5"}},
		State: State{Items: 412, Bytes: 3250586, Absent: []string{"/a", "/b"}},
	}
	plan, err := hostBackup{}.Plan(in)
	require.NoError(t, err)
	steps := plan.Changes()
	require.Len(t, steps, 2)
	require.Equal(t, "bring 412 items  3.1 MiB  2 absent to a new backup set in backups/m0", steps[0].Change.Summary())
	require.Equal(t, "/backup/.._m_0/20261122", steps[1].Change.(*change.Transfer).ToDir)
	require.Equal(t, change.Safe, steps[0].Change.Risk())
	require.Equal(t, map[string]string{"hostname": "../m 0", "os": "RHEL 7.5", "roles": "master", "root": "/mnt/sysroot"},
		steps[0].Change.(*change.Transfer).ToSet.Facts)
	again, err := hostBackup{}.Plan(in)
	require.NoError(t, err)
	require.Equal(t, plan, again)

	in.State = State{}
	_, err = hostBackup{}.Plan(in)
	require.ErrorContains(t, err, "the host has none of the")
}

func TestSizes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 3250586: "3.1 MiB", 1<<20 - 1: "1.0 MiB", 5 << 40: "5.0 TiB"} {
		require.Equal(t, want, size(n))
	}
}

// From Check to Verify, with the engine's part done by hand.
func TestABackupOfATree(t *testing.T) {
	root, dir := t.TempDir(), filepath.Join(t.TempDir(), "backups")
	cmd := exec.Command("sh", "-ec", `mkdir -p etc/origin/node/tmp etc/origin/master etc/sysconfig usr/local/share/ca-certificates
echo a > etc/origin/master/master-config.yaml; echo b > etc/origin/node/tmp/x; echo c > etc/sysconfig/docker; echo d > etc/sysconfig/docker.rpmnew; echo h > etc/hosts; echo e > etc/extra`)
	cmd.Dir = root
	require.NoError(t, cmd.Run())
	c, err := local.New(conn.Target{Name: "m0"})
	require.NoError(t, err)
	r := reader.New(c, "")
	task1 := hostBackup{}
	p := Params{Roles: []string{"masters"}, Paths: []string{"/etc/extra", "/etc/nothing"}, Root: root, BackupDir: dir, Packages: true}
	state, err := task1.Check(t.Context(), r, p)
	require.NoError(t, err)
	require.Equal(t, 8, state.Items)
	require.Contains(t, state.Absent, "/etc/fstab")
	require.NotContains(t, state.Absent, "/etc/network/interfaces", "what another distribution has is not told")

	in := task.Input[Params, State]{Host: "m0", Target: "m0", Params: p, State: state, Now: now}
	plan, err := task1.Plan(in)
	require.NoError(t, err)
	out := task.Outcome{}
	for _, s := range plan.Changes() {
		o, err := change.Apply(t.Context(), change.Host{Name: "m0", Conn: c, Reader: r, Run: "r", Now: func() time.Time { return now }}, s.Change)
		require.NoError(t, err)
		out.Steps = append(out.Steps, o)
	}
	found, err := task1.Verify(t.Context(), r, in, out)
	require.NoError(t, err)
	require.Empty(t, found)
	res := task1.Result(in, out).(Result)
	require.Equal(t, filepath.Join(dir, "m0", "2026-11-22T031207Z"), res.Path)
	require.Equal(t, "8 of 9 items  10 B  "+itoa(len(res.Absent))+" absent  verified  "+res.Path, res.Msg)
	require.Equal(t, []Missed{{"/etc/nothing", "not there"}}, res.Missed)
	require.True(t, res.Partial && res.Verified)

	require.NoError(t, os.WriteFile(filepath.Join(res.Path, store.FilesName), []byte("?"), 0o600))
	found, err = task1.Verify(t.Context(), r, in, out)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, task.Fail, found[0].Status)
}

func itoa(n int) string { return strings.TrimSpace(strings.Split(summary(n, 0, 0, 0), " ")[0]) }
