// Package localfile gives tasks what they need of the control machine: it finds
// the files, templates and destinations that parameters name, and fills them in.
package localfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// maxTemplate bounds a template file; it is held in memory for each host.
const maxTemplate = 1 << 20

// maxTree bounds a copied folder.
const maxTree = 10_000

// Resolver fills the parameter types that stand for something of the control
// machine: files, templates, destinations, expressions.
type Resolver struct {
	Dir    string // the playbook's folder
	Host   string // whose parameters these are
	Sums   *Sums
	Render func(name string, text []byte) ([]byte, error) // a template, by this host's variables
	Eval   func(*strictyaml.Node) (any, error)            // an expression; its error is kept for Plan

	namer task.LocalNamer
	dests bool // only look again at what is at destinations
}

// Params returns a copy of p with every such field filled in.
func (r *Resolver) Params(p any) (any, error) {
	v := reflect.New(reflect.TypeOf(p)).Elem()
	v.Set(reflect.ValueOf(p))
	r.namer, _ = p.(task.LocalNamer)
	if err := r.walk(v); err != nil {
		return nil, err
	}
	return v.Interface(), nil
}

// Again is p with its destinations looked at once more: a step that wrote one
// is judged by what lies there now.
func (r *Resolver) Again(p any) (any, error) {
	c := *r
	c.dests = true
	return c.Params(p)
}

func (r *Resolver) walk(v reflect.Value) error {
	if d, ok := v.Addr().Interface().(*task.LocalDest); ok {
		return r.localDest(d)
	}
	switch v.Addr().Interface().(type) {
	case *task.LocalFile, *task.TemplateFile, *task.Expr:
		if r.dests {
			return nil
		}
	}
	switch f := v.Addr().Interface().(type) {
	case *task.LocalFile:
		return r.localFile(f)
	case *task.TemplateFile:
		return r.templateFile(f)
	case *task.Expr:
		if f.Node != nil {
			f.Value, f.Err = r.Eval(f.Node)
		}
		return nil
	case *strictyaml.Node:
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				if err := r.walk(v.Field(i)); err != nil {
					return err
				}
			}
		}
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		fresh := reflect.New(v.Type().Elem())
		fresh.Elem().Set(v.Elem())
		v.Set(fresh)
		return r.walk(v.Elem())
	case reflect.Slice:
		fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(fresh, v)
		if !v.IsNil() {
			v.Set(fresh)
		}
		for i := range v.Len() {
			if err := r.walk(v.Index(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Find finds a file of the control machine as Ansible does: in the folder
// sub beside the playbook, then beside the playbook, whose folder is dir. ~/ is
// the home of who runs dayops.
func Find(dir, sub, name string) (string, os.FileInfo, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			name = filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(name) {
		info, err := os.Stat(name)
		return name, info, err
	}
	path := filepath.Join(dir, sub, name)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		path = filepath.Join(dir, name)
		info, err = os.Stat(path)
	}
	return path, info, err
}

func (r *Resolver) localFile(f *task.LocalFile) error {
	if f.Name == "" {
		return nil
	}
	path, info, err := Find(r.Dir, "files", f.Name)
	if err != nil {
		return err
	}
	f.Path, f.Exists = path, true
	if !info.IsDir() {
		return r.fill(f, info)
	}
	f.IsDir, f.Mode = true, info.Mode().Perm()
	return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == path {
			return err
		}
		if len(f.Tree) == maxTree {
			return fmt.Errorf("%s has more than %d entries", path, maxTree)
		}
		rel, err := filepath.Rel(path, p)
		if err != nil {
			return err
		}
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		e := task.LocalFile{Name: rel, Path: p, Exists: true, IsDir: info.IsDir(), Mode: info.Mode().Perm()}
		if !e.IsDir {
			err = r.fill(&e, info)
		}
		f.Tree = append(f.Tree, e)
		return err
	})
}

func (r *Resolver) fill(f *task.LocalFile, info fs.FileInfo) (err error) {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a file nor a folder", f.Path)
	}
	f.Size, f.Mode = info.Size(), info.Mode().Perm()
	path := f.Path
	f.Open = func() (io.ReadCloser, error) { return os.Open(path) }
	f.SHA256, err = r.Sums.sum(path, info)
	r.Sums.use(path, f.SHA256)
	return err
}

func (r *Resolver) templateFile(f *task.TemplateFile) error {
	if f.Name == "" {
		return nil
	}
	path, _, err := Find(r.Dir, "templates", f.Name)
	if err != nil {
		return err
	}
	text, err := source.ReadFile(path, maxTemplate)
	if err != nil {
		return fmt.Errorf("template %s: %s", path, source.Reason(err))
	}
	f.Path = path
	r.Sums.use(path, sumOf(text))
	f.Content, err = r.Render(path, text)
	return err
}

func (r *Resolver) localDest(f *task.LocalDest) error {
	if f.Name == "" {
		return nil
	}
	f.Slash = strings.HasSuffix(f.Name, "/")
	path := f.Name
	if r.namer != nil {
		path = r.namer.LocalName(r.Host)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.Dir, path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	f.Path, f.Exists, f.IsDir, f.SHA256 = path, false, false, ""
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	f.Exists, f.IsDir = true, info.IsDir()
	if info.Mode().IsRegular() {
		f.SHA256, err = r.Sums.sum(path, info)
	}
	return err
}

// Sums remembers the sha256 of files of the control machine, so that a file
// that goes to 200 hosts is read once for its sum. A changed size or time is another file.
type Sums struct {
	mu   sync.Mutex
	sums map[string]func() (string, error)
	used map[string]string
}

// Used gives the sums of all files that parameters read so far, templates as they stand, by path.
func (c *Sums) Used() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.used)
}

func (c *Sums) use(path, sum string) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used == nil {
		c.used = map[string]string{}
	}
	c.used[path] = sum
}

func sumOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// NewSums knows none yet.
func NewSums() *Sums { return &Sums{sums: map[string]func() (string, error){}} }

func (c *Sums) sum(path string, info fs.FileInfo) (string, error) {
	key := fmt.Sprintf("%s\x00%d\x00%d", path, info.Size(), info.ModTime().UnixNano())
	c.mu.Lock()
	f := c.sums[key]
	if f == nil {
		f = sync.OnceValues(func() (string, error) { return sumFile(path) })
		c.sums[key] = f
	}
	c.mu.Unlock()
	return f()
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
