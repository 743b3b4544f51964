package splice

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

var (
	envName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	envPlain = regexp.MustCompile(`^[A-Za-z0-9_./:=,@%+\[\]-]*$`) // means itself to systemd and to a shell, without quotes
)

const envNever = "'\"\\`$!" // systemd and a shell read these differently

// SetVariable gives a variable of an EnvironmentFile a value: in its last
// assignment, which is the one that counts, with the quotes that stand there;
// else below the comment that shows it (#NAME=...), else at the end of the
// text, in the quotes of its last assignment. A shell may read the file too:
// the value means the same to both.
func SetVariable(file, text, name, value string) (string, error) {
	p := place{file, fmt.Sprintf("set %s=%q", name, value)}
	list, err := assignments(p, text, name)
	if err != nil {
		return "", err
	}
	if value != "" {
		if err := word(value); err != nil {
			return "", err
		}
	}
	if strings.ContainsAny(value, envNever) {
		return "", p.byHand(0, fmt.Sprintf("the value of %s has quotes, a backslash, $, ` or !", name))
	}
	own := named(list, name)
	var after string
	if len(own) > 0 {
		last := own[len(own)-1]
		if last.Value == value {
			return text, nil
		}
		after = text[:last.From] + envQuote(value, text[last.From:last.To]) + text[last.To:]
	} else {
		like := ""
		if len(list) > 0 {
			last := list[len(list)-1]
			like = text[last.From:last.To]
		}
		after = addVariable(text, name, name+"="+envQuote(value, like))
	}
	return verifyEnv(p, text, after, name, &value)
}

// RemoveVariable takes every assignment of a variable out of an
// EnvironmentFile, each with its line.
func RemoveVariable(file, text, name string) (string, error) {
	p := place{file, "remove " + name}
	list, err := assignments(p, text, name)
	if err != nil {
		return "", err
	}
	own := named(list, name)
	if len(own) == 0 {
		return text, nil
	}
	lines := source.SplitLines(text)
	for i := len(own) - 1; i >= 0; i-- {
		at := strings.Count(text[:own[i].Start], "\n")
		lines = lines.Delete(at, at+1)
	}
	after := lines.String()
	return verifyEnv(p, text, after, name, nil)
}

// assignments reads a text in which the variable can be edited.
func assignments(p place, text, name string) ([]etcd.Assignment, error) {
	if !envName.MatchString(name) {
		return nil, fmt.Errorf("%q is not the name of a variable", name)
	}
	list, err := etcd.Assignments(text)
	if err != nil {
		return nil, p.byHand(0, err.Error())
	}
	if strings.Contains(strings.ReplaceAll(text, "\r\n", "\n"), "\r") {
		return nil, p.byHand(0, "the file has line breaks other than \\n and \\r\\n")
	}
	for _, a := range list {
		line := strings.Count(text[:a.Start], "\n") + 1
		if a.Name == name && strings.Contains(text[a.Start:a.To], "\n") {
			return nil, p.byHand(line, "the value of "+name+" takes several lines")
		}
	}
	exported := regexp.MustCompile(`(?m)^[ \t]*export[ \t]+` + name + `\b`)
	if at := exported.FindStringIndex(text); at != nil {
		return nil, p.byHand(strings.Count(text[:at[0]], "\n")+1, "a shell's export of "+name+", which systemd passes over")
	}
	return list, nil
}

func named(list []etcd.Assignment, name string) (own []etcd.Assignment) {
	for _, a := range list {
		if a.Name == name {
			own = append(own, a)
		}
	}
	return own
}

// envQuote writes a value in the quotes of another, or in double quotes
// where it needs some.
func envQuote(value, like string) string {
	like = strings.TrimSpace(like)
	for _, q := range []string{`"`, `'`} {
		if strings.HasPrefix(like, q) {
			return q + value + q
		}
	}
	if !envPlain.MatchString(value) {
		return `"` + value + `"`
	}
	return value
}

func addVariable(text, name, line string) string {
	lines := source.SplitLines(text)
	shown := regexp.MustCompile(`^[ \t]*#[ \t]*` + name + `=`)
	at := len(lines)
	for i := range lines {
		if shown.MatchString(lines[i]) && !strings.HasSuffix(lines.Bare(i), `\`) {
			at = i + 1
		}
	}
	return lines.Insert(at, line).String()
}

// verifyEnv gives the new text when it says the same as before but for name.
func verifyEnv(p place, before, after, name string, value *string) (string, error) {
	a, errA := etcd.ParseEnvironmentFile(before)
	b, errB := etcd.ParseEnvironmentFile(after)
	if errA == nil && errB == nil {
		if delete(a, name); value != nil {
			a[name] = *value
		}
		if maps.Equal(a, b) {
			return after, nil
		}
	}
	return "", p.byHand(0, "the edited text would not say what is wanted")
}
