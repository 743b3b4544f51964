// Package storetest is the suite that every store.Store passes.
package storetest

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/store"
)

// Subject is one kind of store.
type Subject struct {
	// New makes an empty store.
	New func(t *testing.T) store.Store
	// Open gives the content of a committed set by the location that Commit returned.
	Open func(t *testing.T, location string) fs.FS
}

var at = time.Date(2026, 11, 22, 3, 12, 7, 500, time.FixedZone("", 3600))

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Subject)
	}{
		{"commit", testCommit}, {"invisible", testInvisible}, {"collision", testCollision},
		{"order", testOrder}, {"names", testNames}, {"incomplete", testIncomplete},
		{"scratch", testScratch}, {"hosts", testHosts}, {"open", testOpen},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.test(t, s) })
	}
}

func begin(t *testing.T, st store.Store, host string, at time.Time) store.Set {
	set, err := st.Begin(t.Context(), host, at)
	require.NoError(t, err)
	t.Cleanup(func() { _ = set.Abort() })
	return set
}

func put(t *testing.T, set store.Set, name, text string) {
	w, err := set.Create(name)
	require.NoError(t, err)
	_, err = io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
}

func sets(t *testing.T, st store.Store, host string) []store.Info {
	got, err := st.Sets(t.Context(), host)
	require.NoError(t, err)
	return got
}

func testCommit(t *testing.T, s Subject) {
	st := s.New(t)
	set := begin(t, st, "master-0", at)
	require.Empty(t, set.Abandoned())
	put(t, set, "packages.txt", "bash 5\n")
	put(t, set, "empty", "")
	where, err := set.Commit(store.Manifest{Kind: "test", Host: "master-0", Run: "r1", Partial: true,
		Missed: []store.Missed{{Path: "/x", Why: "y"}}})
	require.NoError(t, err)
	require.NoError(t, set.Abort(), "nothing after Commit")

	m, err := store.VerifyFS(t.Context(), s.Open(t, where))
	require.NoError(t, err)
	require.Equal(t, store.ManifestVersion, m.Version)
	require.Len(t, m.Artefacts, 3)
	sum := sha256.Sum256([]byte("bash 5\n"))
	require.Equal(t, store.Artefact{Name: "packages.txt", Size: 7, SHA256: hex.EncodeToString(sum[:])}, m.Artefacts[0])
	require.Equal(t, store.SumsName, m.Artefacts[2].Name)
	text, err := fs.ReadFile(s.Open(t, where), store.SumsName)
	require.NoError(t, err)
	require.Contains(t, string(text), hex.EncodeToString(sum[:])+"  packages.txt\n")

	got := sets(t, st, "master-0")
	require.Len(t, got, 1)
	require.Equal(t, where, got[0].Path)
	require.Equal(t, "master-0", got[0].Host)
	require.Equal(t, "2026-11-22T02:12:07Z", got[0].At.Format(time.RFC3339))
	require.True(t, got[0].Manifest.Partial)
}

func testInvisible(t *testing.T, s Subject) {
	st := s.New(t)
	require.Empty(t, sets(t, st, "h"), "an empty store")
	set := begin(t, st, "h", at)
	put(t, set, "a", "text")
	require.Empty(t, sets(t, st, "h"), "before Commit")
	require.NoError(t, set.Abort())
	require.NoError(t, set.Abort(), "twice")
	require.Empty(t, sets(t, st, "h"))
	_, err := set.Commit(store.Manifest{})
	require.Error(t, err, "after Abort")
}

func testCollision(t *testing.T, s Subject) {
	st := s.New(t)
	one, two := begin(t, st, "h", at), begin(t, st, "h", at)
	require.Empty(t, two.Abandoned(), "a living set is left alone")
	a, err := two.Commit(store.Manifest{Host: "two"})
	require.NoError(t, err)
	b, err := one.Commit(store.Manifest{Host: "one"})
	require.NoError(t, err)
	require.NotEqual(t, a, b)
	got := sets(t, st, "h")
	require.Len(t, got, 2)
	require.Equal(t, []string{b, a}, []string{got[0].Path, got[1].Path})
}

