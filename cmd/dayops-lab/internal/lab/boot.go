package lab

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/dress"
)

//go:embed keeper.sh
var keeper string

const (
	diskSize = 1 << 30 // of a host's own disk; sparse, so it costs what is written
	runDir   = "/run/systemd/nspawn"
)

// make builds the host's file system and boots it.
func (h *Host) make(ctx context.Context, c *dress.Cluster) error {
	if err := h.mount(ctx); err != nil {
		return err
	}
	if err := h.configure(ctx); err != nil {
		return err
	}
	if _, err := c.Apply(h.Root(), h.Name); err != nil {
		return err
	}
	return h.start(ctx)
}

// mount lays the host's own disk over the shared base image. Renames and
// metadata changes copy whole files up, so that a path absent from the upper
// folder is the base's own file: listings rely on it.
func (h *Host) mount(ctx context.Context) error {
	d := h.dir()
	disk, img := filepath.Join(d, "disk"), filepath.Join(d, "disk.img")
	for _, p := range []string{disk, h.Root()} {
		if err := os.MkdirAll(p, 0o700); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(img, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(diskSize), f.Close()); err != nil {
		return err
	}
	if _, err := run(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", img); err != nil {
		return err
	}
	if _, err := run(ctx, "mount", "-o", "loop", img, disk); err != nil {
		return err
	}
	for _, p := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(disk, p), 0o755); err != nil {
			return err
		}
	}
	_, err = run(ctx, "mount", "-t", "overlay", "overlay", "-o", fmt.Sprintf(
		"lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=off,metacopy=off,index=off",
		h.Base, filepath.Join(disk, "upper"), filepath.Join(disk, "work")), h.Root())
	return err
}

// start boots the container, detached from this process, in its own control groups.
func (h *Host) start(ctx context.Context) error {
	groups, err := h.makeGroups()
	if err != nil {
		return err
	}
	args := append([]string{"-c", `setsid -f /bin/sh -c "$@"`, "sh", keeper, "sh", filepath.Join(h.dir(), "console.log")}, groups...)
	args = append(args, "--", "-q", "-D", h.Root(), "--register=no", "--keep-unit", "--machine="+h.Machine,
		"--hostname="+h.Name, "--network-bridge="+h.lab.state.Bridge, "--uuid="+h.UUID, "-b", "--console=pipe",
		"--resolv-conf=off", "--timezone=off")
	cmd := exec.CommandContext(ctx, "/bin/sh", args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), marker(h.lab.state.ID)}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("start the keeper of %s: %w: %s", h.Name, err, out)
	}
	return nil
}

// Stop powers the host off at once, as a power cut does. Its disk stays.
func (h *Host) Stop(ctx context.Context) error {
	return killAll(ctx, h.lab.state.ID, h.Name)
}

// Start boots a host that was stopped and returns when its sshd greets.
func (h *Host) Start(ctx context.Context) error {
	if h.Running() {
		return fmt.Errorf("%s: runs already", h.Name)
	}
	if err := h.start(ctx); err != nil {
		return err
	}
	return h.WaitSSH(ctx, bootLimit)
}

// teardown removes what the state in dir names, and the state last.
func teardown(ctx context.Context, dir string) error {
	s, err := readState(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return removeFiles(dir)
	}
	if err != nil {
		return err
	}
	if err := errors.Join(killMarked(s.ID), killAll(ctx, s.ID, "")); err != nil {
		return err
	}
	var errs []error
	for try := range 5 { // a group is busy for a moment after its last process
		if errs = []error{removeGroups(s.ID)}; errs[0] == nil {
			break
		}
		time.Sleep(time.Duration(try+1) * 50 * time.Millisecond)
	}
	errs = append(errs, unmountBelow(ctx, filepath.Join(dir, "hosts")))
	for _, h := range s.Hosts {
		for _, sub := range []string{"propagate", "unix-export"} {
			errs = append(errs, removeTree(ctx, filepath.Join(runDir, sub, h.Machine)))
		}
	}
	errs = append(errs, removeBridge(ctx, s.Bridge))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("lab in %s not removed, run dayops-lab down again: %w", dir, err)
	}
	unregister(dir)
	return removeFiles(dir)
}

// removeFiles removes what a lab keeps in its folder; the state goes last but for the lock.
func removeFiles(dir string) error {
	left, err := mountsBelow(filepath.Join(dir, "hosts"))
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("not removing %s: still mounted: %s", dir, strings.Join(left, ", "))
	}
	for _, name := range []string{"hosts", "inventory.yml", "inventory.ini", "known_hosts", "opspass.yml",
		"id_ed25519", "id_ed25519.pub", ".use", ".gate", "state.json.new", "state.json"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
