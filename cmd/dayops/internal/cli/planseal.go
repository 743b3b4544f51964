package cli

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/secret"
	"github.com/dayops/dayops/engine/vars"
)

var namedValue = regexp.MustCompile(`(?m)(?:^|[\s{,"'])([A-Za-z_][A-Za-z0-9_]*)["']?\s*[:=]`)

// sumOf sums a file. The sum of one that names secrets would let them be
// guessed, so that one is sealed.
func sumOf(path, what string, data []byte, seal func([]byte) string) planfile.Input {
	in := planfile.Input{Path: path, What: what}
	for _, m := range namedValue.FindAllSubmatch(data, -1) {
		if secret.Name(string(m[1])) {
			in.HMAC = seal(data)
			return in
		}
	}
	h := sha256.Sum256(data)
	in.SHA256 = hex.EncodeToString(h[:])
	return in
}

// sealExtra keeps each -e, a secret one as the names that it sets and its HMAC.
func sealExtra(args []string, seal func([]byte) string) ([]planfile.Extra, error) {
	var out []planfile.Extra
	for _, arg := range args {
		e := planfile.Extra{Arg: arg}
		if !strings.HasPrefix(arg, "@") {
			n, err := vars.ParseExtra([]string{arg}, readFile)
			if err != nil {
				return nil, badFiles(err)
			}
			if len(vars.Secrets(map[string]any{"extra": n.Any()})) > 0 || slices.ContainsFunc(n.Keys(), secret.Name) {
				e = planfile.Extra{Names: n.Keys(), HMAC: seal([]byte(arg))}
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// openExtra gives the -e of a plan back, the secret ones from what was given again.
func openExtra(saved []planfile.Extra, given []string, seal func([]byte) string) ([]string, error) {
	var out []string
	used := map[int]bool{}
	for _, e := range saved {
		if e.HMAC == "" {
			out = append(out, e.Arg)
			continue
		}
		i := slices.IndexFunc(given, func(arg string) bool { return seal([]byte(arg)) == e.HMAC })
		names := strings.Join(e.Names, ", ")
		switch {
		case i >= 0:
			used[i] = true
			out = append(out, given[i])
		case slices.ContainsFunc(given, func(arg string) bool { return setsAny(arg, e.Names) }):
			return nil, &coded{code: exitStale, err: fmt.Errorf("the plan is stale: the value of %s is another; nothing was connected", names), hint: "make the plan again"}
		default:
			return nil, usage("the plan does not hold it", "give -e %s=... again", names)
		}
	}
	for i := range given {
		if !used[i] {
			return nil, usage("make another plan", "a -e that the plan does not have")
		}
	}
	return out, nil
}

func setsAny(arg string, names []string) bool {
	n, err := vars.ParseExtra([]string{arg}, readFile)
	return err == nil && slices.ContainsFunc(n.Keys(), func(k string) bool { return slices.Contains(names, k) })
}

// sealer is an HMAC-SHA256 under this machine's own key, made at first use.
func (a *app) sealer() (func([]byte) string, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "plan.key")
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = newKey(path)
	}
	if err != nil {
		return nil, err
	}
	if len(key) != sha256.Size {
		return nil, fmt.Errorf("%s is damaged; without it saved plans cannot be applied: remove it and make them again", path)
	}
	return func(data []byte) string {
		m := hmac.New(sha256.New, key)
		m.Write(data)
		return hex.EncodeToString(m.Sum(nil))
	}, nil
}

// newKey makes the key, or takes the one that another program made meanwhile.
func newKey(path string) ([]byte, error) {
	key := make([]byte, sha256.Size)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".plan-key-") // 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(key)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}