func testOrder(t *testing.T, s Subject) {
	st := s.New(t)
	for _, d := range []time.Duration{48 * time.Hour, 0, 0, 24 * time.Hour} {
		_, err := begin(t, st, "h", at.Add(d)).Commit(store.Manifest{})
		require.NoError(t, err)
	}
	got := sets(t, st, "h")
	require.Len(t, got, 4)
	for i := 1; i < len(got); i++ {
		require.False(t, got[i].At.Before(got[i-1].At))
	}
}

func testNames(t *testing.T, s Subject) {
	set := begin(t, s.New(t), "h", at)
	for _, bad := range []string{"", ".", "..", ".hidden", "a/b", "../x", "a\nb", "a b", "x\x00", store.SumsName, store.ManifestName} {
		_, err := set.Create(bad)
		require.Error(t, err, "%q", bad)
	}
	put(t, set, "a", "")
	_, err := set.Create("a")
	require.Error(t, err, "twice")
}

func testIncomplete(t *testing.T, s Subject) {
	st := s.New(t)
	set := begin(t, st, "h", at)
	w, err := set.Create("a")
	require.NoError(t, err)
	_, err = set.Commit(store.Manifest{})
	require.Error(t, err, "an artefact is open")
	require.NoError(t, w.Close())
	_, err = set.Commit(store.Manifest{})
	require.NoError(t, err)
}

func testScratch(t *testing.T, s Subject) {
	st := s.New(t)
	set := begin(t, st, "h", at)
	f, free, err := set.Scratch()
	require.NoError(t, err)
	_, err = io.WriteString(f, "hello")
	require.NoError(t, err)
	_, err = f.Seek(1, io.SeekStart)
	require.NoError(t, err)
	got, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "ello", string(got))
	require.NoError(t, free())
	where, err := set.Commit(store.Manifest{})
	require.NoError(t, err)
	m, err := store.VerifyFS(t.Context(), s.Open(t, where))
	require.NoError(t, err)
	require.Len(t, m.Artefacts, 1)
}

func testHosts(t *testing.T, s Subject) {
	st := s.New(t)
	hosts := []string{"node-1.example.com", "..", "../up", "/abs", "a/b", "a%2Fb", "::1", ".hidden", "white space", "日本", "new\nline",
		string(make([]byte, 300))}
	for _, h := range hosts {
		_, err := begin(t, st, h, at).Commit(store.Manifest{Host: h})
		require.NoError(t, err, "%q", h)
	}
	for _, h := range hosts {
		got := sets(t, st, h)
		require.Len(t, got, 1, "%q", h)
		require.Equal(t, h, got[0].Manifest.Host)
	}
	_, err := st.Begin(t.Context(), "", at)
	require.Error(t, err)
}

func testOpen(t *testing.T, s Subject) {
	set := begin(t, s.New(t), "h", at)
	_, _, err := set.Open("a")
	require.Error(t, err, "there is none")
	w, err := set.Create("a")
	require.NoError(t, err)
	_, err = io.WriteString(w, "content")
	require.NoError(t, err)
	_, _, err = set.Open("a")
	require.Error(t, err, "not complete yet")
	require.NoError(t, w.Close())
	r, a, err := set.Open("a")
	require.NoError(t, err)
	sum := sha256.Sum256([]byte("content"))
	require.Equal(t, store.Artefact{Name: "a", Size: 7, SHA256: hex.EncodeToString(sum[:])}, a)
	b := make([]byte, 4)
	_, err = r.ReadAt(b, 3)
	require.NoError(t, err)
	require.Equal(t, "tent", string(b))
	require.NoError(t, r.Close())
	_, err = set.Commit(store.Manifest{Kind: "test"})
	require.NoError(t, err)
	_, _, err = set.Open("a")
	require.Error(t, err, "it is committed")
}
