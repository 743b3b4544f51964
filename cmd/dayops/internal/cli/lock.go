package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gofrs/flock"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/guard"
)

// inventoryLock keeps a second run on the same inventory from changing
// anything, on this machine and for this account. It ends with the process.
type inventoryLock struct {
	path  string
	name  string
	owner guard.Owner
	lock  *flock.Flock
}

func (a *app) inventoryLock(sources []string, owner guard.Owner) (*inventoryLock, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	key, err := inventoryKey(sources)
	if err != nil {
		return nil, err
	}
	return &inventoryLock{path: filepath.Join(dir, "locks", key), name: strings.Join(sources, ", "), owner: owner}, nil
}

// inventoryKey is one for all ways to name the same files: through links, from
// other folders, in another order.
func inventoryKey(sources []string) (string, error) {
	whole := slices.Clone(sources)
	for i, s := range whole {
		if _, err := os.Stat(s); err != nil {
			continue // a list of hosts
		}
		abs, err := filepath.Abs(s)
		if err == nil {
			whole[i], err = filepath.EvalSymlinks(abs)
		}
		if err != nil {
			return "", err
		}
	}
	slices.Sort(whole)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(whole), "\x00")))
	return hex.EncodeToString(sum[:8]), nil
}

// take is engine.Options.Lock. The file names the owner to those who come later.
func (l *inventoryLock) take() error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	l.lock = flock.New(l.path, flock.SetPermissions(0o600))
	ok, err := l.lock.TryLock()
	if err != nil {
		return err
	}
	if !ok {
		e := &engine.InventoryLockedError{Inventory: l.name}
		if text, err := os.ReadFile(l.path); err == nil {
			_ = json.Unmarshal(text, &e.Owner) // without an owner it is still locked
		}
		return e
	}
	text, err := json.Marshal(l.owner)
	if err != nil {
		return err
	}
	return os.WriteFile(l.path, text, 0o600)
}

func (l *inventoryLock) Close() error {
	if l.lock == nil {
		return nil
	}
	return l.lock.Close()
}
