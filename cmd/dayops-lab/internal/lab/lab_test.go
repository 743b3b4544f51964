package lab_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/lab"
	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be dayops-lab's `up`, to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LAB_TEST_UP"); dir != "" {
		if _, err := lab.Up(context.Background(), lab.Options{Dir: dir, Masters: 1, Nodes: 1}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func needRoot(t *testing.T) context.Context {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: boots hosts")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// traces lists what is left of the lab in dir on this machine.
func traces(t *testing.T, dir, id, bridge string) []string {
	t.Helper()
	var out []string
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " "+dir+"/") {
			out = append(out, "mount "+line)
		}
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, p := range loops {
		if b, _ := os.ReadFile(p); strings.HasPrefix(string(b), dir+"/") {
			out = append(out, "loop device of "+string(b))
		}
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		if b, _ := os.ReadFile(p); strings.Contains(string(b), dir+"/") {
			out = append(out, p+" "+string(b))
		}
	}
	ifs, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range ifs {
		if i.Name == bridge || id != "" && strings.HasPrefix(i.Name, "vb-d"+id[:6]) {
			out = append(out, "interface "+i.Name)
		}
	}
	if id != "" {
		groups, _ := filepath.Glob("/sys/fs/cgroup/*/dayops-lab-" + id)
		more, _ := filepath.Glob("/sys/fs/cgroup/dayops-lab-" + id)
		out = append(out, append(groups, more...)...)
		run, _ := filepath.Glob("/run/systemd/nspawn/*/d" + id[:6] + "h*")
		out = append(out, run...)
	}
	if _, err := os.Lstat(dir); err == nil {
		out = append(out, dir)
	}
	return out
}

// requireGone waits a moment: a process that starts elsewhere on the machine may
// hold a copy of our mounts, and so a loop device, until it has its own.
func requireGone(t *testing.T, dir, id, bridge, when string) {
	t.Helper()
	var left []string
	for range 100 {
		if left = traces(t, dir, id, bridge); len(left) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.Empty(t, left, when)
}

func TestUpAndDownTwice(t *testing.T) {
	t.Parallel()
	ctx := needRoot(t)
	dir := filepath.Join(t.TempDir(), "lab")
	require.NoError(t, lab.Down(ctx, dir), "down without a lab")
	for range 2 {
		l, err := lab.Up(ctx, lab.Options{Dir: dir, Nodes: 1})
		require.NoError(t, err)
		t.Cleanup(func() { _ = lab.Down(context.Background(), dir) })
		id, bridge := lab.Identity(l)
		require.NotEmpty(t, traces(t, dir, id, bridge))

		again, err := lab.Up(ctx, lab.Options{Dir: dir, Nodes: 1})
		require.NoError(t, err)
		againID, _ := lab.Identity(again)
		require.Equal(t, id, againID, "a whole lab is taken as it is")
		_, err = lab.Up(ctx, lab.Options{Dir: dir, Nodes: 2})
		require.ErrorContains(t, err, "another shape")

		require.NoError(t, lab.Down(ctx, dir))
		requireGone(t, dir, id, bridge, "down")
		require.NoError(t, lab.Down(ctx, dir))
	}
}

// TestKilledUp kills `up` at different points; down must leave nothing.
func TestKilledUp(t *testing.T) {
	ctx := needRoot(t)
	warm(t, ctx)
	for _, after := range []time.Duration{20, 60, 120, 200, 350, 500, 800} {
		dir := filepath.Join(t.TempDir(), "lab")
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "LAB_TEST_UP="+dir)
		require.NoError(t, cmd.Start())
		time.Sleep(after * time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		id, bridge := "", ""
		if l, err := lab.Open(dir); err == nil {
			id, bridge = lab.Identity(l)
		}
		require.NoError(t, lab.Down(ctx, dir), "killed after %d ms", after)
		requireGone(t, dir, id, bridge, fmt.Sprintf("killed after %d ms", after))
	}
}

// TestUpAfterKill boots over the remains of a killed boot.
func TestUpAfterKill(t *testing.T) {
	t.Parallel()
	ctx := needRoot(t)
	warm(t, ctx)
	dir := filepath.Join(t.TempDir(), "lab")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LAB_TEST_UP="+dir)
	require.NoError(t, cmd.Start())
	time.Sleep(400 * time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	l, err := lab.Up(ctx, lab.Options{Dir: dir, Nodes: 1})
	require.NoError(t, err)
	id, bridge := lab.Identity(l)
	require.NoError(t, lab.Down(ctx, dir))
	requireGone(t, dir, id, bridge, "down")
}

// TestSweep removes the lab of a test process that was killed.
func TestSweep(t *testing.T) {
	t.Parallel()
	ctx := needRoot(t)
	dir := filepath.Join(t.TempDir(), "lab")
	l, err := lab.Up(ctx, lab.Options{Dir: dir, Nodes: 1, Owned: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = lab.Down(context.Background(), dir) })
	id, bridge := lab.Identity(l)
	require.NoError(t, lab.Sweep(ctx))
	require.NotEmpty(t, traces(t, dir, id, bridge), "its owner lives")
	require.NoError(t, lab.Disown(l))
	require.NoError(t, lab.Sweep(ctx))
	requireGone(t, dir, id, bridge, "down")
}

func TestUpRefusesForeignFolder(t *testing.T) {
	t.Parallel()
	ctx := needRoot(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.txt"), []byte("x"), 0o600))
	_, err := lab.Up(ctx, lab.Options{Dir: dir, Nodes: 1})
	require.ErrorContains(t, err, "not empty")
	require.FileExists(t, filepath.Join(dir, "thesis.txt"))
}

// warm builds the base image, so that what follows is quick.
func warm(t *testing.T, ctx context.Context) {
	t.Helper()
	require.NoError(t, lab.Warm(ctx))
}

func ssh(t *testing.T, l *lab.Lab, h *lab.Host, user, command string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ssh", "-F", "none", "-i", l.Key(), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5",
		"-o", "UserKnownHostsFile="+l.KnownHosts(), user+"@"+h.IP, command).CombinedOutput()
	return string(out), err
}

func TestBreakAndHeal(t *testing.T) {
	t.Parallel()
	l := labtest.Own(t, lab.Options{Nodes: 1})
	h := l.Hosts()[0]
	out, err := ssh(t, l, h, "operator", "sudo -n id -u; LC_ALL=C sudo -n -u root hostname")
	require.NoError(t, err, out)
	require.Equal(t, "0\nnode-0\n", out)

	require.NoError(t, h.Fill(t.Context()))
	out, err = h.Exec(t.Context(), "sh", "-c", "head -c 100000 /dev/zero >/etc/big")
	require.Error(t, err, out)
	require.NoError(t, h.Freeze(t.Context()))
	require.Equal(t, "frozen, disk full", h.Status(t.Context()))
	_, err = net.DialTimeout("tcp", h.Addr(), time.Second)
	require.NoError(t, err, "a frozen host's kernel still accepts")
	_, err = ssh(t, l, h, "root", "true")
	require.Error(t, err)
	require.NoError(t, h.Thaw(t.Context()))
	require.NoError(t, h.Cut(t.Context()))
	_, err = net.DialTimeout("tcp", h.Addr(), 300*time.Millisecond)
	require.Error(t, err)
	require.NoError(t, h.Rekey(t.Context()))
	require.NoError(t, h.Join(t.Context()))
	require.NoError(t, h.WaitSSH(t.Context(), 30*time.Second))
	out, err = ssh(t, l, h, "root", "true")
	require.Error(t, err)
	require.Contains(t, out, "REMOTE HOST IDENTIFICATION HAS CHANGED")

	require.NoError(t, h.Heal(t.Context()))
	require.Equal(t, "up", h.Status(t.Context()))
	out, err = ssh(t, l, h, "root", "rm /etc/big; head -c 100000 /dev/zero >/etc/big && rm /etc/big")
	require.NoError(t, err, out)
}

func TestRebootIsReal(t *testing.T) {
	t.Parallel()
	l := labtest.Own(t, lab.Options{Nodes: 1})
	h := l.Hosts()[0]
	_, err := h.Exec(t.Context(), "sh", "-c", "touch /etc/stays /run/goes; systemctl reboot")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := h.Exec(t.Context(), "sh", "-c", "test -e /etc/stays && ! test -e /run/goes")
		return err == nil
	}, 2*time.Minute, 100*time.Millisecond)
	require.NoError(t, h.WaitSSH(t.Context(), time.Minute))
	require.NoError(t, h.Stop(t.Context()))
	require.Equal(t, "off", h.Status(t.Context()))
	require.NoError(t, h.Start(t.Context()))
}
