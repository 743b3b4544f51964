package splice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/strictyaml"
)

// Option reads the comma list of an option in the command or args of the
// containers of a pod's manifest: of "--etcd-servers=a,b", or of the words
// "--etcd-servers" and "a,b". ok is false when no container has the option.
// An option that is there several times is an error.
func Option(file, text, option string) (list []string, ok bool, err error) {
	o, err := findOption(place{file, "look at " + option}, text, option)
	if err != nil || o == nil {
		return nil, false, err
	}
	return parts(o.value), true, nil
}

// EditOption edits the comma list of an option in a pod's manifest; see Option.
// The list is never left empty.
func EditOption(file, text, option string, edits ...Item) (string, error) {
	p := place{file, fmt.Sprintf("in %s: %s", option, words(edits))}
	if err := check(edits); err != nil {
		return "", err
	}
	o, err := findOption(p, text, option)
	switch {
	case err != nil:
		return "", err
	case o == nil:
		return "", p.byHand(0, "no container has "+option)
	}
	had, err := Commas(o.value)
	if err != nil {
		return "", p.byHand(o.at.Line+1, err.Error())
	}
	value, err := Commas(o.value, edits...)
	switch {
	case err != nil:
		return "", p.byHand(o.at.Line+1, err.Error())
	case value == had:
		return text, nil
	case value == "":
		return "", p.byHand(o.at.Line+1, option+" would be left empty")
	case o.at.Tied || o.at.End < 0:
		return "", p.byHand(o.at.Line+1, option+" is an alias, has an anchor or a tag, or takes several lines")
	}
	y := &yamlEdit{place: p, name: option}
	y.text = text[:o.at.Start] + quoteAs(o.prefix+value, o.at.Style, o.flow) + text[o.at.End:]
	if err := y.verify(text, o.path, []string{o.prefix + value}); err != nil {
		return "", err
	}
	return y.text, nil
}

// option is where the value of an option stands.
type option struct {
	at     *strictyaml.Written // the word
	path   []any
	flow   bool
	prefix string // "--etcd-servers=", or "" where the value is a word of its own
	value  string
}

func findOption(p place, text, name string) (*option, error) {
	y := &yamlEdit{place: p, name: name}
	if !strings.HasPrefix(name, "-") || strings.ContainsAny(name, "= ,") {
		return nil, fmt.Errorf("%q is not an option", name)
	}
	if len(text) > maxText {
		return nil, p.byHand(0, "the file is longer than 1 MiB")
	}
	root, err := strictyaml.ParseWritten(p.file, text)
	if err != nil {
		return nil, y.wrong(err)
	}
	_, spec := root.Get("spec")
	_, containers := spec.Get("containers")
	if containers == nil || containers.Kind != strictyaml.Seq {
		return nil, p.byHand(0, "the manifest has no containers")
	}
	var found []*option
	for i, c := range containers.Items {
		for _, key := range []string{"command", "args"} {
			_, list := c.Get(key)
			got, err := y.inCommand(list, []any{"spec", "containers", i, key})
			if err != nil {
				return nil, err
			}
			found = append(found, got...)
		}
	}
	if len(found) > 1 {
		return nil, p.byHand(found[1].at.Line+1, name+" is there several times")
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0], nil
}

func (y *yamlEdit) inCommand(list *strictyaml.Written, path []any) (found []*option, err error) {
	if list == nil || list.Empty() {
		return nil, nil
	}
	if list.Tied || list.Kind != strictyaml.Seq {
		return nil, y.byHand(list.Line+1, "a command that is not a list, or has an alias, an anchor or a tag")
	}
	for i, it := range list.Items {
		at := append(slices.Clone(path), i)
		prefix := y.name + "="
		switch {
		case strings.HasPrefix(it.Value, prefix):
			found = append(found, &option{it, at, list.Style == '[', prefix, it.Value[len(prefix):]})
		case it.Value == y.name:
			if i+1 == len(list.Items) || strings.HasPrefix(list.Items[i+1].Value, "-") || list.Items[i+1].Kind != strictyaml.Scalar {
				return nil, y.byHand(it.Line+1, y.name+" has no value")
			}
			at[len(at)-1] = i + 1
			next := list.Items[i+1]
			found = append(found, &option{next, at, list.Style == '[', "", next.Value})
		case strings.Contains(it.Value, y.name) && !strings.HasPrefix(it.Value, y.name+"-"):
			return nil, y.byHand(it.Line+1, y.name+" stands inside the text of a shell")
		case it.Tied && it.Kind != strictyaml.Scalar:
			return nil, y.byHand(it.Line+1, "a word of the command is an alias")
		}
	}
	return found, nil
}
