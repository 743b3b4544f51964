package lineinfile

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func str(s string) *string { return &s }

// The wanted texts were worked out from Ansible's documentation of lineinfile.
func TestEdit(t *testing.T) {
	const abc = "a\nb\nc\n"
	cases := map[string]struct {
		p    Params
		in   string
		want string
		msg  string
	}{
		"append":                     {Params{Line: str("d")}, abc, "a\nb\nc\nd\n", "line added"},
		"already there":              {Params{Line: str("b")}, abc, abc, ""},
		"already there, no newline":  {Params{Line: str("c")}, "a\nc", "a\nc\n", "line replaced"},
		"append to unterminated":     {Params{Line: str("d")}, "a\nc", "a\nc\nd\n", "line added"},
		"append to nothing":          {Params{Line: str("d")}, "", "d\n", "line added"},
		"replace the last match":     {Params{Regexp: str("^x="), Line: str("x=9")}, "x=1\ny\nx=2\n", "x=1\ny\nx=9\n", "line replaced"},
		"replace the first match":    {Params{Regexp: str("^x="), Line: str("x=9"), FirstMatch: true}, "x=1\ny\nx=2\n", "x=9\ny\nx=2\n", "line replaced"},
		"match is as wanted":         {Params{Regexp: str("^x="), Line: str("x=2")}, "x=1\nx=2\n", "x=1\nx=2\n", ""},
		"no match appends":           {Params{Regexp: str("^z="), Line: str("z=1")}, abc, abc + "z=1\n", "line added"},
		"no match, line elsewhere":   {Params{Regexp: str("^zz"), Line: str("b")}, abc, abc, ""},
		"dollar before line break":   {Params{Regexp: str("b$"), Line: str("B")}, abc, "a\nB\nc\n", "line replaced"},
		"search string":              {Params{SearchString: str("b+"), Line: str("B")}, "b\nb+c\n", "b\nB\n", "line replaced"},
		"bof before":                 {Params{InsertBefore: str("BOF"), Line: str("z")}, abc, "z\n" + abc, "line added"},
		"bof after":                  {Params{InsertAfter: str("BOF"), Line: str("z")}, abc, "z\n" + abc, "line added"},
		"eof":                        {Params{InsertAfter: str("EOF"), Line: str("z")}, abc, abc + "z\n", "line added"},
		"after":                      {Params{InsertAfter: str("^a"), Line: str("z")}, abc, "a\nz\nb\nc\n", "line added"},
		"after the last match":       {Params{InsertAfter: str("^[ab]"), Line: str("z")}, abc, "a\nb\nz\nc\n", "line added"},
		"after the first match":      {Params{InsertAfter: str("^[ab]"), Line: str("z"), FirstMatch: true}, abc, "a\nz\nb\nc\n", "line added"},
		"after the end":              {Params{InsertAfter: str("^c"), Line: str("z")}, "a\nc", "a\nc\nz\n", "line added"},
		"after no match":             {Params{InsertAfter: str("^q"), Line: str("z")}, abc, abc + "z\n", "line added"},
		"before":                     {Params{InsertBefore: str("^c"), Line: str("z")}, abc, "a\nb\nz\nc\n", "line added"},
		"before the first line":      {Params{InsertBefore: str("^a"), Line: str("z")}, abc, "z\n" + abc, "line added"},
		"before no match":            {Params{InsertBefore: str("^q"), Line: str("z")}, abc, abc + "z\n", "line added"},
		"anchor, line there already": {Params{InsertAfter: str("^a"), Line: str("c")}, abc, abc, ""},
		"regexp wins over anchor":    {Params{Regexp: str("^c"), InsertAfter: str("^a"), Line: str("C")}, abc, "a\nb\nC\n", "line replaced"},
		"backrefs":                   {Params{Regexp: str(`^(.*)Xms(\d+)m(.*)$`), Line: str(`\1Xms9m\3`), Backrefs: true}, "-Xms1m -v\n", "-Xms9m -v\n", "line replaced"},
		"backrefs by name":           {Params{Regexp: str(`^(?P<k>\w+)=.*`), Line: str(`\g<k>=\g<1>0`), Backrefs: true}, "ab=1\n", "ab=ab0\n", "line replaced"},
		"backrefs without a match":   {Params{Regexp: str("^q"), Line: str("z"), Backrefs: true}, abc, abc, ""},
		"backrefs, group not taken":  {Params{Regexp: str("^a(x)?"), Line: str(`[\1]`), Backrefs: true}, abc, "[]\nb\nc\n", "line replaced"},
		"no backrefs, as it stands":  {Params{Regexp: str("^a"), Line: str(`\1`)}, abc, "\\1\nb\nc\n", "line replaced"},
		"crlf line counts as there":  {Params{Line: str("b")}, "a\r\nb\r\n", "a\r\nb\n", "line replaced"},
		"absent by line":             {Params{State: "absent", Line: str("b")}, "a\nb\nb\n", "a\n", "2 line(s) removed"},
		"absent by regexp":           {Params{State: "absent", Regexp: str("^[ab]$")}, abc, "c\n", "2 line(s) removed"},
		"absent by search":           {Params{State: "absent", SearchString: str("b")}, abc, "a\nc\n", "1 line(s) removed"},
		"absent, nothing there":      {Params{State: "absent", Regexp: str("q")}, abc, abc, ""},
		"absent prefers regexp":      {Params{State: "absent", Regexp: str("^a"), Line: str("b")}, abc, "b\nc\n", "1 line(s) removed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.p.Path = "/etc/x"
			require.NoError(t, c.p.Validate())
			got, msg, err := c.p.apply([]byte(c.in))
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
			require.Equal(t, c.msg, msg)
			if c.p.Regexp == nil || c.p.State == "absent" {
				again, msg, err := c.p.apply(got)
				require.NoError(t, err)
				require.Equal(t, c.want, string(again), "second run")
				require.Empty(t, msg)
			}
		})
	}
}

