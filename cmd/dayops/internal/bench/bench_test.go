// Package bench measures dayops beside the floor: a bare loop over
// golang.org/x/crypto/ssh that does the same work with host keys checked, in
// the same run. Only ratios count; the machine is noisy. `make bench` runs it.
package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/guard"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/secret"
	"github.com/dayops/dayops/tasks"
)

// rounds of each side, taken in turn; the median counts.
const rounds = 5

// field is one sshd that answers as many hosts.
type field struct {
	*sshtest.Server
	inventory string
	hostDir   string // of all of them: they are one machine
	hosts     []string
}

func newField(t testing.TB, n int) *field {
	f := &field{Server: sshtest.Start(t, sshtest.Options{Listen: "0.0.0.0", Config: "MaxStartups 1000\nMaxSessions 100\n"}), hostDir: t.TempDir()}
	for i := range n {
		f.hosts = append(f.hosts, fmt.Sprintf("127.1.%d.%d", i/200, i%200+1))
	}
	f.Trust(t, f.hosts...)
	var b strings.Builder
	fmt.Fprintf(&b, "all:\n  vars:\n    ansible_port: %d\n    ansible_user: %s\n    ansible_ssh_private_key_file: %s\n", f.Port, f.User, f.KeyFile)
	fmt.Fprintf(&b, "    ansible_ssh_common_args: -o UserKnownHostsFile=%s\n  hosts:\n", f.KnownHosts)
	for _, h := range f.hosts {
		fmt.Fprintf(&b, "    %q: {}\n", h)
	}
	f.inventory = filepath.Join(t.TempDir(), "hosts.yml")
	require.NoError(t, os.WriteFile(f.inventory, []byte(b.String()), 0o600))
	return f
}

// ours runs a playbook of n commands on all hosts, as a run that only reads:
// without locks and journal.
func (f *field) ours(t testing.TB, n int) time.Duration { return f.run(t, n, "") }

// run is ours; with a state folder it is a whole run, which locks its hosts,
// journals each command there and has the host remember it.
func (f *field) run(t testing.TB, n int, state string) time.Duration {
	text := "- hosts: all\n  gather_facts: false\n  tasks:\n" + strings.Repeat("    - command: /bin/echo hello\n", n)
	start := time.Now()
	inv, err := inventory.Load([]string{f.inventory})
	require.NoError(t, err)
	pb, err := playbook.Load("bench.yml", []byte(text))
	require.NoError(t, err)
	b, err := playbook.Bind(pb, playbook.Env{Inventory: inv, Tasks: tasks.All()})
	require.NoError(t, err)
	d := ssh.New(ssh.Options{})
	defer d.Close()
	seen := &counter{}
	opt := engine.Options{RunID: "bench", Playbook: b, Inventory: inv, Dialer: d, Sink: seen,
		Redactor: &secret.Redactor{}, Now: time.Now, Forks: 50, Stop: make(chan struct{}),
		ExitCode: func(engine.Report) (int, string) { return 0, "" }}
	if state != "" {
		opt.RunID = fmt.Sprintf("bench%d", time.Now().UnixNano())
		opt.Journal = newJournal(t, state, opt.RunID)
		defer opt.Journal.Close()
		opt.Owner, opt.HostDir = guard.Owner{Run: opt.RunID, User: "bench", Host: "here", PID: 1}, f.hostDir
	}
	rep := engine.Run(context.Background(), opt)
	took := time.Since(start)
	require.Equal(t, engine.Report{Changes: n * len(f.hosts)}, rep)
	require.Equal(t, n*len(f.hosts), seen.changed)
	return took
}

func newJournal(t testing.TB, state, id string) *journal.Journal {
	h := journal.Open(state)
	w, err := h.Begin(id)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	j, err := h.Create(id)
	require.NoError(t, err)
	return j
}

type counter struct{ changed int }

func (c *counter) Emit(e event.Event) {
	if e.Kind == event.Result && e.Status == event.Changed {
		c.changed++
	}
}

// compare runs both sides in turn and prints the ratio of their medians.
func compare(t testing.TB, name string, limit float64, ours, floor func() time.Duration) {
	var a, b []time.Duration
	for range rounds {
		a, b = append(a, ours()), append(b, floor())
	}
	slices.Sort(a)
	slices.Sort(b)
	ratio := a[rounds/2].Seconds() / b[rounds/2].Seconds()
	fmt.Printf("%-42s dayops %v  floor %v  ratio %.2f (limit %.2f)\n", name, a[rounds/2].Round(time.Millisecond), b[rounds/2].Round(time.Millisecond), ratio, limit)
	if ratio > limit {
		t.Errorf("%s: ratio %.2f is over %.2f", name, ratio, limit)
	}
}

func BenchmarkConnectAndOneCommand(t *testing.B) {
	f := newField(t, 50)
	compare(t, "connect + 1 command, 50 hosts", 1.5,
		func() time.Duration { return f.ours(t, 1) }, func() time.Duration { return f.floor(t, 1) })
}

func BenchmarkTwentyCommands(t *testing.B) {
	f := newField(t, 20)
	compare(t, "20 commands, 20 hosts", 1.5,
		func() time.Duration { return f.ours(t, 20) }, func() time.Duration { return f.floor(t, 20) })
}

// BenchmarkJournal compares a whole run whose journal is on this machine's disk
// with one whose journal is in memory, where a sync costs nothing.
func BenchmarkJournal(t *testing.B) {
	f := newField(t, 20)
	memory, err := os.MkdirTemp("/dev/shm", "dayops-bench-")
	require.NoError(t, err)
	defer os.RemoveAll(memory)
	disk := t.TempDir()
	compare(t, "journal on disk, 20 commands, 20 hosts", 1.1,
		func() time.Duration { return f.run(t, 20, disk) }, func() time.Duration { return f.run(t, 20, memory) })
	compare(t, "lock, journal and guard, 20x20", 3,
		func() time.Duration { return f.run(t, 20, disk) }, func() time.Duration { return f.ours(t, 20) })
}

// BenchmarkMemory runs the shipped program against 200 hosts and reads its peak
// resident memory from the kernel.
func BenchmarkMemory(t *testing.B) {
	f := newField(t, 200)
	bin := filepath.Join(t.TempDir(), "dayops")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "github.com/dayops/dayops/cmd/dayops")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	cmd := exec.Command(bin, "exec", "all", "-i", f.inventory, "-f", "200", "-o", "json", "--", "echo", "hello")
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+t.TempDir(), "DAYOPS_HOST_DIR="+f.hostDir)
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, 200, strings.Count(string(out), `"status":"changed"`))
	mib := float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024
	fmt.Printf("%-42s %.0f MiB (limit 100)\n", "peak resident memory, 200 hosts at once", mib)
	require.Less(t, mib, 100.0)
}
