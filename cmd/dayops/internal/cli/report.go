package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine/journal"
)

type reportFlags struct {
	html, junit, json bool
	file              string
}

func (a *app) reportCommand() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use: "report [RUN]", Short: "Make a report of a run: HTML, JUnit or JSON", GroupID: "look",
		Long: `Make a report from the record of a run; without RUN of the last one.

  --html   one file that needs nothing else and runs no script: overview, what
           went wrong and what to type next, timeline, results and diffs of
           each host; for screens, phones and paper
  --junit  XML for a continuous integration server: hosts are suites, steps cases
  --json   one document: summary, and the results of each host (dayops doc report)

Without any of these the ending of FILE says which (.html, .xml, .json), else it
is HTML. A file is written whole or not at all, readable by you alone (0600):
what hosts said stands in it.`,
		Example: "  dayops report 7f3c -o run.html\n  dayops report --junit -o result.xml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.report(f, strings.Join(args, ""))
		},
		ValidArgsFunction: a.completeRuns,
	}
	cmd.Flags().BoolVar(&f.html, "html", false, "HTML, one file")
	cmd.Flags().BoolVar(&f.junit, "junit", false, "JUnit's XML")
	cmd.Flags().BoolVar(&f.json, "json", false, "one JSON document")
	cmd.Flags().StringVarP(&f.file, "output", "o", "", "write to this file (default: standard output)")
	return cmd
}

// form says how to write the report.
func (a *app) form(f reportFlags) (func(*view.Report, io.Writer) error, error) {
	ext := strings.ToLower(filepath.Ext(f.file))
	some := f.html || f.junit || f.json
	switch f.file {
	case "html", "junit", "json", "text":
		return nil, usage(fmt.Sprintf("--%s -o FILE; or -o ./%s", f.file, f.file), "-o %s: a file is meant, not a form", f.file)
	}
	switch {
	case f.html && f.junit, f.html && f.json, f.junit && f.json:
		return nil, usage("call it twice", "one of --html, --junit and --json at a time")
	case f.junit, !some && ext == ".xml":
		return (*view.Report).WriteJUnit, nil
	case f.json, !some && ext == ".json":
		return (*view.Report).WriteJSON, nil
	case !some && ext != "" && ext != ".html" && ext != ".htm":
		return nil, usage("--html, --junit or --json says what to write", "no report is written as %q", ext)
	case f.file == "" && view.IsTerminal(a.out):
		return nil, usage("-o FILE.html; or --junit, --json", "HTML is not for a terminal")
	}
	return (*view.Report).WriteHTML, nil
}

func (a *app) report(f reportFlags, run string) error {
	write, err := a.form(f)
	if err != nil {
		return err
	}
	h, err := a.history()
	if err != nil {
		return err
	}
	if run == "" {
		run, err = lastRun(h)
	} else {
		run, err = a.findRun(h, run)
	}
	if err != nil {
		return err
	}
	rep, err := gather(h, run)
	if err != nil {
		return err
	}
	if !rep.Ended {
		a.sayUnended(h, run)
	}
	if f.file == "" {
		return buffered(a.out, rep, write)
	}
	if err := canHold(f.file); err != nil {
		return err
	}
	return writeFile(f.file, func(w io.Writer) error { return buffered(w, rep, write) })
}

// canHold refuses a file whose folder is not there, before anything else is done.
func canHold(file string) error {
	dir := filepath.Dir(file)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return usage("mkdir -p "+dir, "there is no folder %s to write %s to", dir, filepath.Base(file))
	}
	return nil
}

func lastRun(h *journal.History) (string, error) {
	entries, _, err := h.List()
	if err != nil {
		return "", err
	}
	if len(entries) == 0 {
		return "", usage("dayops run PLAYBOOK", "no runs yet")
	}
	return entries[len(entries)-1].Run, nil
}

// gather reads the record of a run into a report.
func gather(h *journal.History, run string) (*view.Report, error) {
	g := view.NewGather()
	if err := h.Replay(run, g.Emit); err != nil {
		return nil, err
	}
	return g.Report(), nil
}

func buffered(w io.Writer, rep *view.Report, write func(*view.Report, io.Writer) error) error {
	b := bufio.NewWriter(w)
	return errors.Join(write(rep, b), b.Flush())
}

// writeFile writes a private file whole or not at all; what is no regular file
// (a pipe, a device) is written to as it is.
func writeFile(path string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		return errors.Join(write(f), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	if err = errors.Join(write(f), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
