package inventory_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/inventory"
)

// Files made to use up time or memory are refused, or read in good time.
func TestHostileSizes(t *testing.T) {
	var chain, wide, dict, diamond strings.Builder
	for i := range 4_000 {
		fmt.Fprintf(&chain, "[g%d:children]\ng%d\n", i+1, i)
	}
	chain.WriteString("[g0]\nh\n")
	wide.WriteString("[a:children]\n" + strings.Repeat("b\n", 50_000) + "[b]\nh\n")
	dict.WriteString(`h x="{`)
	for i := range 30_000 {
		fmt.Fprintf(&dict, "%d: %d,", i, i)
	}
	dict.WriteString("}\"\n")
	for i := range 60 {
		fmt.Fprintf(&diamond, "[a%d:children]\nb%d\nc%d\n[b%d:children]\na%d\n[c%d:children]\na%d\n", i, i, i, i, i+1, i, i+1)
	}
	diamond.WriteString("[a60]\nh\n")
	for name, c := range map[string]struct{ text, want string }{
		"range":           {"n[1:100001]\n", "this range gives more than 100000 hosts"},
		"product":         {"n[1:999][1:999]\n", "this range gives more than 100000 hosts"},
		"sum":             {"n[1:60000]\nm[1:60000]\n", "the inventory has more than 100000 hosts"},
		"repeated ranges": {strings.Repeat("n[1:100000]\n", 5_000), "more than 2000000 variables"},
		"range with vars": {"n[1:100000]" + strings.Repeat(" a=1 b=1", 1) + strings.Join(manyVars(100), " ") + "\n", "more than 2000000 variables"},
		"line of vars":    {"h " + strings.Join(manyVars(30_000), " ") + "\n", ""},
		"deep groups":     {chain.String(), "groups are nested more than 100 deep"},
		"wide groups":     {wide.String(), ""},
		"dict":            {dict.String(), ""},
		"diamonds":        {diamond.String(), "groups are nested more than 100 deep"},
		"brackets":        {"h x=" + strings.Repeat("[", 1_000_000) + "\n", ""},
		"large":           {strings.Repeat("#\n", 5<<20), "larger than 8 MiB"},
		"long name":       {strings.Repeat("a", 300) + "\n", "at most 253 characters"},
		"many groups":     {manyGroups(5_100), "more than 5000 groups"},
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			inv, err := inventory.Load([]string{write(t, "hosts.ini", c.text)})
			require.Less(t, time.Since(start), time.Minute)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{"h"}, inv.Hosts())
		})
	}
}

func manyVars(n int) []string {
	vars := make([]string, n)
	for i := range vars {
		vars[i] = fmt.Sprintf("v%d=1", i)
	}
	return vars
}

func manyGroups(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[g%d]\n", i)
	}
	return b.String()
}

// The tree of this inventory has 2^49 lines.
func TestGraphIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 49 {
		fmt.Fprintf(&b, "[a%d:children]\nb%d\nc%d\n[b%d:children]\na%d\n[c%d:children]\na%d\n", i, i, i, i, i+1, i, i+1)
	}
	inv := loadText(t, "hosts", b.String()+"[a49]\nh\n")
	require.Less(t, len(inv.Graph("all", false)), 17<<20)
	require.NotEmpty(t, inv.ListJSON())
}
