package event

import (
	"fmt"
	"reflect"
	"strings"
)

// kindDocs says what each kind reports, in the order in which a run emits them.
func kindDocs() []struct {
	Kind Kind
	Doc  string
} {
	return []struct {
		Kind Kind
		Doc  string
	}{
		{RunStart, "first line: text is the playbook, hosts are all of them, data has inventory, forks, check, builtin, who (account@machine that ran it)"},
		{PlayStart, "play, hosts"},
		{PlaySkip, "play; text says why no host is in it"},
		{BatchStart, "play, hosts; done is the number of the batch, of total; only with several (serial)"},
		{Connect, "done of total hosts of a batch are connected, seconds"},
		{Unreachable, "host left behind: text, cause, hint"},
		{StepStart, "play, step, step_id, task; handler"},
		{Finding, "a judgement: host (none: about all hosts), status ok, warn or failed, text, hint"},
		{Stages, "in a dry run, before the forecasts of a cluster task: hosts, stages in order, on_failure; the changes of its forecasts name their stage"},
		{Result, "what a step did on a host: status, text, item, changes, stdout, stderr, rc, data, details, cause, hint"},
		{Forecast, "the same in a dry run: status changed means would change, unknown says until which step"},
		{Note, "for people: text; status warn for a warning"},
		{Recap, "one for each host: counts"},
		{RunEnd, "last line: code is the exit code, text its meaning, seconds, data has changes, unknown, interrupted, refused, and forecast (changes, unknown, differences) where the run looked ahead"},
	}
}

// Doc describes the JSON lines of --output json and of the history.
func Doc() string {
	var b strings.Builder
	fmt.Fprintf(&b, `One JSON object a line, in order, UTF-8. v is the version of this form: %d. It
grows when a field changes its meaning or goes; new fields and kinds may come
without that, so a reader passes over what it does not know. Texts from hosts
are data and may hold any character but known secrets, which read %s.

Kinds
`, Version, "***")
	for _, k := range kindDocs() {
		fmt.Fprintf(&b, "  %-12s %s\n", k.Kind, k.Doc)
	}
	b.WriteString("\nFields (left out when empty)\n")
	fields(&b, reflect.TypeFor[Event](), "  ")
	return b.String()
}

func fields(b *strings.Builder, t reflect.Type, in string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		ft, list := f.Type, ""
		if ft.Kind() == reflect.Slice {
			ft, list = ft.Elem(), "list of "
		}
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		fmt.Fprintf(b, "%s%-12s %s%s\n", in, name, list, typeName(ft))
		if ft.Kind() == reflect.Struct && ft.Name() != "Time" {
			fields(b, ft, in+"  ")
		}
	}
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		if t.Name() == "Time" {
			return "time (RFC 3339, UTC)"
		}
		return "object"
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Map:
		return "object of names and values"
	}
	return "text"
}
