package etcd

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRooms(t *testing.T) {
	for out, want := range map[string]Room{
		"Filesystem     Type 1024-blocks    Used Available Capacity Mounted on\n/dev/vda       ext4   263112772 32000000 63000000      34% /\n": {"/", "ext4", 63000000 << 10},
		"Filesystem     Type  1024-blocks Used Available Capacity Mounted on\noverlay fs     overlay   1000  10       990       1% /a b\n":      {"/a b", "overlay", 990 << 10},
		"Filesystem     Type 1024-blocks    Used Available Capacity Mounted on\nhost:/x nfs4 - - 12 - /mnt\n":                                   {"/mnt", "nfs4", 12 << 10},
		"nonsense\n": {Free: -1}, "": {Free: -1},
		"Filesystem     Type 1024-blocks    Used Available Capacity Mounted on\n/dev/vda ext4 10 12 -2 120% /\n":                  {Free: -1},
		"Filesystem     Type 1024-blocks    Used Available Capacity Mounted on\n/dev/vda ext4 1 1 99999999999999999999999 1% /\n": {Free: -1},
	} {
		require.Equal(t, want, parseRoom(out), out)
	}
}

func FuzzRoom(f *testing.F) {
	f.Add("Filesystem     Type 1024-blocks    Used Available Capacity Mounted on\n/dev/vda       ext4   263112772 32000000 63000000      34% /\n")
	f.Fuzz(func(t *testing.T, out string) {
		if r := parseRoom(out); r.Free < -1 {
			t.Fatal(r)
		}
	})
}
