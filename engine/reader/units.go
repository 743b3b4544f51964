package reader

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// unitScript asks systemd about the units in $@. Properties come one by one:
// every version understands that, and none translates them.
const unitScript = `[ -d /run/systemd/system ] && command -v systemctl >/dev/null || exit 104
exec systemctl show -p Id -p LoadState -p ActiveState -p SubState -p UnitFileState -p FragmentPath -p NeedDaemonReload -- "$@"`

// enabledScript asks what the files say of the units in $@: where they changed
// since systemd read them, its UnitFileState property is that of the old ones.
const enabledScript = `for u; do printf '%s\n' "$(systemctl is-enabled -- "$u" 2>/dev/null)"; done`

// ErrNoSystemd: the host is not run by systemd.
var ErrNoSystemd = errors.New("the host is not run by systemd")

var unitName = regexp.MustCompile(`^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*$`)

var unitSuffix = regexp.MustCompile(`\.(service|socket|target|timer|mount|automount|swap|path|slice|scope|device)$`)

// UnitName is name with the suffix .service where it has none, or an error
// when systemd could not have such a unit. Globs are refused.
func UnitName(name string) (string, error) {
	if !unitName.MatchString(name) || len(name) > 255 {
		return "", fmt.Errorf("%q is no name of a unit", Printable(name))
	}
	if !unitSuffix.MatchString(name) {
		name += ".service"
	}
	if strings.Contains(name, "@.") {
		return "", fmt.Errorf("%q is a template; name one instance of it", name)
	}
	return name, nil
}

// Units looks at systemd units, in order. A unit that systemd does not know has
// LoadState "not-found". The error is ErrNoSystemd on hosts that have none.
func (r *Reader) Units(ctx context.Context, names ...string) ([]Unit, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if len(names) > maxNames {
		return nil, &TooMuchError{Limit: maxNames, Unit: "units"}
	}
	at := map[string]int{}
	var asked []string
	full := make([]string, len(names))
	for i, n := range names {
		name, err := UnitName(n)
		if err != nil {
			return nil, err
		}
		if _, dup := at[name]; !dup {
			at[name] = len(asked)
			asked = append(asked, name)
		}
		full[i] = name
	}
	answer, res, err := r.ask(ctx, question{script: unitScript, args: asked})
	if err != nil {
		return nil, err
	}
	if res.Code == codeMissing {
		return nil, ErrNoSystemd
	}
	found, err := ParseUnits(string(answer))
	if err == nil && len(found) != len(asked) {
		err = senseless("systemctl show", fmt.Sprintf("%d units of %d", len(found), len(asked)))
	}
	if err != nil {
		if res.Code != 0 {
			return nil, failed("systemctl show", res)
		}
		return nil, err
	}
	if err := r.enabledNow(ctx, found); err != nil {
		return nil, err
	}
	out := make([]Unit, len(names))
	for i, n := range full {
		out[i] = found[at[n]]
		if out[i].Name = n; found[at[n]].Name != n {
			out[i].ID = found[at[n]].Name
		}
	}
	return out, nil
}

// enabledNow puts right what systemd does not know yet: whether units that need
// a daemon-reload start at boot.
func (r *Reader) enabledNow(ctx context.Context, units []Unit) error {
	var stale []*Unit
	var asked []string // not by an alias, of which systemd says only that
	for i := range units {
		if u := &units[i]; u.NeedReload {
			stale, asked = append(stale, u), append(asked, u.Name)
		}
	}
	if stale == nil {
		return nil
	}
	answer, res, err := r.ask(ctx, question{script: enabledScript, args: asked})
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(answer), "\n"), "\n")
	if res.Code != 0 || len(lines) != len(stale) {
		return failed("systemctl is-enabled", res)
	}
	for i, u := range stale {
		u.UnitFileState = strings.TrimPrefix(lines[i], "not-found") // from systemd 253 on; nothing before
	}
	return nil
}

// ParseUnits reads what `systemctl show` prints: one block of Key=value lines
// per unit, blank lines between. Name is the unit's Id, which differs from the
// name asked for when that is an alias.
func ParseUnits(answer string) ([]Unit, error) {
	var units []Unit
	for block := range strings.SplitSeq(strings.Trim(answer, "\n"), "\n\n") {
		var u Unit
		for line := range strings.SplitSeq(strings.Trim(block, "\n"), "\n") {
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				return nil, senseless("systemctl show", line)
			}
			u.set(key, value)
		}
		if u.Name == "" || u.LoadState == "" || u.ActiveState == "" {
			return nil, senseless("systemctl show", block)
		}
		units = append(units, u)
	}
	return units, nil
}

func (u *Unit) set(key, value string) {
	switch key {
	case "Id":
		u.Name = value
	case "LoadState":
		u.LoadState = value
	case "ActiveState":
		u.ActiveState = value
	case "SubState":
		u.SubState = value
	case "UnitFileState":
		u.UnitFileState = value
	case "FragmentPath":
		u.FragmentPath = value
	case "NeedDaemonReload":
		u.NeedReload = value == "yes"
	}
}
