package change

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
)

// aliased is a host whose etcd.service is etcd2.service too.
type aliased struct{ Looker }

func (aliased) Units(_ context.Context, names ...string) (out []reader.Unit, err error) {
	for _, n := range names {
		n, _ = reader.UnitName(n)
		u := reader.Unit{Name: n, LoadState: "not-found", ActiveState: "inactive", SubState: "dead"}
		switch n {
		case "etcd2.service":
			u.ID = "etcd.service"
			fallthrough
		case "etcd.service":
			u.LoadState, u.ActiveState, u.SubState, u.UnitFileState = "loaded", "active", "running", "enabled"
		}
		out = append(out, u)
	}
	return out, nil
}

func (aliased) Probe(context.Context, ...string) (conn.Result, error) { return conn.Result{}, nil }

// A unit is the same by each of its names, whichever an earlier step and a later
// one call it by.
func TestOverlayKnowsAliases(t *testing.T) {
	const unit, alias = "etcd.service", "etcd2.service"
	off := false
	for _, by := range []string{unit, alias} {
		o := &Overlay{Step: "stop it"}
		over := Over(aliased{}, o)
		before, err := over.Units(t.Context(), by)
		require.NoError(t, err)
		Foresee(o, &Unit{Name: by, Before: before[0], Active: &off, Enabled: &off})
		require.Len(t, o.Units, 1)
		for _, later := range [][]string{{unit}, {alias}, {"x.service", alias, unit}} {
			units, err := over.Units(t.Context(), later...)
			require.NoError(t, err)
			for i, u := range units {
				require.Equal(t, later[i], u.Name)
				require.False(t, u.Active() || u.Enabled(), "%s after %s: %+v", u.Name, by, u)
				require.Equal(t, u.Name != "x.service", u.Exists())
				require.Equal(t, u.Name == alias, u.ID == unit)
			}
		}
		for _, word := range []string{unit, alias, "etcd", "etcd2"} {
			_, err := over.Probe(t.Context(), "systemctl", "is-active", word)
			var unknown *UnknownError
			require.ErrorAs(t, err, &unknown, "%s after %s", word, by)
			require.Equal(t, "stop it", unknown.Step)
		}
		_, err = over.Probe(t.Context(), "systemctl", "is-active", "sshd")
		require.NoError(t, err)

		// What takes it back starts the unit that it has stopped.
		inverse, err := (&Unit{Name: by, Before: before[0], Active: &off}).invert(t.Context(), Host{Reader: aliased{}}, nil)
		require.NoError(t, err)
		require.Len(t, inverse, 1)
		back := inverse[0].(*Unit)
		require.Equal(t, by, back.Name)
		require.True(t, *back.Active)
		require.False(t, back.Before.Active())
		require.Equal(t, before[0].Key(), back.Before.Key())
		o = &Overlay{}
		Foresee(o, &Unit{Name: by, Before: before[0], Active: &off})
		Foresee(o, back)
		units, err := Over(aliased{}, o).Units(t.Context(), unit, alias)
		require.NoError(t, err)
		require.True(t, units[0].Active() && units[1].Active())
	}
}
