package view

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

var update = flag.Bool("update", false, "write what is expected into testdata")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "go test ./cmd/dayops/internal/view -update")
}

func written(t *testing.T, write func(io.Writer) error) string {
	var b strings.Builder
	require.NoError(t, write(&b))
	return b.String()
}

func TestReportForms(t *testing.T) {
	r := replay(t, "failed")
	golden(t, "failed.json", written(t, r.WriteJSON))
	golden(t, "failed.xml", written(t, r.WriteJUnit))
}

// The document reads back as it was, and no terminal obeys it.
func TestReportJSON(t *testing.T) {
	for _, r := range []*Report{replay(t, "failed"), hostile()} {
		text := written(t, r.WriteJSON)
		require.Negative(t, strings.IndexFunc(strings.ReplaceAll(text, "\n", ""), unsafeRune))
		var back Report
		require.NoError(t, json.Unmarshal([]byte(text), &back))
		require.Equal(t, strings.ReplaceAll(text, `\ufffd`, "\ufffd"), written(t, back.WriteJSON))
		require.Equal(t, "dayops-report", back.Format)
	}
	for _, field := range []string{"format", "problems", "hosts", "results", "seconds"} {
		require.Contains(t, ReportDoc(), field)
	}
}

// What junit-10.xsd of Jenkins' xUnit plugin allows: children, and attributes with those that must be there marked by a star.
func junitSchema() map[string]struct{ children, attrs string } {
	return map[string]struct{ children, attrs string }{
		"testsuites": {"testsuite", "name time tests failures errors"},
		"testsuite":  {"testsuite properties testcase system-out system-err", "name* tests* failures* errors* group time skipped timestamp hostname id package file log url"},
		"testcase":   {"skipped error failure system-out system-err", "name* time classname group"},
		"skipped":    {"", "type message"}, "error": {"", "type message"}, "failure": {"", "type message"},
		"system-out": {}, "system-err": {},
	}
}

func TestJUnitIsValid(t *testing.T) {
	killed := NewGather()
	killed.Emit(event.Event{Kind: event.RunStart, Run: "1", Text: "a.yml", Hosts: []string{"h"}})
	for name, r := range map[string]*Report{"failed": replay(t, "failed"), "first": replay(t, "first"), "hostile": hostile(), "big": bigRun(20, 50), "killed": killed.Report()} {
		text := written(t, r.WriteJUnit)
		require.Negative(t, strings.IndexFunc(strings.NewReplacer("\n", "", "\t", "").Replace(text), unsafeRune), name)
		checkJUnit(t, name, text)
		if name == "killed" {
			require.Contains(t, text, `errors="1"`)
		}
	}
}

func checkJUnit(t *testing.T, name, text string) {
	schema := junitSchema()
	var path []string
	var suite map[string]string
	var cases, failures, errors, skipped int
	surefire := regexp.MustCompile(`^(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?$`)
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err, name)
		switch e := tok.(type) {
		case xml.StartElement:
			rule, ok := schema[e.Name.Local]
			require.True(t, ok, e.Name.Local)
			if len(path) > 0 {
				require.Contains(t, strings.Fields(schema[path[len(path)-1]].children), e.Name.Local)
			}
			path = append(path, e.Name.Local)
			attrs := map[string]string{}
			for _, a := range e.Attr {
				require.Regexp(t, `(^| )`+a.Name.Local+`\*?( |$)`, rule.attrs, e.Name.Local)
				attrs[a.Name.Local] = a.Value
			}
			for _, must := range strings.Fields(rule.attrs) {
				if m, is := strings.CutSuffix(must, "*"); is {
					require.Contains(t, attrs, m, e.Name.Local)
				}
			}
			if v, ok := attrs["time"]; ok {
				require.Regexp(t, surefire, v)
			}
			switch e.Name.Local {
			case "testsuite":
				suite, cases, failures, errors, skipped = attrs, 0, 0, 0, 0
				_, err := time.Parse("2006-01-02T15:04:05", attrs["timestamp"])
				require.NoError(t, err)
			case "testcase":
				cases++
			case "failure":
				failures++
			case "error":
				errors++
			case "skipped":
				skipped++
			}
		case xml.EndElement:
			if e.Name.Local == "testsuite" {
				require.Equal(t, []string{strconv.Itoa(cases), strconv.Itoa(failures), strconv.Itoa(errors), strconv.Itoa(skipped)},
					[]string{suite["tests"], suite["failures"], suite["errors"], suite["skipped"]}, suite["name"])
			}
			path = path[:len(path)-1]
		}
	}
}

