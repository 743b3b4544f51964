package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/tasks"
)

const approvalsDoc = `Every change has a risk, and a plan shows it:

  safe         nothing that runs is disturbed, nothing is lost; it just runs
  disruptive   something that others rely on stops for a while: restart or stop of
               etcd, a container runtime, kubelet, the control plane, sshd, network,
               firewall, dns, haproxy; a reboot
  destructive  data goes away

What may do more than safe changes is forecast as a whole first; what needs approval
and has none is refused before anything is done on any host (exit code 6).

                        disruptive   destructive
  -y, --yes             yes          no
  --approve disruptive  yes          no
  --approve destructive yes          yes
  at a terminal         answer yes   type the number of hosts
  approve: disruptive   yes          no        (in the playbook, at a play or a task)

-y is not enough to lose data, and a playbook cannot approve that for itself: a cron
job never holds the right to wipe. A step that is reached and wants more than was
approved stops and asks, or fails. The preconditions of all steps that lose data are
checked on all hosts before the first of them begins anywhere. --check and plan need
no approval. What dayops aside --purge removes is lost too: it needs the same.

Disruptive changes reach one host of an inventory group at a time (hosts that share
any group but all and ungrouped go one after the other; a failure keeps the step from
the others of the group), unless the playbook says how many go at once:

  serial: 3      at a play: batches of 3 go through all of its tasks
  throttle: 3    at a play or a task: 3 hosts are in the step at once

A gate is code that may refuse a change above safe, with its reason and arithmetic. It
is asked before each such change, one at a time in the whole run; a dry run shows what
it would refuse as a finding, and exit code 6 says that something was.

The etcd quorum gate weighs every change of every task, command, handler and undo that
stops, restarts, reboots or removes a host with an etcd member, over all members of the
live cluster, in the inventory or not, limited or not:

  3 voters, 2 healthy; stopping etcd-2 leaves 1, 2 are needed

  a stop                 must leave a majority of the voters healthy
  a restart, a reboot    the same with 3 or more voters, until the member is healthy
                         again; the next host waits for that
  of the only member     a restart is agreed to with a warning; a stop is refused
  of one of two          is refused: two cannot do without one
  of one that is down,   is always agreed to
  or a learner
  quorum lost already    a restart is agreed to with a warning; a stop is refused
  members added, removed only with the quorum, and so that it stays
  its data taken away    while it runs, is refused whatever the votes: stop it first
  cluster unreadable     refused

The data are the folder "member" of etcd's data, the folder of its WAL, what is above
them or within, removed, moved or replaced by any task, or by rm, mv and unlink in a
command; also where the change is safe and needs no approval. A path with "etcd" in it
is looked at on every host, others on the hosts of the groups etcd, masters and new_etcd.
Who does not run has no data to lose.

  --lose-quorum HOST     changes on this host are meant all the same; only on the
                         command line, and not kept for a resume

Of commands it sees no more than literal words (dayops doc command): a script that stops
etcd is not recognised, nor is a package manager started by a command. What a command
leaves in the background or to a timer (&, systemd-run) is waited for until the member
was seen to go, for at most 3 minutes; a kubelet that is given another manifest, or none,
and a host that is told to go down, 90 seconds. Who has not gone by then counts as one
that may go at any time, for the rest of the run. Two runs from different control machines do not see one another's claims.
`

// approved is the highest risk that the command line approves.
func (f *flags) approved() (change.Risk, error) {
	risk := change.Safe
	switch f.approve {
	case "":
	case change.Disruptive.String():
		risk = change.Disruptive
	case change.Destructive.String():
		risk = change.Destructive
	default:
		return 0, usage("disruptive or destructive", "--approve=%s is not known", f.approve)
	}
	if f.yes {
		risk = max(risk, change.Disruptive)
	}
	return risk, nil
}

