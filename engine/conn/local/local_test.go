package local_test

import (
	"os"
	"testing"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/conntest"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/stretchr/testify/require"
)

func TestConformance(t *testing.T) {
	caps := conntest.Caps{Local: true}
	if os.Getuid() == 0 {
		caps.As = "nobody"
	}
	conntest.Run(t, func(t *testing.T) conn.Conn {
		c, err := local.Dialer{}.Dial(t.Context(), conn.Target{Name: "here"})
		require.NoError(t, err)
		return c
	}, caps)
}
