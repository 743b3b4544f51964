package facts

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every key that ansible.go writes must be among Names.
func TestNamesAreAll(t *testing.T) {
	src, err := os.ReadFile("ansible.go")
	require.NoError(t, err)
	for _, re := range []string{`m\["([a-z0-9_]+)"\]`, `set\("([a-z0-9_]+)"`} {
		for _, m := range regexp.MustCompile(re).FindAllStringSubmatch(string(src), -1) {
			require.Contains(t, Names(), m[1])
		}
	}
}
