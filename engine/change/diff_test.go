package change

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/reader"
)

const pemKey = "-----BEGIN PRIVATE KEY-----\n%[1]s1AAAAAAAAAAAAAAAAAAAAAAA\nsame2AAAAAAAAAAAAAAAAAAAAAAA\nsame3AAAAAAAAAAAAAAAAAAAAAAA\nsame4AAAAAAAAAAAAAAAAAAAAAAA\nsame5AAAAAAAAAAAAAAAAAAAAAAA\n%[1]s6AAAAAAAAAAAAAAAAAAAAAAA\nsame7AAAAAAAAAAAAAAAAAAAAAAA\nsame8AAAAAAAAAAAAAAAAAAAAAAA\nsame9AAAAAAAAAAAAAAAAAAAAAAA\nsameAAAAAAAAAAAAAAAAAAAAAAAA\n-----END PRIVATE KEY-----\n"

func sum256(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func written(was, is string) *Write {
	return &Write{Path: "/f", Before: reader.File{Path: "/f", Exists: true, Type: reader.Regular, Size: int64(len(was)), SHA256: sum256(was)},
		Was: []byte(was), After: Content{Size: int64(len(is)), SHA256: sum256(is), Bytes: []byte(is)}}
}

// What is secret by its line's name is masked on both sides, and in what did not change.
func TestDiffMasks(t *testing.T) {
	w := written("a: 1\r\npassword: hunter2-old\nuser: u\ntoken: hunter2-same", "a: 1\r\npassword: hunter2-new\nuser: u\ntoken: hunter2-same")
	require.Equal(t, "--- before: /f\n+++ after: /f\n@@ -1,4 +1,4 @@\n a: 1\r\n-password: ***\n+password: ***\n user: u\n token: ***\n\\ No newline at end of file\n", w.Diff())
	require.True(t, Secretive(w))
	w = written("a\n", "b\n--- c\n")
	require.Equal(t, "--- before: /f\n+++ after: /f\n@@ -1 +1,2 @@\n-a\n+b\n+--- c\n", w.Diff())
	require.False(t, Secretive(w))
	w = written("", "password: hunter2")
	require.Equal(t, "--- before: /f\n+++ after: /f\n@@ -0,0 +1 @@\n+password: ***\n\\ No newline at end of file\n", w.Diff())
	w = written("password: hunter2\n", "")
	require.Equal(t, "--- before: /f\n+++ after: /f\n@@ -1 +0,0 @@\n-password: ***\n", w.Diff())
}

// The lines around a hunk are not in it: the whole text tells that it is within a key.
func TestDiffMasksKeys(t *testing.T) {
	was, is := fmt.Sprintf(pemKey, "old"), fmt.Sprintf(pemKey, "new")
	for _, w := range []*Write{written(was, is), written(was, ""), written("", is), written("x\n", "x\n"+is), written(was, strings.Replace(was, "old6", "odd6", 1))} {
		d := w.Diff()
		for _, s := range []string{"old", "new", "odd", "same"} {
			require.NotContains(t, d, s)
		}
		require.Contains(t, d, "***")
		require.True(t, Secretive(w))
	}
}

// Whatever two texts are, the diff's lines are theirs in the same order.
func TestDiffMasksTheRightLines(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range r.IntN(40) {
			b.WriteString([]string{"a", "b: c", "password: hunter2", "", "-x", "+y", "@@ -1 +1 @@", "--- z", "\\ no", "  pass=hunter3"}[r.IntN(10)] + "\n")
		}
		return strings.TrimSuffix(b.String(), []string{"", "\n"}[r.IntN(2)])
	}
	for range 2000 {
		was, is := text(), text()
		d := unified("f", was, is)
		require.NotContains(t, d, "hunter")
		mask := strings.NewReplacer("hunter2", "***", "hunter3", "***")
		require.Equal(t, mask.Replace(udiff.Unified("before: f", "after: f", was, is)), d)
	}
}

func TestSummaryMasks(t *testing.T) {
	e := &Exec{Argv: []string{"mysql", "--password=hunter2", "-u", "x"}, Undo: []*Exec{{Argv: []string{"true"}, Purpose: "password: hunter2"}}}
	require.Equal(t, "run mysql --password=*** -u x", e.Summary())
	require.NotContains(t, e.Reversal().Why, "hunter2")
	require.True(t, Secretive(e))
	require.True(t, Secretive(&Bracket{Do: []Change{e}}))
	require.True(t, Secretive(&Exec{Argv: []string{"x"}, Env: map[string]string{"PGPASSWORD": "hunter2"}}))
	require.False(t, Secretive(&Exec{Argv: []string{"x", "--name=y"}}))
}
