package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A lab's processes live in control groups of its own: in the systemd hierarchy
// (version 1 machines) and in the unified one. That is how they are found, and
// why two hosts' systemds do not manage each other's units.

// groupRoots lists the hierarchies that systemd uses on this machine.
func groupRoots() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		before, after, ok := strings.Cut(line, " - ")
		b, a := strings.Fields(before), strings.Fields(after)
		if !ok || len(b) < 5 || len(a) < 3 {
			continue
		}
		named := a[0] == "cgroup" && slices.Contains(strings.Split(a[2], ","), "name=systemd")
		if named || a[0] == "cgroup2" {
			out = append(out, b[4])
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no control group file system is mounted (systemd needs one)")
	}
	return out, nil
}

func groupName(id string) string { return "dayops-lab-" + id }

// makeGroups makes the host's control groups and returns their folders.
func (h *Host) makeGroups() ([]string, error) {
	roots, err := groupRoots()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, r := range roots {
		d := filepath.Join(r, groupName(h.lab.state.ID), h.Name)
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// pids lists the processes of the control group sub of lab id, all below included.
func pids(id, sub string) ([]int, error) {
	roots, err := groupRoots()
	if err != nil {
		return nil, err
	}
	seen := map[int]bool{}
	for _, r := range roots {
		err := filepath.WalkDir(filepath.Join(r, groupName(id), sub), func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.Name() != "cgroup.procs" {
				return nil // groups come and go
			}
			text, _ := os.ReadFile(p)
			for f := range strings.FieldsSeq(string(text)) {
				if n, err := strconv.Atoi(f); err == nil && n > 1 {
					seen[n] = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	out := make([]int, 0, len(seen))
	for n := range seen {
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

// signal sends sig to pid if it is (still) in a control group of lab id. The
// handle is taken first, so that the number cannot pass to another process in between.
func signal(id string, pid int, sig unix.Signal) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil || !strings.Contains(string(text), "/"+groupName(id)+"/") {
		return
	}
	_ = unix.PidfdSendSignal(fd, sig, nil, 0)
}

// killAll ends every process in the control group sub of lab id and waits until they are gone.
func killAll(ctx context.Context, id, sub string) error {
	for {
		left, err := pids(id, sub)
		if err != nil || len(left) == 0 {
			return err
		}
		for _, p := range left {
			signal(id, p, unix.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v of the lab will not end: %w", left, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// marker stands in the environment of every process that starts a host.
func marker(id string) string { return "DAYOPS_LAB_ID=" + id }

// killMarked ends processes that were started for the lab, but had not entered
// its control groups when the one that started them was killed.
func killMarked(id string) error {
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return err
	}
	for _, p := range all {
		pid, _ := strconv.Atoi(strings.Split(p, "/")[2])
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue
		}
		text, _ := os.ReadFile(p)
		if slices.Contains(strings.Split(string(text), "\x00"), marker(id)) {
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		unix.Close(fd)
	}
	return nil
}

// removeGroups removes the lab's empty control groups.
func removeGroups(id string) error {
	roots, err := groupRoots()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range roots {
		var dirs []string
		_ = filepath.WalkDir(filepath.Join(r, groupName(id)), func(p string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				dirs = append(dirs, p)
			}
			return nil
		})
		for _, d := range slices.Backward(dirs) {
			if err := unix.Rmdir(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("rmdir %s: %w", d, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Freeze stops every process of the host (SIGSTOP). Its kernel still accepts
// TCP connections, but nobody answers on them.
func (h *Host) Freeze(ctx context.Context) error { return h.settle(ctx, unix.SIGSTOP, true) }

// Thaw undoes Freeze.
func (h *Host) Thaw(ctx context.Context) error { return h.settle(ctx, unix.SIGCONT, false) }

// settle signals the host's processes until all of them are stopped, or none is.
func (h *Host) settle(ctx context.Context, sig unix.Signal, stopped bool) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		all, err := pids(h.lab.state.ID, h.Name)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(p int) bool { return innerPID(p) == "" })
		if len(all) == 0 {
			return fmt.Errorf("%s: not running", h.Name)
		}
		left := 0
		for _, p := range all {
			if is, ok := isStopped(p); ok && is != stopped {
				left++
				signal(h.lab.state.ID, p, sig)
			}
		}
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %d processes did not take %s", h.Name, left, unix.SignalName(sig))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// isStopped reads the state of a process; zombies and the dead do not count.
func isStopped(pid int) (stopped, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false, false
	}
	i := strings.LastIndexByte(string(text), ')')
	if i < 0 || i+2 >= len(text) {
		return false, false
	}
	switch text[i+2] {
	case 'Z', 'X':
		return false, false
	}
	return text[i+2] == 'T', true
}

// innerPID is the number of a process as its host sees it, "" for one of the control machine.
func innerPID(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(text), "\nNSpid:")
	line, _, _ := strings.Cut(rest, "\n")
	if f := strings.Fields(line); len(f) > 1 {
		return f[len(f)-1]
	}
	return ""
}

// initPID finds the host's process 1.
func (h *Host) initPID() (int, error) {
	all, err := pids(h.lab.state.ID, h.Name)
	if err != nil {
		return 0, err
	}
	for _, p := range all {
		if innerPID(p) == "1" {
			return p, nil
		}
	}
	return 0, fmt.Errorf("%s: not running", h.Name)
}

// frozen reports whether Freeze is in force.
func (h *Host) frozen() bool {
	p, err := h.initPID()
	if err != nil {
		return false
	}
	stopped, ok := isStopped(p)
	return ok && stopped
}

// Running reports whether the host has booted and not gone since.
func (h *Host) Running() bool {
	_, err := h.initPID()
	return err == nil
}

// whole reports whether every host of a lab that was once ready still runs.
func (l *Lab) whole() bool {
	return l.state.Ready && !slices.ContainsFunc(l.hosts, func(h *Host) bool { return !h.Running() })
}
