package view

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForAll(t *testing.T) {
	hosts := []string{"m0", "m1"}
	require.Equal(t, "dayops trust m0,m1   (shows)", forAll("dayops trust m0   (shows)", hosts))
	require.Equal(t, "dayops ping n,p", forAll("dayops ping n", []string{"n", "p"}), "a host's name within another word is not the host")
	require.Equal(t, "check m0 yourself", forAll("check m0 yourself", hosts))
}
