// Package e2e tests the whole program, as built, against lab hosts: what issue 2
// says it must show. Hosts are looked at through the lab, never through dayops.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
	"github.com/dayops/dayops/engine/event"
)

var program = programtest.Program{}

func TestMain(m *testing.M) { program.Main(m) }

// desk is where a person sits: a working folder, a home, an inventory.
type desk struct {
	t         testing.TB
	dir, home string
	inv       string
}

func newDesk(t testing.TB, inventory string) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir(), inv: inventory}
	d.home = filepath.Join(d.dir, "home")
	require.NoError(t, os.Mkdir(d.home, 0o700))
	return d
}

// file writes a file of the working folder and returns its path.
func (d *desk) file(name, text string) string {
	d.t.Helper()
	p := filepath.Join(d.dir, name)
	require.NoError(d.t, os.WriteFile(p, []byte(text), 0o600))
	return p
}

// outcome is what one run of the program gave.
type outcome struct {
	code     int
	out, err string
	took     time.Duration
}

func (o outcome) String() string {
	return fmt.Sprintf("exit %d after %.1fs\n%s\n--- stderr\n%s", o.code, o.took.Seconds(), o.out, o.err)
}

// recap is the line of the host below PLAY RECAP, with single spaces.
func (o outcome) recap(host string) string {
	_, text, _ := strings.Cut(o.out, "PLAY RECAP")
	for line := range strings.Lines(text) {
		if name, rest, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == host {
			return strings.Join(strings.Fields(rest), " ")
		}
	}
	return ""
}

// wrong is the part about what went wrong.
func (o outcome) wrong() string {
	_, text, _ := strings.Cut(o.out, "WHAT WENT WRONG")
	return text
}

// job is the program while it runs.
type job struct {
	d        *desk
	cmd      *exec.Cmd
	out, err bytes.Buffer
	start    time.Time
	ended    chan error
}

// command prepares the program; a limit that no run may need ends it.
func (d *desk) command(args ...string) *job {
	j := &job{d: d, ended: make(chan error, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	d.t.Cleanup(cancel)
	j.cmd = exec.CommandContext(ctx, program.Path(d.t), args...)
	j.cmd.Dir = d.dir
	j.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.home, "XDG_STATE_HOME=" + filepath.Join(d.home, "state"), "TERM=dumb", "DAYOPS_INVENTORY=" + d.inv}
	j.cmd.Stdout, j.cmd.Stderr = &j.out, &j.err
	return j
}

func (j *job) begin() *job {
	j.d.t.Helper()
	j.start = time.Now()
	require.NoError(j.d.t, j.cmd.Start())
	go func() { j.ended <- j.cmd.Wait() }()
	return j
}

func (j *job) signal() { require.NoError(j.d.t, j.cmd.Process.Signal(syscall.SIGINT)) }

func (j *job) wait() outcome {
	<-j.ended
	return outcome{j.cmd.ProcessState.ExitCode(), j.out.String(), j.err.String(), time.Since(j.start)}
}

// run runs the program to its end.
func (d *desk) run(args ...string) outcome {
	d.t.Helper()
	return d.command(args...).begin().wait()
}

// must runs the program, which has to end with code.
func (d *desk) must(code int, args ...string) outcome {
	d.t.Helper()
	o := d.run(args...)
	require.Equal(d.t, code, o.code, "dayops %s\n%s", strings.Join(args, " "), o)
	return o
}

// events runs the program with JSON output; not one line may be anything else.
func (d *desk) events(code int, args ...string) []event.Event {
	d.t.Helper()
	o := d.must(code, append(args, "-o", "json")...)
	var out []event.Event
	for s := bufio.NewScanner(strings.NewReader(o.out)); s.Scan(); {
		var e event.Event
		require.NoError(d.t, json.Unmarshal(s.Bytes(), &e), "%s", s.Text())
		out = append(out, e)
	}
	return out
}

// counts are the recap of every host.
func counts(es []event.Event) map[string]event.Counts {
	out := map[string]event.Counts{}
	for _, e := range es {
		if e.Kind == event.Recap {
			out[e.Host] = *e.Counts
		}
	}
	return out
}

// on runs a shell text on the host, as root, through the lab.
func on(t testing.TB, h *labtest.Host, script string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := h.Exec(ctx, append([]string{"sh", "-c", script, "sh"}, args...)...)
	require.NoError(t, err, "%s: %s", h.Name, script)
	return out
}

// listings are the whole file systems of hosts, with times.
func listings(t testing.TB, hosts []*labtest.Host) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, h := range hosts {
		text, err := h.ListingWith(t.Context(), labtest.ListOptions{Times: true})
		require.NoError(t, err)
		out[h.Name] = text
	}
	return out
}

// same compares listings line by line and shows only what differs.
func same(t testing.TB, before, after map[string]string) {
	t.Helper()
	for host, text := range before {
		if text == after[host] {
			continue
		}
		t.Errorf("%s has changed:\n- %s\n+ %s", host, strings.Join(minus(text, after[host]), "- "), strings.Join(minus(after[host], text), "+ "))
	}
}

// minus is the lines of a that b lacks.
func minus(a, b string) (out []string) {
	has := map[string]bool{}
	for l := range strings.Lines(b) {
		has[l] = true
	}
	for l := range strings.Lines(a) {
		if !has[l] {
			out = append(out, l)
		}
	}
	return out
}
