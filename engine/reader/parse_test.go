package reader

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const entry = "S\x00/a b\x00f\x00644\x000\x000\x00root\x00root\x005\x008\x001795314787.4586837460\x00-5.5\x0065024\x009977889\x001\x00\x00\x00"

func FuzzParsers(f *testing.F) {
	f.Add(entry + "E\x00")
	f.Add("A\x00/x\x00D\x00/y\x00\\" + strings.Repeat("a", 64) + "  /a\\nb\x00E\x00")
	f.Add("Id=a.service\nLoadState=loaded\nActiveState=active\nNeedDaemonReload=no\n\nId=b\n")
	f.Add("dpkg\nii \tbash\t5.2\tamd64\nend 0\n")
	f.Add("rpm\npackage x is not installed\nii\tchrony\t4.3-1.el9\tx86_64\nend 1\n")
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := parseStat(s); err == nil {
			for p, file := range a.files {
				if file.Exists && file.Path != p {
					t.Fatalf("%q is filed under %q", file.Path, p)
				}
			}
		}
		if files, _, err := parseList(s); err == nil && len(files) > MaxEntries {
			t.Fatal("too many")
		}
		if units, err := ParseUnits(s); err == nil {
			for _, u := range units {
				if u.Name == "" || u.LoadState == "" {
					t.Fatalf("half a unit: %+v", u)
				}
			}
		}
		parsePackages(s)
		if p := Printable(s); strings.ContainsAny(p, "\x1b\n\r\x00") {
			t.Fatalf("%q is not printable", p)
		}
	})
}

func TestParseLies(t *testing.T) {
	_, err := parseStat(entry + "E\x00")
	require.NoError(t, err)
	for _, bad := range []string{
		"", "E", entry, entry + entry[:40], entry + "E\x00E\x00", "X\x00E\x00", "A\x00",
		strings.Replace(entry, "644", "999", 1) + "E\x00",
		strings.Replace(entry, "644", "-1", 1) + "E\x00",
		strings.Replace(entry, "\x00f\x00", "\x00?\x00", 1) + "E\x00",
		strings.Replace(entry, "/a b", "a b", 1) + "E\x00",
		strings.Replace(entry, "9977889", "99778899977889997788999", 1) + "E\x00",
	} {
		_, err := parseStat(bad)
		require.Error(t, err, "%q", bad)
		_, _, err = parseList(bad)
		require.Error(t, err, "%q", bad)
	}
	for _, bad := range []string{"", "Failed to connect", "Id=a\n", "LoadState=loaded\nActiveState=active"} {
		_, err := ParseUnits(bad)
		require.Error(t, err, "%q", bad)
	}
	for _, bad := range []string{"", "end 0", "apt\nend 0", "dpkg\nii\tbash\nend 0", "dpkg\nii\tbash\t5\tamd64"} {
		_, _, _, err := parsePackages(bad)
		require.Error(t, err, "%q", bad)
	}
}

// The output of systemd 219 (CentOS 7): fewer properties, another order.
const systemd219 = `Id=chronyd.service
LoadState=loaded
ActiveState=active
SubState=running
FragmentPath=/usr/lib/systemd/system/chronyd.service
UnitFileState=enabled
NeedDaemonReload=no

Id=nosuch.service
LoadState=not-found
ActiveState=inactive
SubState=dead
NeedDaemonReload=no

Id=ntpd.service
LoadState=masked
ActiveState=inactive
SubState=dead
UnitFileState=bad
FragmentPath=/dev/null
NeedDaemonReload=yes
`

func TestParseUnits(t *testing.T) {
	units, err := ParseUnits(systemd219)
	require.NoError(t, err)
	require.Len(t, units, 3)
	require.True(t, units[0].Active() && units[0].Enabled() && units[0].Exists())
	require.False(t, units[1].Exists())
	require.True(t, units[2].Masked() && units[2].NeedReload)
	require.False(t, units[2].Enabled())
}

func TestParsePackages(t *testing.T) {
	got, manager, code, err := parsePackages("dpkg\nii \tbash\t5.2\tamd64\nrc \told\t1\tall\nhi \theld\t2\tall\niU \thalf\t3\tall\nun \tnone\t\t\nend 1\n")
	require.NoError(t, err)
	require.Equal(t, "dpkg", manager)
	require.Equal(t, 1, code)
	require.Equal(t, []Package{{"bash", "5.2", "amd64"}, {"held", "2", "all"}}, got)
	got, _, _, err = parsePackages("rpm\npackage foo is not installed\nii\tkernel\t3.10.0-1\tx86_64\nii\tkernel\t3.10.0-2\tx86_64\nend 1\n")
	require.NoError(t, err)
	require.Len(t, got, 2)
}
