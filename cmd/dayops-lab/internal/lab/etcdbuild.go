package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// etcdBuildLimit is generous: two cores need some four minutes the first time,
// most of it for what etcd depends on.
const etcdBuildLimit = 15 * time.Minute

// ensureEtcd returns a folder with etcd, etcdctl and, from 3.5 on, etcdutl of a release. They
// are built once for all labs of this user from a module made for it, whose
// dependencies Go checks against its checksum database.
func ensureEtcd(ctx context.Context, release string, log io.Writer) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "etcd-"+release)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	unlock, err := lockFile(ctx, dir+".lock", etcdBuildLimit)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return "", fmt.Errorf("etcd %s is built with go: %w", release, err)
	}
	left, err := filepath.Glob(dir + ".*.tmp")
	for _, d := range left {
		err = errors.Join(err, os.RemoveAll(d))
	}
	if err != nil {
		return "", err
	}
	fmt.Fprintf(log, "building etcd %s (once, some minutes)\n", release)
	tmp := dir + "." + randomHex(4) + ".tmp"
	if err := buildEtcd(ctx, release, tmp); err != nil {
		return "", errors.Join(fmt.Errorf("build etcd %s: %w", release, err), os.RemoveAll(tmp))
	}
	return dir, os.Rename(tmp, dir)
}

// etcdModule is a module for nothing but building etcd: `go install` refuses
// modules that have replace directives.
const etcdModule = `module lab.example.com/etcd

go 1.24

require (
	go.etcd.io/etcd/server/v3 v%[1]s
	go.etcd.io/etcd/etcdctl/v3 v%[1]s
	go.etcd.io/etcd/etcdutl/v3 v%[1]s
)
`

const etcdImports = `package etcd

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/etcdutl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
`

func buildEtcd(ctx context.Context, release, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, etcdBuildLimit)
	defer cancel()
	src := filepath.Join(dir, "src")
	if err := os.MkdirAll(src, 0o755); err != nil {
		return err
	}
	if before35(release) {
		if err := buildOldEtcd(ctx, release, src, dir); err != nil {
			return err
		}
		return os.RemoveAll(src)
	}
	for name, text := range map[string]string{"go.mod": fmt.Sprintf(etcdModule, release), "imports.go": etcdImports} {
		if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	// -e: programs are imported, which is how their modules are named here.
	if _, err := goRun(ctx, src, "mod", "tidy", "-e"); err != nil {
		return err
	}
	for out, pkg := range map[string]string{"etcd": "server", "etcdctl": "etcdctl", "etcdutl": "etcdutl"} {
		if _, err := goRun(ctx, src, "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, out), "go.etcd.io/etcd/"+pkg+"/v3"); err != nil {
			return err
		}
	}
	return os.RemoveAll(src)
}

// goRun runs go in dir and returns its standard output; its children end with
// it, and it with this process.
func goRun(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 2 * time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, &said), &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, tail(said.String(), 2000))
	}
	return out.String(), nil
}
