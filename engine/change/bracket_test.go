package change

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/stretchr/testify/require"
)

func say(dir, script string) *Exec {
	return &Exec{Argv: []string{"/bin/sh", "-c", script, "we ird", "a'b"}, Dir: dir, Env: map[string]string{"WORD": "x y"}}
}

func TestBracket(t *testing.T) {
	for name, tt := range map[string]struct {
		do, then []Change
		want     string
		err      string
	}{
		"good":         {[]Change{say("", "echo do >>log"), say("", `printf '%s|%s\n' "$WORD" "$1" >>log`)}, []Change{say("", "echo then >>log")}, "do\nx y|a'b\nthen\n", ""},
		"do fails":     {[]Change{say("", "echo do >>log; echo why >&2; exit 3"), say("", "echo never >>log")}, []Change{say("", "echo then >>log"), say("", "echo last >>log")}, "do\nthen\nlast\n", "why"},
		"then fails":   {[]Change{say("", "echo do >>log")}, []Change{say("", "echo because >&2; exit 4"), say("", "echo last >>log")}, "do\nlast\n", "because"},
		"both fail":    {[]Change{say("", "echo why >&2; exit 3")}, []Change{say("", "exit 4")}, "", "why"},
		"do is killed": {[]Change{say("", "echo do >>log; kill -9 $PPID")}, []Change{say("", "echo then >>log")}, "do\nthen\n", "was ended"},
		"daemon":       {[]Change{say("", "sleep 3 & echo do >>log")}, []Change{say("", "echo then >>log")}, "do\nthen\n", ""},
		"limit":        {[]Change{&Exec{Argv: []string{"sleep", "60"}, Limit: time.Millisecond}}, []Change{say("", "echo then >>log")}, "then\n", "exit code 124"},
		"nothing":      {nil, []Change{say("", "echo then >>log")}, "then\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, dir := here(t), t.TempDir()
			for _, list := range [][]Change{tt.do, tt.then} {
				for _, c := range list {
					c.(*Exec).Dir = dir
				}
			}
			b := &Bracket{Do: tt.do, Then: tt.then}
			requireWhere(t, h, b, Before)
			out, err := Apply(context.Background(), h, b)
			require.True(t, out.Changed)
			if tt.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.err)
			}
			require.Equal(t, tt.want, read(dir+"/log"))
		})
	}
	_, err := Apply(context.Background(), here(t), &Bracket{Do: []Change{&Wait{}}})
	require.ErrorContains(t, err, "a bracket holds")
}

func read(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}

// Then is done although we gave up on it in the middle of Do.
func TestBracketOutlivesUs(t *testing.T) {
	t.Parallel()
	h, dir := here(t), t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for read(dir+"/log") == "" && t.Context().Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	_, err := Apply(ctx, h, &Bracket{Do: []Change{say(dir, "echo do >>log; sleep 100; echo never >>log")}, Then: []Change{say(dir, "sleep 1; echo then >>log")}})
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool { return read(dir+"/log") == "do\nthen\n" }, 20*time.Second, 20*time.Millisecond)
}

func TestBracketDone(t *testing.T) {
	h, dir := here(t), t.TempDir()
	b := &Bracket{Do: []Change{&Exec{Argv: []string{"touch", filepath.Join(dir, "x")}, Done: &Probe{Path: dir + "/x"}}}}
	requireWhere(t, h, b, Before)
	_, err := Apply(context.Background(), h, b)
	require.NoError(t, err)
	requireWhere(t, h, b, After)
	out, err := Apply(context.Background(), h, b)
	require.NoError(t, err)
	require.False(t, out.Changed)
}

func TestBracketVerbs(t *testing.T) {
	on, off := true, false
	for want, u := range map[string]*Unit{
		"unmask enable start":   {Active: &on, Enabled: &on, Masked: &off},
		"disable stop mask":     {Active: &off, Enabled: &off, Masked: &on, Before: reader.Unit{ActiveState: "inactive"}},
		"daemon-reload restart": {Restart: true, DaemonReload: true},
		"daemon-reload reload":  {Reload: true, DaemonReload: true},
		"stop":                  {Active: &off, Restart: true},
	} {
		require.Equal(t, want, strings.Join(u.every(), " "))
	}
}
