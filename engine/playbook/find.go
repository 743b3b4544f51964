package playbook

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// BuiltinPrefix before a name asks for the playbook inside the binary.
const BuiltinPrefix = "builtin:"

// Source is a playbook that was found and not yet read.
type Source struct {
	File    string // as given, or "builtin:NAME"
	Dir     string // folder that relative files start from: the file's, or the working folder for a built-in one
	Builtin bool
	Asked   bool // it was asked for as builtin:NAME
	Text    []byte
}

// Find looks for name as a file and, if there is none and name is no path,
// among the built-in playbooks; builtin:NAME looks only there. ".yml" may be
// left out for a built-in one. The error is a *source.Mistake.
func Find(name string, builtin fs.FS) (*Source, error) {
	short, asked := strings.CutPrefix(name, BuiltinPrefix)
	if !asked {
		text, err := source.ReadFile(name, strictyaml.MaxBytes)
		if err == nil {
			return &Source{File: name, Dir: filepath.Dir(name), Text: text}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, &source.Mistake{Pos: source.Pos{File: name}, Text: "cannot read this playbook: " + source.Reason(err)}
		}
	}
	names := Builtin(builtin)
	if !strings.ContainsAny(short, `/\`) {
		for _, n := range []string{short, short + ".yml"} {
			if !slices.Contains(names, n) {
				continue
			}
			text, err := fs.ReadFile(builtin, n)
			return &Source{File: BuiltinPrefix + n, Dir: ".", Builtin: true, Asked: asked, Text: text}, err
		}
	}
	m := &source.Mistake{Pos: source.Pos{File: name}, Text: "there is no such playbook"}
	if !asked {
		m.Text = "there is no such file and no such built-in playbook"
		names = append(names, beside(name)...)
	}
	if m.Hint = source.DidYouMean(short, names); m.Hint == "" {
		m.Hint = "dayops playbooks lists the built-in ones"
	}
	return nil, m
}

// Builtin lists the playbooks inside the binary by name.
func Builtin(builtin fs.FS) []string {
	if builtin == nil {
		return nil
	}
	files, _ := fs.Glob(builtin, "*.yml")
	for i := range files {
		files[i] = path.Base(files[i])
	}
	return files
}

func beside(name string) []string {
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(name), "*.y*ml"))
	return files
}

// Load is Load for a found playbook.
func (s *Source) Load() (*Playbook, error) {
	pb, err := Load(s.File, s.Text)
	if pb != nil {
		pb.Dir, pb.Builtin, pb.unasked = s.Dir, s.Builtin, s.Builtin && !s.Asked
	}
	return pb, err
}
