package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/change"
)

func TestAgrees(t *testing.T) {
	disruptive := engine.Ask{Need: change.Disruptive, Hosts: []string{"a", "b"}}
	destructive := engine.Ask{Need: change.Destructive, Hosts: []string{"a", "b"}}
	for line, want := range map[string][2]bool{
		"y": {true, false}, "Yes": {true, false}, "": {false, false}, "n": {false, false}, "2": {false, true}, "02": {false, false}, "1": {false, false}, "yes 2": {false, false},
	} {
		require.Equal(t, want, [2]bool{agrees(disruptive, line), agrees(destructive, line)}, "%q", line)
	}
}

// The command to type is this one with the approval; what may be secret is not in it.
func TestRetype(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "site.yml", "-i", "a b"}, "dayops run site.yml -i 'a b' --approve destructive"},
		{[]string{"run", "-y", "site.yml", "--approve", "disruptive"}, "dayops run site.yml --approve destructive"},
		{[]string{"run", "--approve=disruptive", "--yes", "site.yml"}, "dayops run site.yml --approve destructive"},
		{[]string{"run", "x", "-e", "password=p", "-epw=q", "--extra-vars=a=b", "-e", "@vars.yml"}, "dayops run x -e ... -e... --extra-vars=... -e @vars.yml --approve destructive"},
		{[]string{"exec", "all", "--", "reboot", "it's"}, `dayops exec all --approve destructive -- reboot 'it'\''s'`},
	} {
		a := &app{args: c.args}
		require.Equal(t, c.want, a.retype(change.Destructive))
	}
}
