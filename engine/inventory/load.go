package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// Load reads the sources in order; where two set the same variable of the same
// host or group, the later one wins. A source is
//
//   - a YAML or INI file: .yml, .yaml and .json are YAML, .ini and .cfg are INI,
//     any other name is told by its first line;
//   - a folder: its files in the order of their names, without those that
//     Ansible skips (ignored);
//   - a list of hosts with at least one comma: "web1,web2" or "localhost,".
//
// The group_vars and host_vars beside a file, or inside a folder, are read too.
// The error is a source.List of everything wrong in all of them. The Inventory
// then holds what could be read, good enough to look for mistakes in a playbook.
func Load(sources []string) (*Inventory, error) { return LoadOver(sources, nil) }

// LoadOver is Load of files some of which are read as instead gives them: as
// they were when a run began that has changed them itself.
func LoadOver(sources []string, instead func(path string) ([]byte, bool)) (*Inventory, error) {
	b := newBuilder()
	b.instead = instead
	var dirs []string
	for _, s := range sources {
		if dir := b.source(s); dir != "" {
			dirs = append(dirs, dir)
		}
	}
	inv := b.finish()
	if len(inv.hosts) == 0 && b.mistakes.Len() == 0 {
		b.mistakes.Add(&source.Mistake{Pos: source.Pos{File: strings.Join(sources, " ")}, Text: "the inventory has no hosts"})
	}
	// The last of two equal folders counts: Ansible reads them source by source.
	for i, dir := range dirs {
		if !slices.Contains(dirs[i+1:], dir) {
			inv.invFiles = append(inv.invFiles, b.varsDir(dir))
		}
	}
	return inv, b.mistakes.Err()
}

// WithPlaybook gives the inventory with the group_vars and host_vars that
// stand beside a playbook; inv itself is not changed.
func (inv *Inventory) WithPlaybook(dir string) (*Inventory, error) {
	c := *inv
	c.warnings, c.files, c.sources = slices.Clone(inv.warnings), slices.Clone(inv.files), slices.Clone(inv.sources)
	b := &builder{inv: &c, mistakes: &source.Mistakes{}, warned: map[string]bool{}, checked: map[string]bool{}}
	for _, w := range c.warnings {
		b.warned[w.Text] = true
	}
	c.playFiles = append(slices.Clone(inv.playFiles), b.varsDir(dir))
	return &c, b.mistakes.Err()
}

// source reads one source and returns the folder whose group_vars and
// host_vars belong to it.
func (b *builder) source(s string) (dir string) {
	info, err := os.Stat(s)
	switch {
	case err != nil && strings.Contains(s, ","):
		b.hostList(s)
		return ""
	case err != nil:
		m := &source.Mistake{Pos: source.Pos{File: s}, Text: "cannot read this inventory: " + source.Reason(err)}
		if errors.Is(err, fs.ErrNotExist) {
			m.Text = "there is no such inventory"
			m.Hint = fmt.Sprintf("a list of hosts needs a comma: -i %s,", s)
		}
		b.mistakes.Add(m)
		return ""
	case info.IsDir():
		b.folder(s)
		return s
	}
	b.file(s)
	return filepath.Dir(s)
}

// ignored are the names that Ansible passes over in a folder of inventories.
var ignored = regexp.MustCompile(`^\.|^(?:host_vars|group_vars|vars_plugins)$|~$|\.(?:pyc|pyo|swp|bak|rpm|md|txt|rst|orig|ini|cfg|retry)$`)

func (b *builder) folder(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.mistakes.Add(&source.Mistake{Pos: source.Pos{File: dir}, Text: "cannot read this folder: " + source.Reason(err)})
		return
	}
	read := 0
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if ignored.MatchString(e.Name()) {
			if strings.HasSuffix(e.Name(), ".ini") {
				n := &strictyaml.Node{Pos: source.Pos{File: path}}
				b.warn(n, path+" is not read: Ansible skips .ini in a folder", "name the file itself with -i, or take the extension away")
			}
			continue
		}
		read++
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			b.folder(path)
			continue
		}
		b.file(path)
	}
	if read == 0 {
		b.mistakes.Add(&source.Mistake{Pos: source.Pos{File: dir}, Text: "this folder has no inventory in it",
			Hint: "files that end in .ini, .cfg, .txt, .md, .bak, .orig, .retry or ~ are skipped, as in Ansible"})
	}
}

func (b *builder) file(path string) {
	if data, mode, ok := b.readFile(path); ok {
		if !slices.ContainsFunc(b.inv.sources, func(s Source) bool { return s.Path == path }) {
			b.inv.sources = append(b.inv.sources, Source{Path: path})
		}
		b.text(path, data, mode&0o111 != 0 && isProgram(data))
	}
}

func isProgram(data []byte) bool { return bytes.HasPrefix(data, []byte("#!")) }

