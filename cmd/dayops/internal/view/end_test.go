package view

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForAll(t *testing.T) {
	hosts := []string{"m0", "m1"}
	require.Equal(t, "dayops trust m0,m1   (shows)", forAll("dayops trust m0   (shows)", hosts))
	require.Equal(t, "check m0 yourself", forAll("check m0 yourself", hosts))
}
