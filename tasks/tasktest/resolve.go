package tasktest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
)

// resolver fills in the parameter types that the engine resolves, relative to
// the host's Local folder. Templates are taken as they stand.
type resolver struct {
	h      *Host
	values map[string]any
	namer  task.LocalNamer
}

func resolve(p any, h *Host, values map[string]any) (any, error) {
	v := reflect.New(reflect.TypeOf(p)).Elem()
	v.Set(reflect.ValueOf(p))
	r := &resolver{h: h, values: values}
	r.namer, _ = p.(task.LocalNamer)
	err := r.walk(v)
	return v.Interface(), err
}

func (r *resolver) walk(v reflect.Value) error {
	switch f := v.Addr().Interface().(type) {
	case *task.LocalFile:
		return r.file(f)
	case *task.TemplateFile:
		return r.template(f)
	case *task.LocalDest:
		return r.dest(f)
	case *task.Expr:
		return r.expr(f)
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
		if !v.IsNil() {
			return r.walk(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := r.walk(v.Index(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *resolver) expr(e *task.Expr) error {
	value, ok := r.values[e.Text]
	if !ok {
		return fmt.Errorf("the case gives no value for %q", e.Text)
	}
	if err, bad := value.(error); bad {
		e.Err = err
	} else {
		e.Value = value
	}
	return nil
}

func (r *resolver) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.h.Local, name)
}

func (r *resolver) file(f *task.LocalFile) error {
	if f.Name == "" {
		return nil
	}
	f.Path = r.path(f.Name)
	info, err := os.Stat(f.Path)
	if err != nil {
		return err
	}
	f.Exists = true
	if !info.IsDir() {
		return fill(f, info)
	}
	f.IsDir, f.Mode = true, info.Mode().Perm()
	return filepath.WalkDir(f.Path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == f.Path {
			return err
		}
		rel, err := filepath.Rel(f.Path, p)
		if err != nil {
			return err
		}
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		e := task.LocalFile{Name: rel, Path: p, Exists: true, IsDir: info.IsDir(), Mode: info.Mode().Perm()}
		if !e.IsDir {
			err = fill(&e, info)
		}
		f.Tree = append(f.Tree, e)
		return err
	})
}

func fill(f *task.LocalFile, info fs.FileInfo) error {
	path := f.Path
	f.Size, f.Mode = info.Size(), info.Mode().Perm()
	f.Open = func() (io.ReadCloser, error) { return os.Open(path) }
	var err error
	f.SHA256, err = sum(path)
	return err
}

func sum(path string) (string, error) {
	b, err := os.ReadFile(path)
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:]), err
}

func (r *resolver) template(f *task.TemplateFile) error {
	f.Path = r.path(f.Name)
	var err error
	f.Content, err = os.ReadFile(f.Path)
	return err
}

func (r *resolver) dest(f *task.LocalDest) error {
	name := f.Name
	if r.namer != nil {
		name = r.namer.LocalName(r.h.Name)
	}
	f.Slash, f.Path = strings.HasSuffix(f.Name, "/"), r.path(name)
	info, err := os.Stat(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Exists, f.IsDir = true, info.IsDir()
	if info.Mode().IsRegular() {
		f.SHA256, err = sum(f.Path)
	}
	return err
}
