package local_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
)

// BenchmarkGuard measures the CPU time, user and system, that a command and its
// shells take on the host, with and without a guard, in turn, so that both meet
// the same weather. It reports medians of a millisecond's parts a command. The
// aim is 1.5 ms. A change of ours says nothing; what a command of the playbook
// says must be passed on to the byte, which costs one program more. On one
// processor (taskset -c 0) the figures lack what waking another one costs.
func BenchmarkGuard(b *testing.B) {
	const rounds, commands = 15, 20 // 300 of each kind
	c, err := local.New(conn.Target{Name: "here"})
	if err != nil {
		b.Fatal(err)
	}
	dir := filepath.Join(b.TempDir(), "state")
	if err := os.MkdirAll(filepath.Join(dir, "runs", "r"), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "lock"), []byte("token\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	id := 0
	round := func(argv []string, guarded, text bool) float64 {
		before := childTime()
		for range commands {
			cmd := conn.Cmd{Argv: argv, Text: text}
			if guarded {
				id++
				cmd.Guard = &conn.Guard{Dir: dir, Run: "r", ID: fmt.Sprint(id), Token: "token"}
			}
			if _, err := c.Run(b.Context(), cmd); err != nil {
				b.Fatal(err)
			}
		}
		return (childTime() - before) / commands
	}
	for _, kind := range []struct {
		name string
		argv []string
		text bool
	}{
		{"change", []string{"/bin/sh", "-c", ":"}, true}, // one of ours, which says nothing
		{"command", []string{"cat"}, false},
		{"command-that-speaks", []string{"uname"}, false},
	} {
		b.Run(kind.name, func(b *testing.B) {
			for b.Loop() {
				var plain, guarded, more []float64
				for range rounds {
					p, g := round(kind.argv, false, kind.text), round(kind.argv, true, kind.text)
					plain, guarded, more = append(plain, p), append(guarded, g), append(more, g-p)
				}
				b.ReportMetric(median(plain), "plain-ms")
				b.ReportMetric(median(guarded), "guarded-ms")
				b.ReportMetric(median(more), "more-ms")
				b.ReportMetric(median(guarded)/median(plain), "ratio")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// childTime is the CPU time of all processes that have ended below this one, in milliseconds.
func childTime() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}
