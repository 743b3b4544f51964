package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
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
	whole := make([]string, len(sources))
	for i, s := range sources {
		whole[i] = s
		if _, err := os.Stat(s); err == nil {
			if whole[i], err = filepath.Abs(s); err != nil {
				return nil, err
			}
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(whole, "\x00")))
	return &inventoryLock{path: filepath.Join(dir, "locks", hex.EncodeToString(sum[:8])), name: strings.Join(sources, ", "), owner: owner}, nil
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
