package change

import (
	"context"

	"github.com/dayops/dayops/engine/reader"
)

// invert sets again what the unit had of that which u sets, whatever it was
// planned from: a package of the same plan may have brought it since.
func (u *Unit) invert(ctx context.Context, h Host, _ Keeper) ([]Change, error) {
	if u.Name == "" {
		return nil, nil
	}
	name, err := reader.UnitName(u.Name)
	if err != nil {
		return nil, err
	}
	now, err := h.unit(ctx, name)
	if err != nil || !now.Exists() && !u.DaemonReload {
		return nil, err
	}
	o := Overlay{Units: map[string]reader.Unit{u.key(name): now}}
	u.effect(&o)
	after := o.Units[u.key(name)]
	after.Name, after.ID = name, now.ID
	inverse := &Unit{Name: u.Name, Before: after, NoBlock: u.NoBlock}
	set := func(into **bool, was, is bool) {
		if was != is {
			*into = &was
		}
	}
	set(&inverse.Active, now.Up(), after.Active())
	set(&inverse.Masked, now.Masked(), after.Masked())
	if u.Enabled != nil {
		set(&inverse.Enabled, now.Enabled(), after.Enabled())
	}
	if inverse.Active == nil && inverse.Masked == nil && inverse.Enabled == nil {
		return nil, nil
	}
	return []Change{inverse}, nil
}
