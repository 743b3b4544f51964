// Package labtest gives tests of any package real hosts.
//
// Tests that leave the hosts as they found them share the lab that `make test`
// (or `make lab`) has booted:
//
//	l := labtest.Need(t)                    // skips without DAYOPS_LAB; shared with other packages' tests
//	l := labtest.NeedAlone(t)               // the same lab, but nobody else uses it meanwhile
//	l := labtest.Own(t, lab.Options{...})   // a small lab of the test's own, to break (about 3 s)
//
// Options{Masters: 1, Spares: 2, Etcd: "3.6"} is a cluster of one with two hosts to
// grow by; Pods: true has stand-ins for static pods: a script, no kubelet.
//
// EtcdOf(t, l) asks a lab's etcd from here: it fills it, reads all of it back,
// and has a Writer that proves that no acknowledged write is lost:
//
//	e := labtest.EtcdOf(t, l)
//	e.Fill(t, labtest.Content{V3: 10000, V2: 1000, Leases: 5, Auth: labtest.AuthByName})
//	w := e.StartWriter(t)
//	... // what is tried
//	w.MustKeep(t, labtest.LongestPause)
//
// go test runs packages at the same time: a test that freezes, cuts, fills or
// re-keys a host, or compares listings of it, takes NeedAlone or Own.
package labtest

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/lab"
)

// Names of package lab for tests outside of cmd/dayops-lab.
type (
	Lab         = lab.Lab
	Host        = lab.Host
	Options     = lab.Options
	ListOptions = lab.ListOptions
)

// Env names the state folder of the shared lab.
const Env = "DAYOPS_LAB"

const (
	lockLimit = 8 * time.Minute // a package's tests may wait for another's
	bootLimit = 3 * time.Minute // without the base image, which is built first
)

// Excluded is the shared list of what listings leave out.
func Excluded() []string { return lab.Excluded() }

// WithoutUndoExcluded leaves out of a listing what an undo may leave different.
func WithoutUndoExcluded(listing string) string { return lab.WithoutUndoExcluded(listing) }

// Need returns the shared lab until the test ends, while other tests use it too.
func Need(t testing.TB) *Lab {
	t.Helper()
	return need(t, syscall.LOCK_SH)
}

// NeedAlone returns the shared lab and keeps other tests out until the test
// ends; then every host is healed (thawed, joined, drained, its keys restored).
func NeedAlone(t testing.TB) *Lab {
	t.Helper()
	l := need(t, syscall.LOCK_EX)
	t.Cleanup(func() { // runs before the lock is given back
		ctx, cancel := context.WithTimeout(context.Background(), bootLimit)
		defer cancel()
		for _, h := range l.Hosts() {
			if err := h.Heal(ctx); err != nil {
				t.Errorf("heal %s: %v", h.Name, err)
			}
		}
	})
	return l
}

// Asked skips the test where no lab is named, and returns the shared lab's
// folder. Need and NeedAlone begin with it; a slow test with a lab of its own may.
func Asked(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(Env)
	if dir == "" {
		t.Skip("needs the lab: make lab, then " + Env + "=$PWD/.lab go test")
	}
	return dir
}

func need(t testing.TB, how int) *Lab {
	t.Helper()
	l, err := lab.Open(Asked(t))
	if err != nil {
		t.Fatal(err)
	}
	// Whoever waits for the lab alone holds the gate, so that a stream of sharers cannot starve it.
	gate := lock(t, filepath.Join(l.Dir(), ".gate"), syscall.LOCK_EX)
	use := lock(t, filepath.Join(l.Dir(), ".use"), how)
	gate.Close()
	t.Cleanup(func() { use.Close() })
	return l
}

// lock takes a lock that ends with the file or with this process.
func lock(t testing.TB, path string, how int) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(lockLimit); ; time.Sleep(20 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == nil {
			return f
		}
		if err != syscall.EWOULDBLOCK && err != syscall.EINTR || time.Now().After(end) {
			f.Close()
			t.Fatalf("%s: %v (another package's tests hold the lab)", path, err)
		}
	}
}

// Own boots a lab for this test alone and removes it when the test ends, also
// (at the next boot of any lab) when the test process was killed. The default
// shape is one master, which is an etcd member.
func Own(t testing.TB, o Options) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: boots hosts")
	}
	if o.Masters+o.Nodes+o.Etcds == 0 {
		o.Masters = 1
	}
	if o.Dir == "" {
		o.Dir = filepath.Join(t.TempDir(), "lab")
	}
	o.Owned = true
	takeSlot(t)
	ctx, cancel := context.WithTimeout(context.Background(), bootLimit+10*time.Minute)
	defer cancel()
	l, err := lab.Up(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Down(context.Background(), l.Dir()); err != nil {
			t.Errorf("take the lab down: %v", err)
		}
	})
	return l
}
