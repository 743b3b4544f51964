package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

const handled = `- hosts: all
  gather_facts: no
  SERIAL
  tasks:
    - {name: quiet, sh: 'true', changed_when: false, notify: never}
    - {name: fails, sh: 'exit 1', ignore_errors: yes, notify: never}
    - {name: second first, sh: 'true', notify: [two, one]}
    - {name: again, sh: 'true', notify: one, loop: [1, 2]}
    - {name: topic, sh: 'true', notify: restart all}
    - {name: late failure, sh: 'exit 1', when: "inventory_hostname == 'h2'"}
    - {name: after, sh: 'echo after-{{ inventory_hostname }} >> DIR/log'}
  handlers:
    - {name: one, sh: 'echo one-{{ inventory_hostname }} >> DIR/log'}
    - {name: two, sh: 'echo two-{{ inventory_hostname }} >> DIR/log', notify: four}
    - {name: three, sh: 'echo three-{{ inventory_hostname }} >> DIR/log', listen: restart all}
    - {name: four, sh: 'echo four-{{ inventory_hostname }} >> DIR/log', notify: one}
    - {name: never, sh: 'echo never >> DIR/log'}
`

// In the order of the play, once for each host, called by changes alone, also
// after a failure; a failed step calls none.
func TestHandlers(t *testing.T) {
	w := newWorld(t)
	w.opt = func(o *Options) { o.Forks = 1 }
	w.run(hosts(2), strings.ReplaceAll(handled, "SERIAL", "serial: 2"))
	require.Equal(t, []string{"after-h1", "one-h1", "one-h2", "two-h1", "two-h2", "three-h1", "three-h2", "four-h1", "four-h2"}, w.lines("log"))
	require.Equal(t, []string{`handler "one" was notified and did not run (a later handler notified it) h1 h2`}, w.texts(event.Note))

	w = newWorld(t)
	w.run(hosts(2), strings.ReplaceAll(handled, "SERIAL", "serial: 1"))
	require.Equal(t, []string{"after-h1", "one-h1", "two-h1", "three-h1", "four-h1", "one-h2", "two-h2", "three-h2", "four-h2"}, w.lines("log"))
}

func TestHandlerRunOnce(t *testing.T) {
	const pb = `- hosts: all
  gather_facts: no
  serial: 2
  tasks:
    - {name: change, sh: 'true', notify: reload}
  handlers:
    - {name: reload, sh: 'echo {{ inventory_hostname }} >> DIR/log', run_once: yes}
`
	w := newWorld(t).run(hosts(4), pb)
	require.Equal(t, []string{"h1", "h3"}, w.lines("log"), "once for each time that it is notified")
}

// After an interrupt the handlers that were notified are named, not dropped.
func TestHandlersAfterInterrupt(t *testing.T) {
	const pb = `- hosts: all
  gather_facts: no
  tasks:
    - {name: change, sh: 'true', notify: restart}
    - {name: last, sh: 'echo {{ inventory_hostname }} >> DIR/log'}
    - {name: not begun, sh: 'echo no >> DIR/log'}
  handlers:
    - {name: restart, sh: 'echo restarted >> DIR/log'}
`
	w := newWorld(t)
	stop := make(chan struct{})
	w.opt = func(o *Options) { o.Stop, o.Forks = stop, 1 }
	w.emit = func(e event.Event) {
		if e.Kind == event.Result && e.Step == "last" {
			close(stop)
		}
	}
	w.run(hosts(3), pb)
	require.Equal(t, []string{"h1"}, w.lines("log"))
	require.Equal(t, []string{"interrupted: not begun on h2 h3",
		`handler "restart" was notified and did not run (interrupted) h1 h2 h3`}, w.texts(event.Note))
	require.True(t, w.rep.Interrupted)
	require.False(t, w.rep.Failed)
}

// A step under way is finished; a loop stops between its items.
func TestInterruptInALoop(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := make(chan struct{})
	w.opt = func(o *Options) { o.Stop = stop }
	started := false
	w.emit = func(e event.Event) {
		if e.Kind == event.StepStart && !started {
			started = true
			go func() {
				for w.lines("log") == nil {
					time.Sleep(5 * time.Millisecond)
				}
				close(stop)
			}()
		}
	}
	w.run("h1\n", play("{name: items, sh: 'echo {{ item }} >> DIR/log; sleep 0.5', loop: [a, b, c]}"))
	require.Equal(t, []string{"a"}, w.lines("log"))
	require.Equal(t, []string{"items h1 changed (a)"}, w.said())
	require.Equal(t, []string{"h1 interrupted: 1 of 3 items of the loop are done"}, w.texts(event.Note))
}

func TestHandlersInADryRun(t *testing.T) {
	const pb = `- hosts: all
  gather_facts: no
  tasks:
    - {name: maybe, sh: 'true', notify: restart}
    - {name: sure, write: {path: DIR/f, content: x}, notify: state}
  handlers:
    - {name: restart, write: {path: DIR/g, content: x}}
    - {name: state, write: {path: DIR/h, content: x}}
`
	w := newWorld(t)
	w.opt = check
	w.run("h1\n", pb)
	require.Equal(t, `unknown until "maybe" has run`, w.result("restart", "h1").Text)
	require.Equal(t, event.Unknown, w.result("state", "h1").Status, "nobody knows what the command leaves")
	require.Equal(t, 4, w.counts("h1").Unknown)
	require.Equal(t, 4, w.rep.Unknown)
	require.NoFileExists(t, w.dir+"/f")
}
