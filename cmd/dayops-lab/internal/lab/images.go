package lab

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

//go:embed image.sh
var imageScript string

const debianEtcd = "3.4"

// etcdReleases are the release lines that a lab can have, with the release of
// each that is built; Debian's own is "".
func etcdReleases() map[string]string {
	return map[string]string{"3.2": "3.2.22", "3.3": "3.3.27", debianEtcd: "", "3.5": "3.5.21", "3.6": "3.6.16", "3.7": "3.7.3"}
}

// ServesV2 tells whether the lab's members serve the v2 API too.
func (l *Lab) ServesV2() bool { return l.state.Etcd < "3.6" }

// Gateway is the path under which the members answer JSON over HTTP.
func (l *Lab) Gateway() string {
	switch l.state.Etcd {
	case "3.2":
		return "/v3alpha"
	case "3.3":
		return "/v3beta"
	}
	return "/v3"
}

// chooseImages gives each host the image that it lies over: the base image as
// it is where etcd is Debian's, one with another etcd, or one without any whose
// package source offers it.
func (s *state) chooseImages(ctx context.Context, o Options) error {
	for i := range s.Hosts {
		h := &s.Hosts[i]
		host := &Host{hostState: *h}
		im := image{line: s.Etcd, bare: !host.Is("etcd") && (host.Is("master") || host.Is("new_etcd"))}
		if host.Is("new_etcd") {
			im.line = s.Offers
		}
		if host.Is("node") && !host.Is("master") {
			im.line = debianEtcd // nothing of etcd's is used there
		}
		var err error
		if h.Base, err = im.ensure(ctx, o.Log); err != nil {
			return err
		}
	}
	return nil
}

// image is the base image with an etcd of some release line. A bare one has
// etcd in its package source only.
type image struct {
	line string
	bare bool
}

func (im image) name(base string) string {
	n := base
	if im.line != debianEtcd {
		n += "-etcd" + etcdReleases()[im.line]
	}
	if im.bare {
		n += "-bare"
	}
	return n
}

// ensure returns the unpacked image, which is built once for all labs of this
// user: in some 10 s, and some minutes more where etcd itself is to be built.
func (im image) ensure(ctx context.Context, log io.Writer) (string, error) {
	base, err := ensureBase(ctx, log)
	if err != nil {
		return "", err
	}
	dir := im.name(base)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	var programs string
	if release := etcdReleases()[im.line]; release != "" {
		if programs, err = ensureEtcd(ctx, release, log); err != nil {
			return "", err
		}
	}
	unlock, err := lockFile(ctx, filepath.Join(filepath.Dir(base), "base.lock"), 10*time.Minute)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := removeHalfBuilt(ctx, filepath.Dir(base)); err != nil {
		return "", err
	}
	fmt.Fprintf(log, "making the image %s (once)\n", dir)
	tmp := dir + "." + randomHex(4) + ".tmp"
	if err := im.build(ctx, base, programs, tmp); err != nil {
		return "", errors.Join(fmt.Errorf("make the image %s: %w", dir, err), removeTree(context.WithoutCancel(ctx), tmp))
	}
	return dir, os.Rename(tmp, dir)
}

func (im image) build(ctx context.Context, base, programs, root string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	if _, err := run(ctx, "cp", "-a", "--reflink=auto", base, root); err != nil {
		return err
	}
	release := etcdReleases()[im.line]
	if release != "" {
		if _, err := run(ctx, "cp", "-a", programs, filepath.Join(root, "/opt/etcd-new")); err != nil {
			return err
		}
	}
	bare := ""
	if im.bare {
		bare = "bare"
	}
	_, err := runIn(ctx, imageScript, "chroot", root, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-s", "--", release, bare)
	return err
}
