package inventory

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A source whose host another one names too cannot be edited alone.
func TestSources(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, []byte(text), 0o600))
		return p
	}
	a, b, c := file("a.ini", "[etcd]\nm1\n"), file("b.yml", "etcd: {hosts: {m2: }}\n"), file("c.ini", "[new_etcd]\nm1\n")
	file("group_vars/etcd.yml", "x: 1\n")
	for _, tt := range []struct {
		load []string
		want []Source
	}{
		{[]string{a, b}, []Source{{a, false}, {b, false}}},
		{[]string{a, b, c}, []Source{{a, true}, {b, false}, {c, true}}},
		{[]string{b, b}, []Source{{b, false}}},
		{[]string{a, "m1,"}, []Source{{a, true}}},
		{[]string{"m1,", a}, []Source{{a, true}}},
	} {
		inv, err := Load(tt.load)
		require.NoError(t, err)
		require.Equal(t, tt.want, inv.Sources())
	}
}
