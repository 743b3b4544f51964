package guard

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswer(t *testing.T) {
	a := parseAnswer([]byte("run r1\nuser a b\x1b[1m\nuid 0\nleft -250\nlive 1 77\nlive x\nout 5\n\nlive 2 78\n\nx"))
	require.Equal(t, "live 2 78\n\nx", string(a.rest))
	require.Equal(t, []Process{{ID: "1", PID: 77}}, a.live)
	h := a.holder()
	require.Equal(t, "a b [1m", h.User)
	require.False(t, h.PerUser)
	require.Equal(t, "-2.5s", h.Expires.String())
}

// FuzzAnswer: whatever a host says is read without a panic and within bounds.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"", "state Ended\ncode 3\nout 2\nerr 1\n\nabc", "out -1\nerr 5\n\n", "out 9223372036854775807\nerr 1\n\nx", "live 1 2\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a := parseAnswer(b)
		_ = a.holder()
		r, err := a.record("r", "1")
		if err == nil && len(r.Stdout)+len(r.Stderr) > len(b) {
			t.Fatal("more than was said")
		}
	})
}
