package reader

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// packageScript asks the package database about $@, or about all. Debian hosts
// may have rpm, and Red Hat's dpkg: the database that is in use decides.
const packageScript = `if [ -s /var/lib/dpkg/status ] && command -v dpkg-query >/dev/null; then
  echo dpkg
  dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n' -- "$@"
elif command -v rpm >/dev/null; then
  echo rpm
  [ $# -gt 0 ] || set -- -a
  rpm -q --qf 'ii\t%{NAME}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\t%{ARCH}\n' "$@"
else exit 104
fi
echo "end $?"`

// ErrNoPackages: the host has neither dpkg nor rpm.
var ErrNoPackages = errors.New("the host has neither dpkg nor rpm")

var packageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._:~^-]*$`)

// CheckPackageName refuses what no package is called; globs too.
func CheckPackageName(name string) error {
	if !packageName.MatchString(name) || len(name) > 255 {
		return fmt.Errorf("%q is no name of a package", Printable(name))
	}
	return nil
}

// Packages returns those of names that are installed; no names: all. With rpm
// a name may carry a version (chrony-4.3) and one name may be installed more than once.
func (r *Reader) Packages(ctx context.Context, names ...string) ([]Package, error) {
	if len(names) > maxNames {
		return nil, &TooMuchError{Limit: maxNames, Unit: "packages"}
	}
	for _, n := range names {
		if err := CheckPackageName(n); err != nil {
			return nil, err
		}
	}
	answer, res, err := r.ask(ctx, question{script: packageScript, args: names})
	if err != nil {
		return nil, err
	}
	if res.Code == codeMissing {
		return nil, ErrNoPackages
	}
	if res.Code != 0 {
		return nil, failed("the package database", res)
	}
	found, manager, code, err := parsePackages(string(answer))
	if err != nil {
		return nil, err
	}
	// Both exit with 1 or more for a name that is not installed; a broken
	// database looks the same and says so.
	stderr := res.Stderr.String()
	broken := manager == "dpkg" && code > 1 || strings.Contains(stderr, "error:")
	if broken {
		return nil, &CommandError{What: manager, Code: code, Stderr: lastLines(stderr, 5)}
	}
	return found, nil
}

// parsePackages reads what packageScript prints.
func parsePackages(answer string) (found []Package, manager string, code int, err error) {
	lines := strings.Split(strings.TrimSuffix(answer, "\n"), "\n")
	last := lines[len(lines)-1]
	if _, err := fmt.Sscanf(last, "end %d", &code); err != nil || len(lines) < 2 {
		return nil, "", 0, senseless("the package database", last)
	}
	manager = lines[0]
	if manager != "dpkg" && manager != "rpm" {
		return nil, "", 0, senseless("the package database", manager)
	}
	for _, line := range lines[1 : len(lines)-1] {
		f := strings.Split(line, "\t")
		if len(f) == 1 && manager == "rpm" && strings.HasSuffix(line, " is not installed") {
			continue
		}
		if len(f) != 4 || len(f[0]) < 2 || f[1] == "" {
			return nil, "", 0, senseless("the package database", line)
		}
		// The second letter is the state: installed, or waiting for triggers of others.
		if strings.ContainsRune("iWt", rune(f[0][1])) {
			found = append(found, Package{Name: f[1], Version: f[2], Arch: f[3]})
		}
	}
	return found, manager, code, nil
}
