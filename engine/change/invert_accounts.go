package change

import (
	"context"

	"github.com/dayops/dayops/engine/reader"
)

// account puts numbers to the accounts that a change named: inverses name
// theirs by number, and where several of one path are planned at once only the
// numbers can be compared.
func (h Host) account(ctx context.Context, list []Change) error {
	var paths []string
	var at []int
	for i, c := range list {
		if f := standing(c); f != nil && (f.UID < 0 && f.Owner != "" || f.GID < 0 && f.Group != "") {
			paths, at = append(paths, Touches(c)[len(Touches(c))-1]), append(at, i)
		}
	}
	if paths == nil {
		return nil
	}
	files, err := h.read().Stat(ctx, paths...)
	if err != nil {
		return err
	}
	for i, now := range files {
		f := *standing(list[at[i]])
		if f.UID < 0 && f.Owner == now.Owner && now.Exists {
			f.UID = now.UID
		}
		if f.GID < 0 && f.Group == now.Group && now.Exists {
			f.GID = now.GID
		}
		list[at[i]] = withStanding(list[at[i]], f)
	}
	return nil
}

// standing is what an inverse expects at its path; nil where it expects nothing.
func standing(c Change) *reader.File {
	if m, ok := c.(*Move); ok {
		return m.Over
	}
	return planned(c)
}

// withStanding is c with another standing.
func withStanding(c Change, f reader.File) Change {
	n := twin(c)
	if m, ok := n.(*Move); ok {
		m.Over = &f
	} else {
		*planned(n) = f
	}
	return n
}
