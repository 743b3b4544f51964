package splice

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/tasks/internal/etcd"
)

func TestEtcdConf(t *testing.T) {
	text := read(t, "etcd.conf")
	got := text
	var err error
	for _, v := range [][2]string{
		{"ETCD_INITIAL_CLUSTER", "etcd-1=https://10.0.0.1:2380,etcd-2=https://10.0.0.2:2380"},
		{"ETCD_INITIAL_CLUSTER_STATE", "existing"},
		{"ETCD_QUOTA_BACKEND_BYTES", "4294967296"},
		{"ETCD_NEW", "x y"},
	} {
		got, err = SetVariable("etcd.conf", got, v[0], v[1])
		require.NoError(t, err)
	}
	got, err = RemoveVariable("etcd.conf", got, "ETCD_DEBUG")
	require.NoError(t, err)
	golden(t, "etcd.conf.edited", got)
	crlf, err := SetVariable("etcd.conf", strings.ReplaceAll(text, "\n", "\r\n"), "ETCD_INITIAL_CLUSTER_STATE", "existing")
	require.NoError(t, err)
	lf, err := SetVariable("etcd.conf", text, "ETCD_INITIAL_CLUSTER_STATE", "existing")
	require.NoError(t, err)
	require.Equal(t, strings.ReplaceAll(lf, "\n", "\r\n"), crlf)
}

func TestSetVariable(t *testing.T) {
	for _, c := range []struct{ name, text, value, want string }{
		{"plain", "# c\nA=1\nB=2\n", "x", "# c\nA=x\nB=2\n"},
		{"double quotes", "A=\"1\"  \n", "x", "A=\"x\"\n"},
		{"single quotes", "A='1'", "x y", "A='x y'"},
		{"blanks", "  A = 1\n", "x", "  A = x\n"},
		{"the last one counts", "A=1\nB=2\nA='3'\n", "x", "A=1\nB=2\nA='x'\n"},
		{"quotes where needed", "A=1\n", "x;y", "A=\"x;y\"\n"},
		{"the same", "A='1'\n", "1", "A='1'\n"},
		{"empty", "A=1\n", "", "A=\n"},
		{"was empty", "A=\nB=1\n", "x", "A=x\nB=1\n"},
		{"was empty, CRLF", "A=\r\nB=1\r\n", "x", "A=x\r\nB=1\r\n"},
		{"new, at the end", "B=\"1\"\n", "x", "B=\"1\"\nA=\"x\"\n"},
		{"new, no line end", "B=1", "x", "B=1\nA=x"},
		{"new, in an empty file", "", "x", "A=x\n"},
		{"new, below the comment", "#A=1\n# more\nB=1\n", "x", "#A=1\nA=x\n# more\nB=1\n"},
		{"in a comment only", "#A=1\n;A=2\n", "x", "#A=1\nA=x\n;A=2\n"},
		{"a longer name", "AB=1\n", "x", "AB=1\nA=x\n"},
		{"URLs", "A=https://[::1]:2379\n", "https://a:2379,https://[::1]:2379", "A=https://a:2379,https://[::1]:2379\n"},

		{"lines", "A=1\\\n2\n", "x", ""},
		{"quotes over lines", "A=\"1\n2\"\n", "x", ""},
		{"a shell's", "export A=1\n", "x", ""},
		{"for a shell", "A=1\n", "$x", ""},
		{"a quote", "A=1\n", "x\"y", ""},
		{"open end", "B=1\\", "x", ""},
		{"open quote", "B='1\n", "x", ""},
		{"comment in quotes", "B='\n#A=\n'\n", "x", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := SetVariable("f", c.text, "A", c.value)
			if c.want == "" {
				byHand(t, err)
				require.Empty(t, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	_, err := SetVariable("f", "", "A B", "x")
	require.Error(t, err)
	_, err = SetVariable("f", "", "A", "x\ny")
	require.Error(t, err)
	got, err := RemoveVariable("f", "A=1\nB=2\n A='3'", "A")
	require.NoError(t, err)
	require.Equal(t, "B=2", got)
	got, err = RemoveVariable("f", "B=2\n", "A")
	require.NoError(t, err)
	require.Equal(t, "B=2\n", got)
}

// Offsets of assignments lie where the text has name and value.
func FuzzSetVariable(f *testing.F) {
	f.Add(read(f, "etcd.conf"), "x")
	for _, s := range []string{"A='1'\r\nB=\"2\\\n3\"\r\n#A=\n", "A=1\nA=\\\n2\n", "export A=1\n", "\vA=", " A = 1 ; x\nA", "B='\n#A=1\n'"} {
		f.Add(s, "a b")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		before, err := etcd.ParseEnvironmentFile(text)
		if err != nil {
			return
		}
		list, err := etcd.Assignments(text)
		require.NoError(t, err)
		for _, a := range list {
			require.True(t, strings.HasPrefix(text[a.Start:], a.Name))
			require.LessOrEqual(t, a.From, a.To)
		}
		if got, err := SetVariable("f", text, "A", value); err == nil {
			after, err := etcd.ParseEnvironmentFile(got)
			require.NoError(t, err)
			before["A"] = value
			require.Equal(t, before, after)
			again, err := SetVariable("f", got, "A", value)
			require.NoError(t, err)
			require.Equal(t, got, again)
		} else {
			require.Empty(t, got)
		}
		if got, err := RemoveVariable("f", text, "A"); err == nil {
			after, err := etcd.ParseEnvironmentFile(got)
			require.NoError(t, err)
			delete(before, "A")
			require.Equal(t, before, after)
		}
	})
}
