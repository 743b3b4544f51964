package labtest

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// SmallDisk puts a file system of size bytes at a folder of the host, until the
// test ends. What was in the folder is hidden; a missing folder is made.
func SmallDisk(t testing.TB, h *Host, folder string, size int64) {
	t.Helper()
	do := func(script string) error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_, err := h.Exec(ctx, "sh", "-c", script, "sh", folder, fmt.Sprint(size))
		return err
	}
	if err := do(`mkdir -p "$1" && own=$(stat -c uid=%u,gid=%g,mode=%a "$1") && mount -t tmpfs -o "size=$2,$own" small "$1"`); err != nil {
		t.Fatalf("%s: %v", h.Name, err)
	}
	t.Cleanup(func() {
		if err := do(`umount -l "$1"`); err != nil && h.Running() {
			t.Errorf("%s: %v", h.Name, err)
		}
	})
}
