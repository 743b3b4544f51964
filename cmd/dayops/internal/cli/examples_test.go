package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExamples: what people are told to copy has no mistakes.
func TestExamples(t *testing.T) {
	const root = "../../../.."
	ca := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(ca, []byte("x"), 0o600))
	books, err := filepath.Glob(root + "/examples/playbooks/*.yml")
	require.NoError(t, err)
	require.NotEmpty(t, books)
	for _, inv := range []string{"ocp3.yml", "ocp3.ini"} {
		for _, book := range append(books, "builtin:backup.yml", "builtin:health.yml", "builtin:ntp.yml", "builtin:entropy.yml", "builtin:etcd-backup.yml", "builtin:etcd-health.yml", "builtin:etcd-restart.yml", "builtin:etcd-defrag.yml", "builtin:etcd-certs.yml", "builtin:ping.yml") {
			var out bytes.Buffer
			code := Main([]string{"validate", book, "-i", root + "/inventories/" + inv, "-e", "ca_file=" + ca}, strings.NewReader(""), &out, &out)
			require.Equal(t, exitDone, code, "%s with %s:\n%s", book, inv, out.String())
		}
	}
}
