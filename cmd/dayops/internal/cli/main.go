// Package cli is the command line of dayops: one file per command, the flags
// that they share, and the exit codes in one table.
package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine/source"
)

// app is what commands need of the world around them.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	now      func() time.Time
	args     []string // the command line
}

// Main runs one command line and returns its exit code.
func Main(args []string, in io.Reader, out, errw io.Writer) int {
	a := &app{in: in, out: out, err: errw, getenv: os.Getenv, now: time.Now}
	return a.main(args)
}

func (a *app) main(args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			say(a.err, "dayops: unexpected: %v\n%s", r, debug.Stack())
			code = exitUnexpected
		}
	}()
	a.args = args
	root := a.root()
	root.SetArgs(args)
	// Until a command has begun, every error is one of the command line.
	begun := false
	root.PersistentPreRun = func(*cobra.Command, []string) { begun = true }
	cmd, err := root.ExecuteC()
	var c *coded
	if err != nil && !begun && !errors.As(err, &c) {
		first, _, _ := strings.Cut(err.Error(), "\n")
		if strings.HasPrefix(first, "accepts ") { // cobra's words do not say of what
			first = "usage: " + cmd.UseLine()
		}
		hint := cmd.CommandPath() + " --help"
		if near := root.SuggestionsFor(strings.Join(args[:min(1, len(args))], "")); cmd == root && len(near) > 0 {
			hint = fmt.Sprintf("did you mean %q? %s", near[0], hint)
		}
		err = usage(hint, "%s", first)
	}
	a.show(err)
	return codeOfError(err)
}

// show prints an error once, with its hint.
func (a *app) show(err error) {
	var shown *errShown
	var list source.List
	var c *coded
	switch {
	case err == nil, errors.As(err, &shown):
	case errors.As(err, &list):
		say(a.err, "%s\n%s in your files; nothing was connected\n", list.Excerpts(), count(len(list), "mistake"))
	case errors.As(err, &c):
		say(a.err, "dayops: %s\n", c.err)
		if c.hint != "" {
			say(a.err, "  hint: %s\n", c.hint)
		}
	default:
		say(a.err, "dayops: %s\n", err)
		if hint := a.roomHint(err); hint != "" {
			say(a.err, "  hint: %s\n", hint)
		}
	}
}

// roomHint says what to do when the state folder takes nothing.
func (a *app) roomHint(err error) string {
	var path *fs.PathError
	dir, dirErr := a.stateDir()
	if dirErr != nil || !errors.As(err, &path) || path.Path != dir && !strings.HasPrefix(path.Path, dir+string(filepath.Separator)) {
		return ""
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room there (dayops history prune --keep 50), or set XDG_STATE_HOME to another folder"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return "every run is written down there: set XDG_STATE_HOME to a folder that you may write to"
	}
	return ""
}

// say writes text for people. Names and values of files and hosts may stand in
// it: none can move the cursor. Texts of hosts also go through view.Line.
func say(w io.Writer, format string, args ...any) {
	_, _ = io.WriteString(w, view.Clean(fmt.Sprintf(format, args...)))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "dayops",
		Short:         "Day-2 work of clusters over SSH: checked, planned, verified",
		Long:          rootLong(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(cmd.CommandPath()+" --help", "%s", err)
	})
	root.AddGroup(&cobra.Group{ID: "work", Title: "Work on hosts:"}, &cobra.Group{ID: "look", Title: "Look things up:"})
	root.AddCommand(a.commands()...)
	root.InitDefaultCompletionCmd()
	return root
}

func rootLong() string {
	var b strings.Builder
	b.WriteString(`dayops runs playbooks of typed tasks on the hosts of an inventory over SSH.
A task reads a host and plans changes; only the engine makes them. So a dry run
shows what a run would do, and changes nothing.

  dayops run backup.yml -i hosts.yml       run a playbook
  dayops plan site.yml                     what would change; nothing does
  dayops ping masters                      can we log in?
  dayops exec etcd -- uptime               one command everywhere
  dayops doc host_backup                   what a task does and takes

Exit codes:
`)
	for _, c := range exitCodes() {
		fmt.Fprintf(&b, "  %3d  %s\n", c.Code, c.Meaning)
	}
	b.WriteString("\nLimits on waiting:\n" + limits())
	return b.String()
}

// version is the module's, with the commit where Go recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += " (" + s.Value[:12] + ")"
		}
	}
	return v
}
