package waitfor

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/tasks/tasktest"
)

func TestWaitFor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	params := func(s string) string { return strings.ReplaceAll(s, "PORT", port) }
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{
			Name: "port", Params: params("{port: PORT, timeout: 10}"), Changes: "wait",
			After: func(t *testing.T, _ *tasktest.Host, res map[string]any) { require.Equal(t, 1, res["elapsed"]) },
		},
		tasktest.Case{Name: "port by name", Params: params("{host: localhost, port: PORT, timeout: 10}"), Changes: "wait"},
		tasktest.Case{
			Name: "path", Params: "{path: DIR/x, search_regex: 'a\\d', timeout: 10}", Changes: "wait",
			Prepare: func(t *testing.T, h *tasktest.Host) { tasktest.Write(t, h.Dir+"/x", "a1", 0o600) },
		},
		tasktest.Case{Name: "path gone", Params: "{path: DIR/x, state: absent, timeout: 10, sleep: 1}", Changes: "wait"},
	)
}

func TestMistakes(t *testing.T) {
	for params, want := range map[string]string{
		"{timeout: 10}":                              `give "port" or "path"`,
		"{port: 1, path: /x}":                        "exclude",
		"{port: 70000}":                              "no TCP port",
		"{port: 1, host: '$(reboot)'}":               "no address",
		"{port: 1, state: drained}":                  "must be one of",
		"{port: 1, state: stopped, search_regex: a}": "says nothing",
		"{path: /x, search_regex: '('}":              "search_regex",
		"{path: x}":                                  "absolute",
		"{path: /x, timeout: 0}":                     "more than 0",
		"{path: /x, timeout: 5, delay: 10}":          "shorter",
	} {
		t.Run(params, func(t *testing.T) {
			n, err := strictyaml.Parse("f.yml", []byte(params))
			require.NoError(t, err)
			_, err = Define().Decode(n, nil)
			require.ErrorContains(t, err, want)
		})
	}
}
