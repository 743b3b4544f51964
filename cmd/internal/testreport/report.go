package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

type counts struct{ passed, failed, skipped int }

func (c counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.passed, c.failed, c.skipped)
}

type reporter struct {
	out     io.Writer
	counts  counts
	output  map[string][]string // by package and test, until the test ends
	broken  map[string]bool     // packages with a failed test
	skipped []string
}

// report prints in to out; the totals are added to those in the file total.
func report(in io.Reader, out io.Writer, total string, noSkip bool) int {
	r := &reporter{out: out, output: map[string][]string{}, broken: map[string]bool{}}
	lines := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		r.line(line)
		if err != nil {
			break
		}
	}
	for _, s := range r.skipped {
		fmt.Fprintln(out, "skipped:", s)
	}
	if err := add(total, r.counts); err != nil {
		fmt.Fprintln(out, "totals:", err)
		return 1
	}
	fmt.Fprintln(out, r.counts)
	switch {
	case r.counts.failed > 0:
		return 1
	case r.counts.passed == 0:
		fmt.Fprintln(out, "no test has passed: nothing was shown")
		return 1
	case noSkip && r.counts.skipped > 0:
		fmt.Fprintln(out, "skipping is forbidden here (DAYOPS_NO_SKIP=1)")
		return 1
	}
	return 0
}

func (r *reporter) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(r.out, line) // not test output: the go command speaks
		return
	}
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.output[key] = append(r.output[key], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageDone(e, key)
		} else {
			r.testDone(e, key)
		}
		delete(r.output, key)
	}
}

func (r *reporter) testDone(e event, key string) {
	switch e.Action {
	case "pass":
		r.counts.passed++
	case "fail":
		r.counts.failed++
		r.broken[e.Package] = true
		fmt.Fprint(r.out, strings.Join(r.output[key], ""))
	case "skip":
		r.counts.skipped++
		var why []string
		for _, o := range r.output[key] {
			if o = strings.TrimSpace(o); o != "" && !strings.HasPrefix(o, "===") && !strings.HasPrefix(o, "---") {
				why = append(why, o)
			}
		}
		r.skipped = append(r.skipped, fmt.Sprintf("%s %s: %s", e.Package, e.Test, strings.Join(why, " ")))
	}
}

// packageDone reports the package; one that failed without a failed test (a
// panic, a time-out, a build error) is a failure itself.
func (r *reporter) packageDone(e event, key string) {
	if e.Action == "skip" {
		return // no test files
	}
	if e.Action == "fail" && !r.broken[e.Package] {
		r.counts.failed++
		for k, lines := range r.output { // tests that never ended
			if strings.HasPrefix(k, e.Package+"\x00") && k != key {
				fmt.Fprint(r.out, strings.Join(lines, ""))
			}
		}
		fmt.Fprint(r.out, strings.Join(r.output[key], ""))
	}
	word := map[string]string{"pass": "ok  ", "fail": "FAIL"}[e.Action]
	fmt.Fprintf(r.out, "%s %-60s %6.1fs\n", word, e.Package, e.Elapsed)
}

// add adds c to the totals kept in the file; "" is no file.
func add(path string, c counts) error {
	if path == "" {
		return nil
	}
	var old counts
	text, err := os.ReadFile(path)
	if err == nil && len(text) > 0 {
		f := strings.Fields(string(text))
		if len(f) != 6 || !slices.Equal([]string{f[1], f[3], f[5]}, []string{"passed,", "failed,", "skipped"}) {
			return fmt.Errorf("%s: not a line of totals", path)
		}
		if _, err := fmt.Sscanf(string(text), "%d passed, %d failed, %d skipped", &old.passed, &old.failed, &old.skipped); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	sum := counts{old.passed + c.passed, old.failed + c.failed, old.skipped + c.skipped}
	return os.WriteFile(path, []byte(sum.String()+"\n"), 0o644)
}
