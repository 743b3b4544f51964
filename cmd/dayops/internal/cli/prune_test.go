package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseAge(t *testing.T) {
	for s, want := range map[string]time.Duration{"30d": 720 * time.Hour, "2w": 336 * time.Hour, "12h": 12 * time.Hour, "5m": 5 * time.Minute} {
		got, err := parseAge(s)
		require.NoError(t, err, s)
		require.Equal(t, want, got, s)
	}
	for _, s := range []string{"", "d", "0d", "-1d", "30", "1.5d", "1y", "99999999999d", "4000000000d", "30 d"} {
		_, err := parseAge(s)
		require.Error(t, err, s)
	}
}
