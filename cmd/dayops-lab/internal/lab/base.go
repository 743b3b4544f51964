package lab

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	suite    = "bookworm"
	packages = "systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,iptables,etcd-server,etcd-client," +
		"ca-certificates,openssl,procps,chrony,lvm2,acl,attr"
	offered = "hello tree rng-tools5 rng-tools-debian" // installable on a host without a network
)

//go:embed base.sh
var baseScript string

// cacheDir is where base images and the records of running labs are kept, per user.
func cacheDir() (string, error) {
	d, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	d = filepath.Join(d, "dayops-lab")
	return d, os.MkdirAll(d, 0o755)
}

// BaseKey names the base image that this program needs.
func BaseKey() string {
	sum := sha256.Sum256([]byte(suite + "\n" + packages + "\n" + offered + "\n" + baseScript + imageScript))
	return hex.EncodeToString(sum[:6])
}

// ensureBase returns the unpacked base image, which it builds once for all
// labs of this user (about 45 s). It is whole or absent: built beside, then renamed.
func ensureBase(ctx context.Context, log io.Writer) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	base := filepath.Join(cache, "base-"+BaseKey())
	if _, err := os.Stat(base); err == nil {
		return base, nil
	}
	unlock, err := lockFile(ctx, filepath.Join(cache, "base.lock"), 10*time.Minute)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(base); err == nil {
		return base, nil
	}
	if err := need("mmdebstrap"); err != nil {
		return "", err
	}
	if err := removeHalfBuilt(ctx, cache); err != nil {
		return "", err
	}
	fmt.Fprintf(log, "building the base image %s (once)\n", base)
	tmp := base + "." + randomHex(4) + ".tmp"
	if err := buildBase(ctx, tmp); err != nil {
		return "", errors.Join(fmt.Errorf("build the base image: %w", err), removeTree(context.WithoutCancel(ctx), tmp))
	}
	return base, os.Rename(tmp, base)
}

func buildBase(ctx context.Context, root string) error {
	ctx, cancel := context.WithTimeout(ctx, 9*time.Minute)
	defer cancel()
	script, err := os.CreateTemp("", "dayops-lab-base-*.sh")
	if err != nil {
		return err
	}
	defer os.Remove(script.Name())
	_, err = script.WriteString(baseScript)
	if err = errors.Join(err, script.Close()); err != nil {
		return err
	}
	hook := fmt.Sprintf(`chroot "$1" sh -s -- '%s' <%s`, offered, script.Name())
	if _, err := run(ctx, "mmdebstrap", "--quiet", "--variant=minbase", "--include="+packages,
		"--customize-hook="+hook, suite, root); err != nil {
		return err
	}
	// mmdebstrap empties the package lists last: fill them from the offline repository.
	_, err = run(ctx, "chroot", root, "apt-get", "-o", "APT::Sandbox::User=root", "update")
	return err
}

// removeHalfBuilt removes what a killed build left.
func removeHalfBuilt(ctx context.Context, cache string) error {
	left, err := filepath.Glob(filepath.Join(cache, "base-*.tmp"))
	if err != nil {
		return err
	}
	for _, d := range left {
		if err := removeTree(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// removeTree unmounts all that is mounted in dir, then removes it. It never
// removes through a mount that would not go away.
func removeTree(ctx context.Context, dir string) error {
	if err := unmountBelow(ctx, dir); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// unmountBelow unmounts dir and everything below it, deepest first.
func unmountBelow(ctx context.Context, dir string) error {
	for range 3 {
		points, err := mountsBelow(dir)
		if err != nil || len(points) == 0 {
			return err
		}
		for i := len(points) - 1; i >= 0; i-- {
			if _, err := run(ctx, "umount", points[i]); err != nil {
				if _, err := run(ctx, "umount", "-l", points[i]); err != nil {
					return err
				}
			}
		}
	}
	return fmt.Errorf("%s: still has mounts", dir)
}

// mountsBelow lists the mount points at and below dir in mount order.
func mountsBelow(dir string) ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var out []string
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		p := unescape.Replace(f[4])
		if p == dir || strings.HasPrefix(p, dir+"/") {
			out = append(out, p)
		}
	}
	return out, nil
}
