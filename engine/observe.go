package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/reader"
)

// Bounds of what is kept of an observation; what is longer is kept as its sum.
const (
	maxObserved = 32 << 10
	maxSeenText = 256
	maxSeenDeep = 24
)

// observation is a task's state as data: without what may differ between two
// looks at an unchanged host, with long texts and bytes as their sums. Equal
// states give equal JSON.
func observation(state any) json.RawMessage {
	if state == nil {
		return nil
	}
	raw, err := json.Marshal(steady(reflect.ValueOf(state), 0))
	switch {
	case err != nil:
		raw, _ = json.Marshal(fmt.Sprint("not shown: ", err))
	case len(raw) > maxObserved:
		raw, _ = json.Marshal(map[string]any{"sha256": sumOf(raw), "size": len(raw)})
	case string(raw) == "{}" || string(raw) == "null":
		return nil
	}
	return raw
}

func sumOf(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func steady(v reflect.Value, depth int) any {
	if !v.IsValid() || depth > maxSeenDeep {
		return nil
	}
	if v.CanInterface() {
		switch x := v.Interface().(type) {
		case reader.File:
			return seenFile(x)
		case time.Time:
			if x.IsZero() {
				return nil
			}
			return x.UTC().Format(time.RFC3339Nano)
		case time.Duration:
			return x.String()
		case []byte:
			return seenBytes(x)
		case error:
			return x.Error()
		case fmt.Stringer:
			if v.Kind() != reflect.Struct && v.Kind() != reflect.Pointer {
				return x.String()
			}
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return steady(v.Elem(), depth+1)
	case reflect.Struct:
		return steadyStruct(v, depth)
	case reflect.Map:
		m := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			m[fmt.Sprint(it.Key())] = steady(it.Value(), depth+1)
		}
		return m
	case reflect.Slice, reflect.Array:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = steady(v.Index(i), depth+1)
		}
		return out
	case reflect.String:
		if s := v.String(); len(s) > maxSeenText {
			return seenBytes([]byte(s))
		}
		return strings.ToValidUTF8(v.String(), "�")
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return nil
	case reflect.Float32, reflect.Float64:
		return fmt.Sprint(v.Float()) // also what JSON cannot say
	}
	return v.Interface()
}

func steadyStruct(v reflect.Value, depth int) any {
	m := map[string]any{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Tag.Get("plan") == "volatile" || v.Field(i).IsZero() {
			continue
		}
		if x := steady(v.Field(i), depth+1); x != nil {
			m[f.Name] = x
		}
	}
	return m
}

// seenFile leaves out times, inode and the like, which move without a change
// that a plan stands on, and the size of a folder.
func seenFile(f reader.File) any {
	m := map[string]any{"Path": f.Path}
	if !f.Exists {
		m["Exists"] = false
		return m
	}
	m["Exists"] = true
	m["Type"], m["Owner"], m["Group"], m["UID"], m["GID"] = string(f.Type), f.Owner, f.Group, f.UID, f.GID
	if f.Type != reader.Symlink {
		m["Mode"] = reader.Octal(f.Mode)
	}
	if f.Type == reader.Regular {
		m["Size"] = f.Size
	}
	for k, s := range map[string]string{"Target": f.Target, "SHA256": f.SHA256, "Label": f.Label} {
		if s != "" {
			m[k] = s
		}
	}
	return m
}

func seenBytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return map[string]any{"size": len(b), "sha256": sumOf(b)}
}
