package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/vars"
)

var update = flag.Bool("update", false, "write README's generated parts")

// TestReadme: the tables in README are those of the code.
func TestReadme(t *testing.T) {
	const path = "../../../../README.md"
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var codes strings.Builder
	for _, c := range exitCodes() {
		fmt.Fprintf(&codes, "    %3d  %s\n", c.Code, c.Meaning)
	}
	got := string(text)
	for name, want := range map[string]string{
		"precedence": indent(vars.PrecedenceDoc()), "limits": indent(limits()), "exit codes": codes.String(),
	} {
		begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
		before, rest, ok := strings.Cut(got, begin)
		require.True(t, ok, name)
		_, after, ok := strings.Cut(rest, end)
		require.True(t, ok, name)
		got = before + begin + "\n" + want + "\n" + end + after
	}
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	require.Equal(t, string(text), got, "run: go test ./cmd/dayops/internal/cli -run Readme -update")
}

func indent(s string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		b.WriteString("    " + l)
	}
	return b.String()
}
