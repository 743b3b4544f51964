package engine

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// crowd tells how many hosts were inside a step at most, from lines + and -.
func crowd(lines []string) int {
	now, most := 0, 0
	for _, l := range lines {
		if l == "+" {
			now++
			most = max(most, now)
		} else {
			now--
		}
	}
	return most
}

// throttle bounds how many hosts are in a step at once: the task's word, else the play's.
func TestThrottle(t *testing.T) {
	for _, c := range []struct {
		play, step string
		forks      int
		most       int
	}{
		{"", "", 50, 6},
		{"throttle: 2", "", 50, 2},
		{"throttle: 2", "throttle: 3,", 50, 3},
		{"", "throttle: 1,", 50, 1},
		{"", "throttle: 5,", 2, 2},
	} {
		t.Run(c.play+" "+c.step+strconv.Itoa(c.forks), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opt = func(o *Options) { o.Forks = c.forks }
			w.run(hosts(6), `- hosts: all
  gather_facts: no
  `+c.play+`
  tasks:
    - {name: in, `+c.step+` sh: 'echo + >> DIR/log; sleep 0.4; echo - >> DIR/log', notify: h}
  handlers:
    - {name: h, `+c.step+` sh: 'echo + >> DIR/log2; sleep 0.4; echo - >> DIR/log2'}
`)
			require.Equal(t, c.most, crowd(w.lines("log")))
			require.Equal(t, c.most, crowd(w.lines("log2")))
		})
	}
}
