package etcdmember

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A command is given again as often as it may, and each attempt is fed the password.
func TestRetry(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, fed  string
		fails, ran int
		ok         bool
	}{{"at once", "", 0, 1, true}, {"fed", "s3cret", 2, 3, true}, {"in vain", "", 9, 4, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script := filepath.Join(dir, "try")
			require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nIFS= read -r word; echo \"got $word\" >>"+dir+"/log\n[ $(wc -l <"+dir+"/log) -gt "+strconv.Itoa(c.fails)+" ] || { echo no >&2; exit 1; }\n"), 0o700))
			argv, limit := retry(4*retryEvery, []string{script})
			require.Equal(t, 8*retryEvery+commandLimit, limit)
			argv[5] = "0" // no pause
			cmd := exec.Command(argv[0], argv[1:]...)
			if c.fed != "" {
				cmd.Stdin = strings.NewReader(c.fed + "\n")
			}
			out, err := cmd.CombinedOutput()
			require.Equal(t, c.ok, err == nil, string(out))
			log, err := os.ReadFile(dir + "/log")
			require.NoError(t, err)
			require.Equal(t, strings.Repeat("got "+c.fed+"\n", c.ran), string(log))
			if !c.ok {
				require.Equal(t, "no\n", string(out))
			}
		})
	}
}
