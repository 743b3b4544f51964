package reader

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/conn"
)

// RefusedError: a probe is not in the table, so it was not run.
type RefusedError struct{ Argv []string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%q is not in the table of read-only probes", Printable(strings.Join(e.Argv, " ")))
}

// maxURLs bounds one argument that lists URLs.
const maxURLs = 4096

// Probe runs a program that only reads, for at most ProbeLimit. argv must match
// the table Probes, or FedProbes, whose rows are given a password (see With);
// else it is a *RefusedError and nothing runs. A program that the host lacks is a
// Result with code 127.
func (r *Reader) Probe(ctx context.Context, argv ...string) (conn.Result, error) {
	switch {
	case fits(Probes(), argv):
		return r.probe(ctx, nil, argv)
	case fits(FedProbes(), argv):
		return r.fed(ctx, argv)
	}
	return conn.Result{}, &RefusedError{Argv: argv}
}

func (r *Reader) probe(ctx context.Context, stdin io.Reader, argv []string) (conn.Result, error) {
	// The shell is for the words that are builtins: command, test.
	return r.conn.Run(ctx, conn.Cmd{
		Argv: append([]string{"/bin/sh", "-c", setPath + `"$@"`, "dayops"}, argv...),
		As:   r.as, Limit: ProbeLimit, Env: map[string]string{"LC_ALL": "C"}, Stdin: stdin,
	})
}

// CheckProbe tells whether Probe would run argv.
func CheckProbe(argv []string) error {
	if fits(Probes(), argv) || fits(FedProbes(), argv) {
		return nil
	}
	return &RefusedError{Argv: argv}
}

func fits(table []Pattern, argv []string) bool {
	return slices.ContainsFunc(table, func(p Pattern) bool { return p.matches(argv) })
}

func (p Pattern) matches(argv []string) bool {
	words := strings.Fields(p.Argv)
	last, many := strings.CutSuffix(words[len(words)-1], "...")
	words[len(words)-1] = last
	if len(argv) < len(words) || (len(argv) > len(words) && !many) {
		return false
	}
	for i, a := range argv {
		if !matchWord(words[min(i, len(words)-1)], a) {
			return false
		}
	}
	return true
}

var (
	leafWord  = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9_.+-]*$`)
	listWord  = regexp.MustCompile(`^[A-Za-z0-9_%+][A-Za-z0-9_.,%+-]*$`)
	nameWord  = regexp.MustCompile(`^[A-Za-z0-9_%+:][A-Za-z0-9_.,%+:@-]*$`)
	digits    = regexp.MustCompile(`^[0-9]{1,6}$`)
	urlList   = regexp.MustCompile(`^https?://(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}(,https?://(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5})*$`)
	hostPort  = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*):[0-9]{1,5}$`)
	revision  = regexp.MustCompile(`^[0-9]{1,19}$`)
	wordPlace = regexp.MustCompile(`<[a-z]+>`)
)

// matchWord compares one argument with one word of a pattern. A place inside a
// longer word stands for one path element.
func matchWord(word, arg string) bool {
	switch word {
	case "<unit>":
		_, err := UnitName(arg)
		return err == nil
	case "<package>":
		return CheckPackageName(arg) == nil
	case "<account>":
		return leafWord.MatchString(arg)
	case "<path>":
		return checkPath("probe", arg) == nil
	case "<leaf>":
		return leafWord.MatchString(arg)
	case "<n>":
		return digits.MatchString(arg)
	case "<words>":
		return listWord.MatchString(arg)
	case "<name>":
		return nameWord.MatchString(arg)
	case "<hostport>":
		return hostPort.MatchString(arg)
	case "<urls>":
		return len(arg) <= maxURLs && urlList.MatchString(arg)
	case "<rev>":
		return revision.MatchString(arg)
	case "<empty>":
		return arg == ""
	}
	if !wordPlace.MatchString(word) {
		return word == arg
	}
	want, got := strings.Split(word, "/"), strings.Split(arg, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] == "<leaf>" && !leafWord.MatchString(got[i]) || want[i] != "<leaf>" && want[i] != got[i] {
			return false
		}
	}
	return true
}
