package source_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/source"
)

func TestLines(t *testing.T) {
	for _, c := range []struct{ text, inserted, deleted string }{
		{"a\nb\n", "a\nx\ny\nb\n", "b\n"},
		{"a\r\nb", "a\r\nx\r\ny\r\nb", "b"},
		{"a", "a\nx\ny", ""},
		{"a\n", "a\nx\ny\n", ""},
	} {
		l := source.SplitLines(c.text)
		require.Equal(t, c.text, l.String())
		require.Equal(t, c.inserted, l.Insert(1, "x", "y").String())
		require.Equal(t, c.deleted, l.Delete(0, 1).String())
		require.Equal(t, c.text, l.String(), "the lines themselves stay")
	}
	require.Equal(t, "x\n", source.Lines{}.Insert(0, "x").String())
	require.Equal(t, "a\r\nb\r\nx", source.SplitLines("a\r\nb").Insert(2, "x").String())
	require.Equal(t, "a", source.SplitLines("a\nb").Delete(1, 2).String())
}
