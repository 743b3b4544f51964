package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Exec runs a command on the host as root, without ssh (also while the host is
// frozen or cut off), and returns what it printed on standard output.
func (h *Host) Exec(ctx context.Context, argv ...string) (string, error) {
	return h.ExecIn(ctx, "", argv...)
}

// ExecIn is Exec with input.
func (h *Host) ExecIn(ctx context.Context, stdin string, argv ...string) (string, error) {
	cmd, err := h.Command(argv...)
	if err != nil {
		return "", err
	}
	return runIn(ctx, stdin, cmd[0], cmd[1:]...)
}

// Command is the argv that runs argv on the host from the control machine.
func (h *Host) Command(argv ...string) ([]string, error) {
	p, err := h.initPID()
	if err != nil {
		return nil, err
	}
	return append([]string{"nsenter", "-t", strconv.Itoa(p), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "--",
		"env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C"}, argv...), nil
}

func (h *Host) filler() string { return filepath.Join(h.dir(), "disk", "filler") }

// Fill takes all free space of the host's disk. The host sees a full file
// system and no file that fills it. /run and /tmp are memory and stay free.
func (h *Host) Fill(context.Context) error {
	f, err := os.OpenFile(h.filler(), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	at, err := f.Seek(0, 2)
	if err != nil {
		return err
	}
	for size := int64(64 << 20); size >= 4096; {
		err := unix.Fallocate(int(f.Fd()), 0, at, size)
		switch {
		case err == nil:
			at += size
		case errors.Is(err, unix.ENOSPC):
			size /= 2
		case errors.Is(err, unix.EINTR):
		default:
			return fmt.Errorf("fill %s: %w", h.Name, err)
		}
	}
	return nil
}

// Drain undoes Fill.
func (h *Host) Drain(context.Context) error {
	if err := os.Remove(h.filler()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

const sshDir = "/etc/ssh"

// Rekey gives the host new host keys, so that known_hosts no longer fits. The
// old ones are kept for RestoreKeys, outside of the host.
func (h *Host) Rekey(ctx context.Context) error {
	kept := filepath.Join(h.dir(), "keys")
	if !h.Running() || h.frozen() {
		return fmt.Errorf("%s is off or frozen", h.Name)
	}
	if _, err := os.Stat(kept); err == nil {
		return fmt.Errorf("%s has new host keys already", h.Name)
	}
	if err := os.Mkdir(kept, 0o700); err != nil {
		return err
	}
	if err := copyKeys(filepath.Join(h.Root(), sshDir), kept, false); err != nil {
		return err
	}
	for _, t := range keyTypes() {
		for _, p := range []string{t, t + ".pub"} {
			if err := os.Remove(filepath.Join(h.Root(), sshDir, p)); err != nil {
				return err
			}
		}
	}
	if err := h.newKeys(ctx); err != nil {
		return err
	}
	return h.reloadSSH(ctx)
}

// newKeys makes the host keys that are missing; RSA with 2048 bits, for longer ones take a second each.
func (h *Host) newKeys(ctx context.Context) error {
	rsa := filepath.Join(h.Root(), sshDir, "ssh_host_rsa_key")
	if _, err := run(ctx, "ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", "root@"+h.Name, "-f", rsa); err != nil {
		return err
	}
	_, err := run(ctx, "ssh-keygen", "-q", "-A", "-f", h.Root())
	return err
}

// RestoreKeys undoes Rekey.
func (h *Host) RestoreKeys(ctx context.Context) error {
	kept := filepath.Join(h.dir(), "keys")
	if _, err := os.Stat(kept); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := copyKeys(kept, filepath.Join(h.Root(), sshDir), true); err != nil {
		return err
	}
	if err := os.RemoveAll(kept); err != nil {
		return err
	}
	return h.reloadSSH(ctx)
}

func (h *Host) reloadSSH(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := h.Exec(ctx, "systemctl", "restart", "ssh") // returns when it listens again
	return err
}

func keyTypes() []string {
	return []string{"ssh_host_ed25519_key", "ssh_host_ecdsa_key", "ssh_host_rsa_key"}
}

func copyKeys(from, to string, over bool) error {
	for _, t := range keyTypes() {
		for p, mode := range map[string]os.FileMode{t: 0o600, t + ".pub": 0o644} {
			b, err := os.ReadFile(filepath.Join(from, p))
			if err != nil {
				return err
			}
			dst := filepath.Join(to, p)
			if _, err := os.Stat(dst); err == nil && !over {
				return fmt.Errorf("%s is there already", dst)
			}
			if err := writeFile(dst, b, mode); err != nil {
				return err
			}
		}
	}
	return nil
}

// Heal undoes everything that Freeze, Cut, Fill and Rekey did, and starts a stopped host.
func (h *Host) Heal(ctx context.Context) error {
	if !h.Running() {
		if err := h.Drain(ctx); err != nil {
			return err
		}
		if err := h.Start(ctx); err != nil {
			return err
		}
	}
	return errors.Join(h.Thaw(ctx), h.Join(ctx), h.Drain(ctx), h.RestoreKeys(ctx))
}

// Status says in a few words how the host is.
func (h *Host) Status(ctx context.Context) string {
	all, err := pids(h.lab.state.ID, h.Name)
	if err != nil || len(all) == 0 || !h.Running() {
		return "off"
	}
	said := "up"
	if h.frozen() {
		said = "frozen"
	}
	if flags, err := os.ReadFile(filepath.Join("/sys/class/net", h.port(), "flags")); err == nil {
		if n, err := strconv.ParseUint(string(flags[:len(flags)-1]), 0, 32); err == nil && n&unix.IFF_UP == 0 {
			said += ", cut off"
		}
	}
	if _, err := os.Stat(h.filler()); err == nil {
		said += ", disk full"
	}
	if _, err := os.Stat(filepath.Join(h.dir(), "keys")); err == nil {
		said += ", new host keys"
	}
	return said
}
