package vars

import (
	"strings"
	"unicode"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// ExtraFlag is the file name in places inside -e arguments.
const ExtraFlag = "-e"

// ParseExtra reads the values of all -e flags into one Map, later ones winning:
//
//	k=v other="two words"    values are strings, as with Ansible
//	@vars.yml, @vars.json    a file with a map
//	{"k": 1} or [..]         JSON or YAML in braces
//
// read reads a file of the control machine and bounds its size. The error is a source.List.
func ParseExtra(args []string, read func(path string) ([]byte, error)) (*strictyaml.Node, error) {
	out := &strictyaml.Node{Kind: strictyaml.Map, Pos: source.Pos{File: ExtraFlag, Line: 1, Col: 1}}
	var ms source.Mistakes
	for _, arg := range args {
		n := extra(arg, read, &ms)
		if n == nil {
			continue
		}
		for _, p := range n.Pairs {
			if Reserved(p.Key) {
				ms.Add(p.KeyAt.Mistake(`"`+p.Key+`" cannot be set: dayops itself defines it`, "choose another name"))
			}
			setPair(out, p)
		}
	}
	if err := ms.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

func setPair(n *strictyaml.Node, p strictyaml.Pair) {
	for i := range n.Pairs {
		if n.Pairs[i].Key == p.Key {
			n.Pairs[i] = p
			return
		}
	}
	n.Pairs = append(n.Pairs, p)
}

func extra(arg string, read func(string) ([]byte, error), ms *source.Mistakes) *strictyaml.Node {
	trimmed := strings.TrimSpace(arg)
	switch {
	case trimmed == "":
		ms.Add(extraMistake(arg, 0, "an empty -e", "give name=value, @file or {...}"))
		return nil
	case trimmed[0] == '@':
		return extraFile(arg, trimmed[1:], read, ms)
	case trimmed[0] == '{' || trimmed[0] == '[':
		n, err := strictyaml.Parse(ExtraFlag, []byte(arg))
		if err != nil {
			ms.AddErr(err)
			return nil
		}
		return extraMap(n, ms)
	}
	return extraPairs([]rune(arg), ms)
}

func extraMap(n *strictyaml.Node, ms *source.Mistakes) *strictyaml.Node {
	if n.Kind != strictyaml.Map {
		ms.Add(n.Mistake("extra variables must be a map of names to values", `write "name: value" lines, or {"name": "value"}`))
		return nil
	}
	for _, p := range n.Pairs {
		if !validName(p.Key) {
			ms.Add(p.KeyAt.Mistake(`"`+p.Key+`" is not a variable name`, "letters, digits and _ only, not starting with a digit"))
		}
	}
	return n
}

func extraFile(arg, path string, read func(string) ([]byte, error), ms *source.Mistakes) *strictyaml.Node {
	if path == "" {
		ms.Add(extraMistake(arg, 0, "no file after @", "write -e @vars.yml"))
		return nil
	}
	data, err := read(path)
	if err != nil {
		ms.Add(extraMistake(arg, 0, "cannot read the file: "+err.Error(), ""))
		return nil
	}
	n, err := strictyaml.Parse(path, data)
	if err != nil {
		ms.AddErr(err)
		return nil
	}
	if n.Kind == strictyaml.Null {
		return nil
	}
	return extraMap(n, ms)
}

// extraPairs reads words of the form name=value, quoted as in a shell.
func extraPairs(r []rune, ms *source.Mistakes) *strictyaml.Node {
	out := &strictyaml.Node{Kind: strictyaml.Map, Pos: source.Pos{File: ExtraFlag, Line: 1, Col: 1}, Line: string(r)}
	for i := 0; i < len(r); {
		if unicode.IsSpace(r[i]) {
			i++
			continue
		}
		start := i
		for i < len(r) && r[i] != '=' && !unicode.IsSpace(r[i]) {
			i++
		}
		name := string(r[start:i])
		if i >= len(r) || r[i] != '=' {
			ms.Add(extraMistake(string(r), start, `"`+name+`" is not name=value`, `quote a value with spaces: name="two words"; a file is @`+name))
			return nil
		}
		if !validName(name) {
			ms.Add(extraMistake(string(r), start, `"`+name+`" is not a variable name`, "letters, digits and _ only, not starting with a digit"))
			return nil
		}
		valueAt := i + 1
		value, next, ok := shellWord(r, valueAt)
		if !ok {
			ms.Add(extraMistake(string(r), valueAt, "a quote that is not closed", ""))
			return nil
		}
		i = next
		at := func(col int, text string) *strictyaml.Node {
			return &strictyaml.Node{Kind: strictyaml.Scalar, Pos: source.Pos{File: ExtraFlag, Line: 1, Col: col + 1}, Line: string(r), Value: text, Raw: text, Quote: true}
		}
		setPair(out, strictyaml.Pair{Key: name, KeyAt: at(start, name), Value: at(valueAt, value)})
	}
	return out
}

// shellWord reads a word with quotes and backslashes; {{ }} keeps its spaces.
func shellWord(r []rune, i int) (word string, next int, ok bool) {
	var b strings.Builder
	var quote rune
	braces := 0
	for ; i < len(r); i++ {
		c := r[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(r) && (r[i+1] == '"' || r[i+1] == '\\' || quote == 0 && (unicode.IsSpace(r[i+1]) || r[i+1] == '\'')):
			i++
			b.WriteRune(r[i])
		case quote != 0 && c == quote && braces == 0:
			quote = 0
		case quote == 0 && braces == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && braces == 0 && unicode.IsSpace(c):
			return b.String(), i, true
		default:
			switch {
			case c == '{' && i+1 < len(r) && r[i+1] == '{':
				braces++
			case c == '}' && i > 0 && r[i-1] == '}' && braces > 0:
				braces--
			}
			b.WriteRune(c)
		}
	}
	return b.String(), i, quote == 0
}

func extraMistake(arg string, at int, text, hint string) *source.Mistake {
	line, _, _ := strings.Cut(arg, "\n")
	return &source.Mistake{Pos: source.Pos{File: ExtraFlag, Line: 1, Col: at + 1}, Line: line, Len: 1, Text: text, Hint: hint}
}

// validName tells whether a text can be the name of a variable.
func validName(name string) bool {
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return name != ""
}