// A run that was killed and taken up again: what it says last counts.
func TestGatherTakenUpAgain(t *testing.T) {
	at := time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	g := NewGather()
	begin := event.Event{Kind: event.RunStart, Time: at, Run: "1", Text: "a.yml", Hosts: []string{"a", "b"}}
	result := func(host string, s event.Status) event.Event {
		return event.Event{Kind: event.Result, Time: at, Play: "p", Step: "one", StepID: "1.1", Host: host, Status: s}
	}
	g.Emit(begin)
	g.Emit(event.Event{Kind: event.Unreachable, Time: at, Host: "b", Status: event.Unreached, Text: "gone"})
	g.Emit(event.Event{Kind: event.StepStart, Time: at, Play: "p", Step: "one", StepID: "1.1"})
	g.Emit(result("a", event.Failed))
	g.Emit(begin)
	g.Emit(event.Event{Kind: event.StepStart, Time: at, Play: "p", Step: "one", StepID: "1.1"})
	g.Emit(result("a", event.Changed))
	g.Emit(result("b", event.OK))
	r := g.Report()
	require.Equal(t, 1, r.Taken)
	require.Equal(t, Totals{Hosts: 2, OK: 1, Changed: 1}, r.Totals)
	require.Empty(t, r.Problems)
	require.False(t, r.Ended)
	require.Equal(t, "unended", r.Outcome)
}

func TestMiddle(t *testing.T) {
	require.Equal(t, "abc", middle("abc", 3))
	require.Equal(t, "ab\n... 2 bytes left out ...\nef", middle("abcdef", 4))
	require.Equal(t, "ü\n... 4 bytes left out ...\nü", middle("üüüü", 5), "no rune is cut")
}

func FuzzReport(f *testing.F) {
	f.Add(`{"kind":"run_start","run":"1","text":"a.yml","hosts":["h"],"time":"2026-11-22T02:00:00Z"}` + "\n" +
		`{"kind":"step_start","play":"p","step":"s","step_id":"1.1"}` + "\n" +
		`{"kind":"result","play":"p","step_id":"1.1","host":"h","status":"failed","rc":2,"stdout":"<b>\\u001b","changes":[{"diff":"+a\\n-b"}]}` + "\n" +
		`{"kind":"run_end","code":2,"seconds":-1e300}`)
	f.Add(`{"kind":"recap","host":"h","counts":{}}` + "\n" + `{"kind":"finding","host":"h","step_id":"\\u0000","status":"warn"}`)
	f.Add(`{"time":"1000-01-01T00:00:00Z"}` + "\n" + `{"time":"9000-01-01T00:00:00Z"}`)
	f.Fuzz(func(t *testing.T, text string) {
		g := NewGather()
		for l := range strings.Lines(text) {
			var e event.Event
			if json.Unmarshal([]byte(l), &e) == nil {
				g.Emit(e)
			}
		}
		r := g.Report()
		page := written(t, r.WriteHTML)
		require.Equal(t, 1, strings.Count(page, "<style>"))
		require.NotContains(t, page, "<script")
		checkJUnit(t, "fuzz", written(t, r.WriteJUnit))
		require.True(t, json.Valid([]byte(written(t, r.WriteJSON))))
	})
}
