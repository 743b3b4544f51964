package engine

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// bootEnv is, for the controller that is killed, its folder; without it the
// test is the one who kills.
const bootEnv = "DAYOPS_TEST_BOOT_DIR"

// TestLabWhatABootInterrupts kills a controller while its host boots: once in a
// plan that stops a unit, reboots, and starts it in Finally; once in a Bracket
// around a command. The unit does not start at boot by itself.
func TestLabWhatABootInterrupts(t *testing.T) {
	if dir := os.Getenv(bootEnv); dir != "" {
		w := bootWorld(t, dir)
		d := newDiary(w)
		d.begin("r1")
		bootRun(t, w)
		return
	}
	labtest.Asked(t)
	t.Parallel()
	l := labtest.Own(t, labtest.Options{Nodes: 1})
	h := l.Hosts()[0]
	onLab(t, h, `mkdir /srv/b; printf '[Service]\nExecStartPre=/bin/sh -c "cat /proc/sys/kernel/random/boot_id >>/srv/b/starts"\nExecStart=/bin/sleep infinity\n' >/etc/systemd/system/h-work.service
systemctl daemon-reload`)
	for _, s := range []struct {
		name, play string
		boot       func()
		want       string
	}{
		{"finally", play("{name: turn, turn: x}"), func() {}, "turned\n"},
		{"bracket", play("{name: bracket, bracket: x}"), func() {
			awaitLab(t, "the command is under way", func() bool { return onLab(t, h, "ls /srv/b/under 2>/dev/null || :") != "" })
			onLab(t, h, "systemctl reboot")
		}, "made\n"},
	} {
		t.Run(s.name, func(t *testing.T) {
			onLab(t, h, "rm -f /srv/b/*; systemctl restart h-work")
			boot := onLab(t, h, "cat /proc/sys/kernel/random/boot_id")
			w := bootWorld(t, t.TempDir())
			text, err := os.ReadFile(l.Inventory())
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(w.dir, "lab"), text, 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(w.dir, "play"), []byte(s.play), 0o600))
			killInBoot(t, h, w.dir, s.boot)
			require.Equal(t, "inactive\n", onLab(t, h, "systemctl is-active h-work || :"))

			d := newDiary(w)
			d.j, d.m, err = d.h.Resume("r1")
			require.NoError(t, err)
			require.Len(t, d.m.InDoubt(), 1)
			w.opt = func(o *Options) { d.set(o) }
			bootRun(t, w)
			require.False(t, w.rep.Failed, w.all())
			require.NotEqual(t, boot, onLab(t, h, "cat /proc/sys/kernel/random/boot_id"))
			require.Equal(t, "active\nthis boot\n"+s.want, onLab(t, h, `systemctl is-active h-work
tail -n 1 /srv/b/starts | sed "s/$(cat /proc/sys/kernel/random/boot_id)/this boot/"; cat /srv/b/did; ls -d /var/lib/dayops/lock /var/lib/dayops/runs 2>/dev/null; :`), w.all())
		})
	}
}

// killInBoot begins the run in a process of its own, lets the host go down, and
// kills that process before the host is back.
func killInBoot(t *testing.T, h *labtest.Host, dir string, boot func()) {
	t.Helper()
	out, err := os.Create(filepath.Join(dir, "out"))
	require.NoError(t, err)
	defer out.Close()
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(self, "-test.run", "^TestLabWhatABootInterrupts$", "-test.timeout", "3m")
	c.Env = append(os.Environ(), bootEnv+"="+dir)
	c.Stdout, c.Stderr = out, out
	require.NoError(t, c.Start())
	boot()
	awaitLab(t, "the host is down", func() bool {
		c, err := net.DialTimeout("tcp", h.Addr(), time.Second)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	require.NoError(t, c.Process.Kill())
	_ = c.Wait()
	text, err := os.ReadFile(out.Name())
	require.NoError(t, err)
	require.Equal(t, -1, c.ProcessState.ExitCode(), string(text))
	require.NoError(t, h.WaitSSH(t.Context(), time.Minute))
}

func bootRun(t *testing.T, w *world) {
	t.Helper()
	text := func(name string) string {
		b, err := os.ReadFile(filepath.Join(w.dir, name))
		require.NoError(t, err)
		return string(b)
	}
	set := w.opt
	w.opt = func(o *Options) {
		set(o)
		o.HostDir, o.Aside, o.Approve = "", "", change.Disruptive // the folder of hosts as usual: it outlives a boot
		dialer := ssh.New(ssh.Options{Home: t.TempDir(), ConfigFile: "none", Agent: "none", SSHProgram: "none"})
		t.Cleanup(func() { dialer.Close() })
		o.Dialer = dialer
	}
	w.run(text("lab"), text("play"))
}

// bootWorld has tasks whose plans a boot may interrupt.
func bootWorld(t *testing.T, dir string) *world {
	type params struct {
		Unused string `yaml:"unused" doc:"nothing"`
	}
	unit := func(was, want bool) *change.Unit {
		now := map[bool]string{true: "active", false: "inactive"}[was]
		return &change.Unit{Name: "h-work.service", Active: &want, Before: reader.Unit{Name: "h-work.service", LoadState: "loaded", ActiveState: now}}
	}
	define := func(name string, plan func(id string) task.Plan) *task.Definition {
		return task.Define(task.Spec[params]{Name: name, Doc: "Works.", FreeForm: "unused", Kind: func(params) task.Kind { return task.Action }},
			tiny[params, string]{
				check: func(ctx context.Context, r task.Reader, _ params) (string, error) {
					id, err := r.ReadFile(ctx, "/proc/sys/kernel/random/boot_id", 100)
					return strings.TrimSpace(string(id)), err
				},
				plan: func(in task.Input[params, string]) (task.Plan, error) { return plan(in.State), nil },
			})
	}
	w := newWorld(t,
		define("turn", func(id string) task.Plan {
			p := task.Do(unit(true, false), &change.Reboot{BootID: id}, &change.Exec{Argv: []string{"/bin/sh", "-c", "echo turned >>/srv/b/did"}})
			p.Finally = []task.Step{{Change: unit(false, true)}}
			return p
		}),
		define("bracket", func(string) task.Plan {
			const slow = "[ -e /srv/b/under ] || { touch /srv/b/under; sync; sleep 600; }; echo made >>/srv/b/did"
			return task.Do(&change.Bracket{
				Do:   []change.Change{unit(true, false), &change.Exec{Argv: []string{"/bin/sh", "-c", slow}, Done: &change.Probe{Path: "/srv/b/did"}}},
				Then: []change.Change{unit(false, true)},
			})
		}))
	w.dir = dir
	return w
}

func onLab(t *testing.T, h *labtest.Host, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := h.Exec(ctx, "sh", "-c", script)
	require.NoError(t, err, "%s: %s", script, out)
	return out
}

func awaitLab(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "not in a minute: %s", what)
	}
}