// gates are those of this command line.
func (f *flags) gates(inv *inventory.Inventory) ([]engine.Gate, error) {
	for _, h := range f.loseQuorum {
		if !inv.Has(h) {
			return nil, usage(source.DidYouMean(h, inv.Hosts()), "--lose-quorum=%s: there is no such host in the inventory", h)
		}
	}
	return tasks.Gates(f.loseQuorum), nil
}

// approver asks at the terminal; nil when there is none to ask at.
func (a *app) approver(f *flags, stop <-chan struct{}) func(context.Context, engine.Ask) bool {
	in, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || f.output == "json" {
		return nil
	}
	lines := bufio.NewReader(in)
	return func(ctx context.Context, ask engine.Ask) bool {
		a.showAsk(ask)
		answer := make(chan string, 1)
		// A terminal cannot be told to stop waiting for a line: after an interrupt
		// this reader ends with the program.
		go func() {
			line, err := lines.ReadString('\n')
			if err != nil {
				line = ""
			}
			answer <- strings.TrimSpace(line)
		}()
		select {
		case line := <-answer:
			return agrees(ask, line)
		case <-stop:
		case <-ctx.Done():
		}
		return false
	}
}

// agrees tells whether an answer approves: yes to what disturbs, the number of
// hosts to what loses data.
func agrees(ask engine.Ask, line string) bool {
	if ask.Need >= change.Destructive {
		return line == strconv.Itoa(len(ask.Hosts))
	}
	line = strings.ToLower(line)
	return line == "y" || line == "yes"
}

// maxAsked bounds how many changes of a step the question shows.
const maxAsked = 10

func (a *app) showAsk(ask engine.Ask) {
	say(a.err, "\n")
	if ask.Late {
		say(a.err, "This was not foreseen; the run waits.\n")
	}
	for _, s := range ask.Steps {
		say(a.err, "%s  %s\n", strings.ToUpper(s.Risk.String()), view.Line(s.Step))
		say(a.err, "  %s: %s\n", count(len(s.Hosts), "host"), view.Line(strings.Join(s.Hosts, ", ")))
		for i, c := range s.Changes {
			if i == maxAsked {
				say(a.err, "    and %d more\n", len(s.Changes)-i)
				break
			}
			say(a.err, "    %s\n", view.Line(c))
		}
		if s.Why != "" {
			say(a.err, "    %s\n", view.Line(s.Why))
		}
	}
	if ask.Need >= change.Destructive {
		fmt.Fprintf(a.err, "Data will be lost. Type the number of hosts (%d) to go on, anything else to stop: ", len(ask.Hosts))
		return
	}
	fmt.Fprint(a.err, "Go on? [y/N] ")
}

// retype gives the same command line with the approval in it. Values of -e are
// left out: they may be secret, and this is written down.
func (a *app) retype(need change.Risk) string {
	words := []string{"dayops"}
	hide := false
	for i, w := range a.args {
		flag, value, joined := strings.Cut(w, "=")
		switch {
		case w == "--":
			return strings.Join(append(append(words, "--approve", need.String()), quoteWords(a.args[i:])...), " ")
		case hide && !strings.HasPrefix(w, "@"):
			w = "..."
		case joined && flag == "--extra-vars" && !strings.HasPrefix(value, "@"):
			w = flag + "=..."
		case strings.HasPrefix(w, "-e") && len(w) > 2 && !strings.HasPrefix(w, "-e@"):
			w = "-e..."
		case w == "-y", w == "--yes", strings.HasPrefix(w, "--approve="):
			continue
		case w == "--approve", i > 0 && a.args[i-1] == "--approve":
			continue
		default:
			w = quoteWords([]string{w})[0]
		}
		hide = a.args[i] == "-e" || a.args[i] == "--extra-vars"
		words = append(words, w)
	}
	return strings.Join(append(words, "--approve", need.String()), " ")
}

// quoteWords writes words so that a shell reads them as they are.
func quoteWords(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		if out[i] = w; w == "" || strings.ContainsAny(w, " \t\n'\"$`\\!*?[]{}()<>|&;#~") {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return out
}
