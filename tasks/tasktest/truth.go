package tasktest

import (
	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
)

// cameTrue compares what the overlay foresaw with what is there now.
func (r *run) cameTrue(o *change.Overlay) {
	for path, want := range o.Files {
		if want.Unknown {
			continue
		}
		got, err := r.h.Reader.Hash(r.ctx, path)
		require.NoError(r.t, err)
		r.sameFile(path, want.File, got[0])
	}
	for name, want := range o.Units {
		got, err := r.h.Reader.Units(r.ctx, name)
		require.NoError(r.t, err)
		require.Equal(r.t, want.Active(), got[0].Active(), "%s runs", name)
		require.Equal(r.t, want.Enabled(), got[0].Enabled(), "%s starts at boot", name)
		require.Equal(r.t, want.Masked(), got[0].Masked(), "%s is masked", name)
	}
	for name, want := range o.Packages {
		got, err := r.h.Reader.Packages(r.ctx, name)
		require.NoError(r.t, err)
		require.Equal(r.t, want != nil, len(got) > 0, "package %s", name)
	}
}

func (r *run) sameFile(path string, want, got reader.File) {
	require.Equal(r.t, want.Exists, got.Exists, "%s is there", path)
	if !want.Exists {
		return
	}
	require.Equal(r.t, want.Type, got.Type, "type of %s", path)
	require.Equal(r.t, want.Target, got.Target, "target of %s", path)
	if want.SHA256 != "" {
		require.Equal(r.t, want.SHA256, got.SHA256, "content of %s", path)
	}
	if want.Type == reader.Symlink {
		return // its mode means nothing
	}
	require.Equal(r.t, reader.Octal(want.Mode), reader.Octal(got.Mode), "mode of %s", path)
	if want.UID >= 0 {
		require.Equal(r.t, want.UID, got.UID, "owner of %s", path)
	}
	if want.GID >= 0 {
		require.Equal(r.t, want.GID, got.GID, "group of %s", path)
	}
}
