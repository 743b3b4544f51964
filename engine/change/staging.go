package change

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/reader"
)

// A staging folder is where a plan puts on a host what it brings home: a
// snapshot of a database. Nobody else's data is in it, so it is the one thing
// that is removed for good; its name says whose it is.

const (
	stagingStart = ".dayops-staging-"
	stagingGoes  = "the staging folder is removed, with what is in it"
)

var stagingName = regexp.MustCompile(`^\` + stagingStart + `[0-9]{8}T[0-9]{6}Z(-[0-9]{1,6})?$`)

// StagingName is the last element of a staging folder's path, for a plan made
// at that time; n tells those of one plan on one host apart.
func StagingName(at time.Time, n int) string {
	return fmt.Sprintf("%s%s-%d", stagingStart, at.UTC().Format("20060102T150405Z"), n)
}

// StagingGlob matches staging folders in a folder of a host, those of runs that
// died and were never resumed among them.
const StagingGlob = stagingStart + "[0-9]*"

// IsStaging tells a path with a StagingName.
func IsStaging(p string) bool { return stagingPath(p) == nil }

func stagingPath(p string) error {
	if path.Clean(p) != p || !stagingName.MatchString(path.Base(p)) {
		return fmt.Errorf("%s is no staging folder of ours", reader.Printable(p))
	}
	return nil
}

// ours refuses a staging folder that is another account's: in /var/tmp anybody can
// make one of that name, and lead by symlinks in it what root writes there.
func (d *Dir) ours(ctx context.Context, h Host, now reader.File) error {
	if !d.Staging || !now.Exists {
		return nil
	}
	res, err := h.read().Probe(ctx, "id", "-u")
	if err != nil {
		return err
	}
	if me := strings.TrimSpace(res.Stdout.String()); res.Code != 0 || me != strconv.Itoa(now.UID) {
		return &MovedError{Path: d.Path, What: "owner", Planned: "a folder of our own", Found: "one of " + cmp.Or(reader.Printable(now.Owner), strconv.Itoa(now.UID))}
	}
	return nil
}

func (r *Remove) observeStaging(ctx context.Context, h Host) (Where, error) {
	now, err := h.lstat(ctx, r.Path)
	if err != nil {
		return Neither, err
	}
	return side(!now.Exists, now.Type == reader.Directory), nil
}

const removeStagingScript = `[ -d "$1" ] && [ ! -L "$1" ] || exit 114
rm -rf --one-file-system -- "$1"`

func (r *Remove) applyStaging(ctx context.Context, h Host) (Outcome, error) {
	if err := stagingPath(r.Path); err != nil {
		return Outcome{}, err
	}
	now, err := h.lstat(ctx, r.Path)
	if err != nil || !now.Exists {
		return Outcome{}, err
	}
	res, err := h.scripted(ctx, r.Summary(), removeStagingScript, Attr{}, r.Path)
	if res.Code == codeInTheWay {
		err = &MovedError{Path: r.Path, What: "type", Planned: "a folder", Found: presence(now)}
	}
	return Outcome{Changed: err == nil}, err
}

// Voids tells that by, done after made, took it back: the staging folder went,
// with what was made in it.
func Voids(by, made Change) bool {
	r, ok := by.(*Remove)
	at := stagedAt(made)
	return ok && r.Staging && at != "" && (path.Clean(at) == path.Clean(r.Path) || below(path.Clean(at), path.Clean(r.Path)))
}

// MayReverse tells kinds that differ, one of which can turn the other round.
func MayReverse(by, made string) bool {
	write, remove := (*Write)(nil).Kind(), (*Remove)(nil).Kind()
	return by == write && made == remove || by == remove && made == write
}

// Reverses tells that by, done after made, turned it round: what was stopped was
// started, what was moved is back, what was written was removed or the other way.
func Reverses(by, made Change) bool {
	switch by := by.(type) {
	case *Unit:
		m, ok := made.(*Unit)
		return ok && slices.Equal(Touches(by), Touches(m)) && by.Active != nil && m.Active != nil && *by.Active != *m.Active
	case *Move:
		m, ok := made.(*Move)
		return ok && path.Clean(by.From) == path.Clean(m.To) && path.Clean(by.To) == path.Clean(m.From)
	case *Remove:
		m, ok := made.(*Write)
		return ok && path.Clean(by.Path) == path.Clean(m.Path)
	case *Write:
		m, ok := made.(*Remove)
		return ok && path.Clean(by.Path) == path.Clean(m.Path)
	}
	return false
}

// stagedAt is where made left something.
func stagedAt(made Change) string {
	switch made := made.(type) {
	case *Dir:
		return made.Path
	case *Write:
		return made.Path
	case *Transfer:
		return made.ToFile
	case *Exec:
		if made.Staging && made.Done != nil {
			return made.Done.Path
		}
	}
	return ""
}
