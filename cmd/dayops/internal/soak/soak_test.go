// Package soak kills the program, its commands and its connections at every
// point, and looks whether a resume ends where an undisturbed run would have
// ended. Long forms run with DAYOPS_SOAK=1 (make soak, make soak-etcd).
package soak

import (
	"bytes"
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

// long tells whether the long forms are asked for.
func long() bool { return os.Getenv("DAYOPS_SOAK") == "1" }

var program = programtest.Program{Tags: "crash"}

func TestMain(m *testing.M) { program.Main(m) }

// desk is where a person sits: a working folder, a home, an inventory.
type desk struct {
	t              testing.TB
	dir, home, inv string
	left           string // folder of hosts, this one too, for what dayops leaves there; "" is the usual one
}

func newDesk(t testing.TB, inventory string) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir(), inv: inventory}
	d.home = filepath.Join(d.dir, "home")
	require.NoError(t, os.Mkdir(d.home, 0o700))
	return d
}

// file writes a file of the working folder.
func (d *desk) file(name, text string) {
	d.t.Helper()
	p := filepath.Join(d.dir, name)
	require.NoError(d.t, os.MkdirAll(filepath.Dir(p), 0o700))
	require.NoError(d.t, os.WriteFile(p, []byte(text), 0o600))
}

func (d *desk) state() string { return filepath.Join(d.home, "state", "dayops") }

// runs are the runs that the desk knows of, by id.
func (d *desk) runs() []string {
	d.t.Helper()
	dirs, err := os.ReadDir(filepath.Join(d.state(), "runs"))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(d.t, err)
	var out []string
	for _, e := range dirs {
		out = append(out, e.Name())
	}
	return out
}

// newRun is the run that is not among before; "" where there is none.
func (d *desk) newRun(before []string) string {
	for _, id := range d.runs() {
		if !slices.Contains(before, id) {
			return id
		}
	}
	return ""
}

// job is the program while it runs.
type job struct {
	d     *desk
	cmd   *exec.Cmd
	said  bytes.Buffer // both outputs
	ended chan struct{}
	start time.Time
	took  time.Duration
}

// jobLimit is a time that no run may need; hundreds of deeds on a busy machine need a while.
func jobLimit() time.Duration {
	if long() {
		return 15 * time.Minute
	}
	return 4 * time.Minute
}

// begin starts the program. env has a crash point: DAYOPS_CRASH=after:7.
func (d *desk) begin(env []string, args ...string) *job {
	d.t.Helper()
	return d.prepare(env, args...).launch()
}

func (d *desk) prepare(env []string, args ...string) *job {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), jobLimit())
	d.t.Cleanup(cancel)
	j := &job{d: d, cmd: exec.CommandContext(ctx, program.Path(d.t), args...), ended: make(chan struct{})}
	j.cmd.Dir = d.dir
	j.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.home, "XDG_STATE_HOME=" + filepath.Join(d.home, "state"), "TERM=dumb",
		"DAYOPS_INVENTORY=" + d.inv, "DAYOPS_HOST_DIR=" + d.left}, env...)
	j.cmd.Stdout, j.cmd.Stderr = &j.said, &j.said
	return j
}

func (j *job) launch() *job {
	j.d.t.Helper()
	j.start = time.Now()
	require.NoError(j.d.t, j.cmd.Start())
	go func() {
		_ = j.cmd.Wait() // the code is looked at
		j.took = time.Since(j.start)
		close(j.ended)
	}()
	return j
}

func (j *job) signal(s syscall.Signal) { _ = j.cmd.Process.Signal(s) } // it may have ended

// wait gives the exit code, -1 after a kill, and what was said. One that its
// limit had to kill is no story's kill, and a failure.
func (j *job) wait() (int, string) {
	<-j.ended
	if j.took >= jobLimit() {
		j.d.t.Errorf("it came to no end in %s: %v\n%s", j.took, j.cmd.Args[1:], j.said.String())
	}
	return j.cmd.ProcessState.ExitCode(), j.said.String()
}

// must runs the program, which has to end with code.
func (d *desk) must(code int, args ...string) string {
	d.t.Helper()
	got, said := d.begin(nil, args...).wait()
	require.Equal(d.t, code, got, "dayops %s\n%s", strings.Join(args, " "), said)
	return said
}

// on runs a shell text on the host, as root, through the lab.
func on(t testing.TB, h *labtest.Host, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := h.Exec(ctx, "sh", "-c", script)
	require.NoError(t, err, "%s: %s: %s", h.Name, script, out)
	return out
}

// everywhere runs a shell text on all hosts at once.
func everywhere(t testing.TB, hosts []*labtest.Host, script string) map[string]string {
	t.Helper()
	out := make([]string, len(hosts))
	var wg sync.WaitGroup
	for i, h := range hosts {
		wg.Go(func() { out[i] = on(t, h, script) })
	}
	wg.Wait()
	m := map[string]string{}
	for i, h := range hosts {
		m[h.Name] = out[i]
	}
	return m
}

// free fails unless nothing of dayops is left: no lock, no record and no
// process on the hosts, no lock that is held in the state folder.
func (d *desk) free(hosts []*labtest.Host, story string) {
	d.t.Helper()
	for _, h := range hosts {
		left := func() string {
			return on(d.t, h, `cd `+cmp.Or(d.left, "/var/lib/dayops")+` 2>/dev/null && ls -d lock runs runs/* 2>/dev/null
for p in $(grep -ls DAYOPS_ID= /proc/[0-9]*/environ); do tr '\0' ' ' <${p%environ}cmdline; done; :`)
		}
		var last string
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			if last = left(); last == "" {
				break
			}
			if time.Now().After(end) {
				d.t.Fatalf("%s\non %s are left: %s", story, h.Name, last)
			}
		}
	}
	for _, pattern := range []string{"locks/*", "runs/*/lock"} {
		files, err := filepath.Glob(filepath.Join(d.state(), pattern))
		require.NoError(d.t, err)
		for _, p := range files {
			f, err := os.Open(p)
			require.NoError(d.t, err)
			require.NoError(d.t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), "%s is held", p)
			f.Close()
		}
	}
}
