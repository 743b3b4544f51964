package ssh

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The quotes of a ProxyCommand belong to the shell that runs it, as with OpenSSH;
// those of a list of files to the one who splits it.
func TestOptionQuotes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`ProxyCommand="/a b/connect"`:          `"/a b/connect"`,
		`ProxyCommand "/a b/connect" %h "%r"`:  `"/a b/connect" %h "%r"`,
		`UserKnownHostsFile="/a b/1" "/a b/2"`: `"/a b/1" "/a b/2"`,
		`IdentityFile="/a b/key"`:              `/a b/key`,
	} {
		o, keep, err := parseOption(text)
		require.NoError(t, err)
		require.True(t, keep)
		require.Equal(t, want, o.value)
	}
}