func TestEditLeavesItsInputAlone(t *testing.T) {
	in := []byte("a\nb")
	p := Params{Path: "/x", InsertAfter: str("a"), Line: str("z")}
	_, _, err := p.apply(in)
	require.NoError(t, err)
	require.Equal(t, "a\nb", string(in))
}

func TestValidate(t *testing.T) {
	cases := map[string]struct {
		p    Params
		want string
	}{
		"relative":       {Params{Path: "etc/x", Line: str("a")}, "absolute"},
		"no line":        {Params{Path: "/x"}, `needs "line"`},
		"absent nothing": {Params{Path: "/x", State: "absent"}, `needs "line", "regexp"`},
		"both":           {Params{Path: "/x", Line: str("a"), Regexp: str("a"), SearchString: str("a")}, "exclude"},
		"both inserts":   {Params{Path: "/x", Line: str("a"), InsertAfter: str("a"), InsertBefore: str("a")}, "exclude"},
		"lookahead":      {Params{Path: "/x", Line: str("a"), Regexp: str("(?=a)")}, "RE2"},
		"bad anchor":     {Params{Path: "/x", Line: str("a"), InsertAfter: str("(")}, `"insertafter"`},
		"no regexp":      {Params{Path: "/x", Line: str("a"), Backrefs: true}, `needs "regexp"`},
		"no such group":  {Params{Path: "/x", Line: str(`\2`), Regexp: str("(a)"), Backrefs: true}, "names group 2"},
		"no such name":   {Params{Path: "/x", Line: str(`\g<n>`), Regexp: str("(a)"), Backrefs: true}, "names group"},
		"bad escape":     {Params{Path: "/x", Line: str(`\d`), Regexp: str("(a)"), Backrefs: true}, "unknown escape"},
		"last backslash": {Params{Path: "/x", Line: str(`a\`), Regexp: str("(a)"), Backrefs: true}, "backslash"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { require.ErrorContains(t, c.p.Validate(), c.want) })
	}
}

func FuzzEdit(f *testing.F) {
	f.Add("a\nb\n", "b", "^a", `\1`, true, false)
	f.Add("a\r\nb", "", "(x)?", `\g<1>`, false, true)
	f.Fuzz(func(t *testing.T, text, line, re, tmpl string, first, absent bool) {
		for _, p := range []Params{
			{Line: &line, FirstMatch: first, InsertAfter: &re},
			{Line: &line, FirstMatch: first, InsertBefore: &re},
			{Line: &tmpl, Regexp: &re, Backrefs: true},
			{Line: &line, State: map[bool]string{true: "absent", false: "present"}[absent]},
		} {
			p.Path = "/x"
			if p.Validate() != nil {
				continue
			}
			out, msg, err := p.apply([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if msg == "" && string(out) != text {
				t.Fatalf("%q changed to %q without a word", text, out)
			}
		}
	})
}
