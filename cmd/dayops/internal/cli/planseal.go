package cli

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/journal"
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
			if len(vars.Secrets(map[string]any{"extra": n.Any()})) > 0 || slices.ContainsFunc(n.Keys(), secret.Name) || secret.String(arg) != arg {
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
			return nil, &coded{code: exitStale, err: fmt.Errorf("the plan is stale: the value of %s is another, or the plan was made on another machine; nothing was connected", names),
				hint: "give the value that it was made with, on the machine and account that made it; or make the plan again"}
		default:
			return nil, usage("the plan does not hold it", "give -e %s=... again", names)
		}
	}
	for i := range given {
		if !used[i] {
			return nil, usage("leave it out, or make another plan", "the variables are the plan's to say: -e %s is not a secret that it lacks", extraNames(given[i]))
		}
	}
	return out, nil
}

// extraNames names what a -e sets; its value may be secret.
func extraNames(arg string) string {
	if n, err := vars.ParseExtra([]string{arg}, readFile); err == nil && len(n.Keys()) > 0 {
		return strings.Join(n.Keys(), ", ")
	}
	name, _, _ := strings.Cut(arg, "=")
	return name
}

// again are the -e that a plan must be given once more.
func again(extra []planfile.Extra) string {
	s := ""
	for _, e := range extra {
		if e.HMAC != "" {
			s += " -e " + strings.Join(e.Names, "=... -e ") + "=..."
		}
	}
	return s
}

func setsAny(arg string, names []string) bool {
	n, err := vars.ParseExtra([]string{arg}, readFile)
	return err == nil && slices.ContainsFunc(n.Keys(), func(k string) bool { return slices.Contains(names, k) })
}

// sealer is an HMAC-SHA256 under a key of its own, made of this machine's.
func (a *app) sealer() (func([]byte) string, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	key, err := journal.Key(dir)
	if err != nil {
		return nil, err
	}
	own := sumUnder(key, []byte("dayops saved plan"))
	return func(data []byte) string { return hex.EncodeToString(sumUnder(own, data)) }, nil
}

func sumUnder(key, data []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(data)
	return m.Sum(nil)
}
