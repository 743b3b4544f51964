package change

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
)

// plainEnv keeps a host's settings from changing what our programs print.
func plainEnv() map[string]string { return map[string]string{"LC_ALL": "C", "TAR_OPTIONS": ""} }

const shortLimit = 60 * time.Second // of a command that only asks

// tarTool is the host's tar.
type tarTool struct {
	options []string // that keep attributes, as far as this tar knows them
}

// NoTarError: the host has no tar that a backup can be made with.
type NoTarError struct{ Got string }

func (e *NoTarError) Error() string {
	if e.Got == "" {
		return "the host has no tar: install GNU tar"
	}
	return fmt.Sprintf("the host's tar is %q, which cannot keep ACLs and attributes: install GNU tar", e.Got)
}

// askTar finds out what the host's tar can do.
func askTar(ctx context.Context, h Host) (tarTool, error) {
	var t tarTool
	var out strings.Builder
	w := &limitWriter{w: &out, left: 64 << 10}
	cmd := shCommand(h, nil, w, `tar --version 2>/dev/null | head -n 1
tar --help 2>/dev/null | grep -oE -e '--(xattrs-include|xattrs|acls|selinux)\>' | sort -u`)
	cmd.Limit = shortLimit
	if _, err := h.Conn.Run(ctx, cmd); err != nil || w.err != nil {
		return t, errors.Join(w.err, err)
	}
	version, help, _ := strings.Cut(out.String(), "\n")
	if !strings.Contains(version, "GNU tar") {
		return t, &NoTarError{Got: reader.Printable(strings.TrimSpace(version))}
	}
	t.options = []string{"--sparse"}
	for _, o := range []string{"--xattrs", "--acls", "--selinux"} {
		if strings.Contains(help, o) {
			t.options = append(t.options, o)
		}
	}
	if strings.Contains(help, "--xattrs-include") { // without it, unpacking leaves out all but user.*
		t.options = append(t.options, "--xattrs-include=*")
	}
	return t, nil
}

// create is tar writing the names that it reads from its input to its output.
func (t tarTool) create(root string) []string {
	argv := append([]string{"tar", "--create", "--file=-", "--format=pax",
		// What differs between two reads of an unchanged file.
		"--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f",
		"--ignore-failed-read"}, t.options...)
	if root != "" {
		// Names are looked up in the host's own /etc/passwd, not in the tree's.
		argv = append(argv, "--numeric-owner")
	}
	return append(argv, "--directory="+root+"/", "--no-recursion", "--null", "--no-unquote", "--files-from=-")
}

// shCommand is a script of ours on the host, as the account that the change is made as.
func shCommand(h Host, stdin io.Reader, stdout io.Writer, script string, args ...string) conn.Cmd {
	return conn.Cmd{
		Argv: append([]string{"/bin/sh", "-c", "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH\n" + script, "dayops"}, args...),
		Env:  plainEnv(), As: h.As, Stdin: stdin, Stdout: stdout,
	}
}
