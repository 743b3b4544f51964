package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// before35 tells of a release from before etcd was Go modules.
func before35(release string) bool { return release < "3.5" }

var glideEntry = regexp.MustCompile(`(?m)^- name: (\S+)\n  version: ([0-9a-f]{40})$`)

// oldOwn are what a release's glide.lock says too, but at a revision that Go's
// current tools do not build, or that reads memory as they do not allow.
func oldOwn(module string) bool {
	return strings.HasPrefix(module, "golang.org/x/") || strings.HasPrefix(module, "go.uber.org/") ||
		slices.Contains([]string{"github.com/coreos/bbolt", "github.com/ugorji/go", "github.com/matttproud/golang_protobuf_extensions"}, module)
}

// buildOldEtcd builds etcd and etcdctl of 3.2 or 3.3 from their module, with
// what their glide.lock names in place of requirements.
func buildOldEtcd(ctx context.Context, release, src, out string) error {
	tree, codec := filepath.Join(src, "etcd"), filepath.Join(src, "codec")
	if err := os.WriteFile(filepath.Join(src, "go.mod"), []byte("module lab.example.com/etcd\n"), 0o644); err != nil {
		return err
	}
	if err := copyModule(ctx, src, "github.com/coreos/etcd@v"+release+"+incompatible", tree); err != nil {
		return err
	}
	lock, err := os.ReadFile(filepath.Join(tree, "glide.lock"))
	if err != nil {
		return err
	}
	mod := "module github.com/coreos/etcd\n\ngo 1.16\n\nrequire github.com/coreos/bbolt v1.3.2\n\nreplace github.com/coreos/bbolt => go.etcd.io/bbolt v1.3.10\n"
	for _, m := range glideEntry.FindAllStringSubmatch(string(lock), -1) {
		switch {
		case m[1] == "github.com/ugorji/go":
			if err := copyCodec(ctx, src, m[1]+"@"+m[2], codec); err != nil {
				return err
			}
			mod += "replace " + m[1] + " => " + codec + "\n"
		case !oldOwn(m[1]):
			mod += "replace " + m[1] + " => " + m[1] + " " + m[2] + "\n"
		}
	}
	if err := os.WriteFile(filepath.Join(tree, "go.mod"), []byte(mod), 0o644); err != nil {
		return err
	}
	for _, program := range []string{".", "./etcdctl"} {
		if _, err := goRun(ctx, tree, "build", "-trimpath", "-ldflags", "-s -w", "-o", out+"/", program); err != nil {
			return err
		}
	}
	return nil
}

// copyCodec copies a module whose alphabet for names has a character twice,
// which Go refuses since 1.22.
func copyCodec(ctx context.Context, src, module, to string) error {
	if err := copyModule(ctx, src, module, to); err != nil {
		return err
	}
	gen := filepath.Join(to, "codec/gen.go")
	text, err := os.ReadFile(gen)
	if err != nil {
		return err
	}
	fixed := strings.Replace(string(text), `0123456789__"`, `0123456789-_"`, 1)
	if err := os.WriteFile(gen, []byte(fixed), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "go.mod"), []byte("module github.com/ugorji/go\n"), 0o644)
}

// copyModule fetches a module, checked against the checksum database, and
// makes a copy that can be edited.
func copyModule(ctx context.Context, src, module, to string) error {
	said, err := goRun(ctx, src, "mod", "download", "-json", module)
	if err != nil {
		return err
	}
	var got struct{ Dir string }
	if err := json.Unmarshal([]byte(said), &got); err != nil {
		return fmt.Errorf("go mod download %s: %w", module, err)
	}
	_, err = run(ctx, "cp", "-r", "--no-preserve=mode", got.Dir, to)
	return err
}