// text reads what stands in a file.
func (b *builder) text(path string, data []byte, program bool) {
	at := source.Pos{File: path, Line: 1, Col: 1}
	ext := strings.ToLower(filepath.Ext(path))
	switch {
	case program:
		b.mistakes.Add(&source.Mistake{Pos: at, Text: "this is a program: dynamic inventories are not supported yet",
			Hint: "save what it prints: ansible-inventory -i " + path + " --list --yaml > hosts.yml"})
	case ext == ".toml":
		b.mistakes.Add(&source.Mistake{Pos: at, Text: "TOML inventories are not supported", Hint: "write it as YAML or INI"})
	case strings.HasPrefix(string(data), "$ANSIBLE_VAULT;"):
		b.mistakes.Add(vaultFile(at))
	case isYAML(ext, data):
		root, err := strictyaml.Parse(path, data)
		if err != nil {
			b.yamlError(path, ext, data, err)
			return
		}
		b.yaml(path, root)
	default:
		if m := notText(path, data); m != nil {
			b.mistakes.Add(m)
			return
		}
		b.ini(path, data)
	}
}

func vaultFile(at source.Pos) *source.Mistake {
	return &source.Mistake{Pos: at, Text: "files encrypted with ansible-vault cannot be read yet",
		Hint: "decrypt it with: ansible-vault decrypt " + at.File}
}

// readFile reads a regular file of bounded size.
func (b *builder) readFile(path string) ([]byte, fs.FileMode, bool) {
	fail := func(text string) ([]byte, fs.FileMode, bool) {
		b.mistakes.Add(&source.Mistake{Pos: source.Pos{File: path}, Text: text})
		return nil, 0, false
	}
	info, err := os.Stat(path)
	if err != nil {
		return fail("cannot read this file: " + source.Reason(err))
	}
	if !info.Mode().IsRegular() {
		return fail("this is not a regular file")
	}
	data, err := source.ReadFile(path, strictyaml.MaxBytes)
	if err != nil {
		return fail("cannot read this file: " + source.Reason(err))
	}
	if b.instead != nil {
		if was, ok := b.instead(path); ok {
			data = was
		}
	}
	b.inv.files = append(b.inv.files, path)
	return data, info.Mode(), true
}

var (
	yamlStart    = regexp.MustCompile(`^(?:---|%|\{|["']?[^\s=\["']+["']?\s*:(?:\s|$))`)
	sectionStart = regexp.MustCompile(`^\[[^\]\s,]+\]\s*(?:#.*)?$`)
)

// isYAML tells YAML from INI: by the extension, else by the first line that
// is neither empty nor a comment.
func isYAML(ext string, data []byte) bool {
	switch ext {
	case ".yml", ".yaml", ".json":
		return true
	case ".ini", ".cfg":
		return false
	}
	text, _ := firstLine(data)
	return yamlStart.MatchString(text)
}

// firstLine gives the first line that says something, and its number.
func firstLine(data []byte) (text string, no int) {
	for line := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		no++
		if text = strings.TrimSpace(line); text != "" && text[0] != '#' && text[0] != ';' {
			return text, no
		}
	}
	return "", no
}

func (b *builder) yamlError(path, ext string, data []byte, err error) {
	if text, no := firstLine(data); sectionStart.MatchString(text) {
		b.mistakes.Add(&source.Mistake{Pos: source.Pos{File: path, Line: no, Col: 1}, Line: text, Len: len(text),
			Text: "this file is INI, but its name ends in " + ext, Hint: "rename it to " + strings.TrimSuffix(filepath.Base(path), ext) + ".ini"})
		return
	}
	b.mistakes.AddErr(err)
}

// notText finds the first byte that is not UTF-8, or a NUL.
func notText(path string, data []byte) *source.Mistake {
	at := bytes.IndexByte(data, 0)
	text, hint := "a NUL byte: this is not a text file", ""
	for i := 0; i < len(data) && (at < 0 || i < at); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			at, text, hint = i, fmt.Sprintf("byte 0x%02x is not UTF-8", data[i]), "save the file as UTF-8"
		}
		i += size
	}
	if at < 0 {
		return nil
	}
	start := bytes.LastIndexByte(data[:at], '\n') + 1
	line, _, _ := bytes.Cut(data[start:], []byte{'\n'})
	return &source.Mistake{Text: text, Hint: hint, Line: strings.ToValidUTF8(strings.TrimSuffix(string(line), "\r"), "?"),
		Pos: source.Pos{File: path, Line: bytes.Count(data[:start], []byte{'\n'}) + 1, Col: utf8.RuneCount(data[start:at]) + 1}}
}

// hostList reads "web1,web2:2222,[::1]:22".
func (b *builder) hostList(list string) {
	col := 1
	g := b.inv.groups["ungrouped"]
	for part := range strings.SplitSeq(list, ",") {
		name := strings.TrimSpace(part)
		if name != "" {
			at := source.Pos{File: "-i", Line: 1, Col: col + strings.Index(part, name)}
			n := &strictyaml.Node{Kind: strictyaml.Scalar, Pos: at, Line: list, Value: name, Raw: name}
			known := b.inv.hosts[name] != nil
			if !known {
				b.entry(g, name, n, nil, "")
			} else {
				b.share(b.inv.hosts[name].file)
			}
			if h := b.inv.hosts[name]; h != nil && !known && name == "localhost" {
				h.local = true
			}
		}
		col += utf8.RuneCountInString(part) + 1
	}
}

func absPath(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func absDir(path string) string { return filepath.Dir(absPath(path)) }
