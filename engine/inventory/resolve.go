package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// EnvVar names the inventory when there is no -i.
const EnvVar = "DAYOPS_INVENTORY"

// NoInventoryError says that nothing names an inventory.
type NoInventoryError struct{ Tried string }

func (e *NoInventoryError) Error() string {
	return fmt.Sprintf("no inventory: give one with -i FILE, -i FOLDER or -i HOST,HOST (this machine: -i localhost,), set %s, or put inventory.yml here (there is no %s)", EnvVar, e.Tried)
}

// Resolve decides which sources to load: those of -i, else those that the
// variable DAYOPS_INVENTORY names with commas between them, else inventory.yml
// in the folder cwd. The error is a *NoInventoryError.
//
// A value of DAYOPS_INVENTORY of which no part exists as a file is a host list,
// as it is with -i.
func Resolve(flag []string, env, cwd string) ([]string, error) {
	if len(flag) > 0 {
		return flag, nil
	}
	if env = strings.TrimSpace(env); env != "" {
		return splitEnv(env), nil
	}
	path := filepath.Join(cwd, "inventory.yml")
	if _, err := os.Stat(path); err != nil {
		return nil, &NoInventoryError{Tried: path}
	}
	return []string{path}, nil
}

func splitEnv(env string) []string {
	var parts []string
	files := false
	for part := range strings.SplitSeq(env, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
			_, err := os.Stat(part)
			files = files || err == nil || strings.ContainsRune(part, '/')
		}
	}
	if !files && strings.Contains(env, ",") {
		return []string{env}
	}
	return parts
}
