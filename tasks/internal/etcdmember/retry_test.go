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
			argv, limit := Retry(4*retryEvery, nil, "", []string{script})
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

// Each endpoint is tried in its turn, and what has been done already is done.
func TestRetryAnywhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, says, log string
		ok              bool
	}{
		{"one of them", "Error: etcdserver: request timed out", "https://a:1 m 1 2\nhttps://b:2 m 1 2\n", true},
		{"done already", "{\"level\":\"warn\"}\nError: etcdserver: can only promote a learner member", "https://a:1 m 1 2\n", true},
		{"not ready", "Error: etcdserver: can only promote a learner member which is in sync with leader", "https://a:1 m 1 2\nhttps://b:2 m 1 2\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script := filepath.Join(dir, "try")
			require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho \"$2 $3 $4\" >>"+dir+"/log\n[ $2 = https://b:2 ] || { echo '"+c.says+"' >&2; exit 1; }\n"), 0o700))
			argv, _ := Retry(4*retryEvery, []string{"https://a:1", "https://b:2"}, Promoted, []string{script, "--endpoints", Anywhere, "m", "1 2"})
			out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
			require.NoError(t, err, string(out))
			log, err := os.ReadFile(dir + "/log")
			require.NoError(t, err)
			require.Equal(t, c.log, string(log))
		})
	}
}
