package change

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/reader"
)

func TestOverlaySeesUnitsOfPlannedFiles(t *testing.T) {
	missing := func(name string) reader.Unit {
		return reader.Unit{Name: name, LoadState: "not-found", ActiveState: "inactive", SubState: "dead"}
	}
	there := reader.Unit{Name: "sshd.service", LoadState: "loaded", ActiveState: "active", UnitFileState: "enabled"}
	file := func(text string) OverlayFile {
		return OverlayFile{File: reader.File{Exists: true, Type: reader.Regular}, Content: []byte(text)}
	}
	reload := there
	reload.NeedReload = true
	const dir = "/etc/systemd/system/"
	made := func(name, from, state string) reader.Unit {
		return reader.Unit{Name: name, LoadState: "loaded", ActiveState: "inactive", SubState: "dead", UnitFileState: state, FragmentPath: dir + from}
	}
	for name, c := range map[string]struct {
		path string
		file OverlayFile
		unit reader.Unit
		want reader.Unit
	}{
		"new":            {dir + "a.service", file("[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=x\n"), missing("a.service"), made("a.service", "a.service", "disabled")},
		"static":         {dir + "a.service", file("[Service]\n"), missing("a.service"), made("a.service", "a.service", "static")},
		"instance":       {dir + "a@.timer", file("[Install]\n"), missing("a@b.timer"), made("a@b.timer", "a@.timer", "disabled")},
		"another":        {dir + "b.service", file(""), missing("a.service"), missing("a.service")},
		"another folder": {"/srv/a.service", file(""), missing("a.service"), missing("a.service")},
		"taken away":     {dir + "a.service", OverlayFile{}, missing("a.service"), missing("a.service")},
		"written anew":   {dir + "sshd.service", file("x"), there, reload},
		"drop-in":        {dir + "sshd.service.d/x.conf", file("x"), there, reload},
		"no drop-in":     {dir + "sshd.service.d/x.conf~", file("x"), there, there},
	} {
		r := Over(nil, &Overlay{Files: map[string]OverlayFile{c.path: c.file}})
		got, err := r.withFiles(c.unit)
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
	r := Over(nil, &Overlay{Files: map[string]OverlayFile{dir + "a.service": {Unknown: true, Step: "fetch it"}}})
	_, err := r.withFiles(missing("a.service"))
	var unknown *UnknownError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, "fetch it", unknown.Step)
}
