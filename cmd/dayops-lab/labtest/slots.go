package labtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	slotDir   = "/run/dayops-lab-slots"
	slotLimit = 12 * time.Minute // that a test waits for its turn
)

// ownAtOnce is how many labs that tests have for themselves are up at the same
// time on this machine, whatever package or tree they are of. A host that has
// booted uses some seven inotify instances, of which the kernel gives an account
// 128 unless it was told otherwise; one that gets none does not boot.
func ownAtOnce() int {
	text, _ := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && n >= 512 {
		return 3
	}
	return 2
}

// takeSlot waits for room for one more lab; it is given back when the test ends,
// or with this process.
func takeSlot(t testing.TB) {
	t.Helper()
	if err := os.MkdirAll(slotDir, 0o700); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(slotLimit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for i := range ownAtOnce() {
			f, err := os.OpenFile(filepath.Join(slotDir, fmt.Sprint(i)), os.O_CREATE|os.O_RDWR, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				t.Cleanup(func() { f.Close() })
				return
			}
			f.Close()
		}
	}
	t.Fatalf("no room for a lab in %s: %d others are up", slotLimit, ownAtOnce())
}
