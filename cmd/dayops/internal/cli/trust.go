package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/conn/ssh"
)

func (a *app) trustCommand() *cobra.Command {
	var f flags
	var yes bool
	cmd := &cobra.Command{
		Use: "trust PATTERN", Short: "Show the host keys of hosts and add them to known_hosts", GroupID: "work",
		Long: `Ask each host for its key, show the fingerprints, and add the new ones to
known_hosts after a yes. A fingerprint proves nothing by itself: compare it with
what the host's console shows (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub).
A key that differs from the one on file is never replaced. Jump hosts come first:
nothing behind one can be asked before its own key is trusted.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("dayops trust all", "trust wants one pattern of hosts")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.trust(&f, args[0], yes) },
	}
	f.reachFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "add without asking")
	return cmd
}

func (a *app) trust(f *flags, pattern string, yes bool) error {
	inv, _, err := a.mustInventory(f)
	if err != nil {
		return err
	}
	hosts, err := match(inv, pattern, f.limit)
	if err != nil {
		return err
	}
	login, err := a.login(f)
	if err != nil {
		return err
	}
	targets, err := engine.Targets(inv, hosts, login)
	if err != nil {
		return badFiles(err)
	}
	d := ssh.New(ssh.Options{Notice: a.notice})
	defer d.Close()
	gates, failed := a.jumpHosts(d, targets)
	for _, g := range gates { // in turn: the way to one may lead over the one before
		bad, err := a.offer(d, []conn.Target{g}, 1, yes, "   (jump host)")
		if err != nil {
			return err
		}
		failed = failed || bad
	}
	bad, err := a.offer(d, targets, f.forks, yes, "")
	if err != nil {
		return err
	}
	if failed || bad {
		return &errShown{exitUnreachable}
	}
	return nil
}

// jumpHosts are those on the way to any target, each once.
func (a *app) jumpHosts(d *ssh.Dialer, targets []conn.Target) (gates []conn.Target, failed bool) {
	seen := map[string]bool{}
	for _, t := range targets {
		if t.Kind != "ssh" {
			continue
		}
		jumps, err := d.Jumps(t)
		if err != nil {
			failed = true // scan says why
		}
		for _, j := range jumps {
			if key := fmt.Sprintf("%q %q %d %q", j.Name, j.User, j.Port, j.CommonArgs); !seen[key] {
				j.Kind, seen[key] = "ssh", true
				gates = append(gates, j)
			}
		}
	}
	return gates, failed
}

// offer shows the keys of targets and adds the new ones after a yes. An answer
// other than yes is an error; what could not be asked or is refused is failed.
func (a *app) offer(d *ssh.Dialer, targets []conn.Target, forks int, yes bool, what string) (failed bool, err error) {
	keys, failed := a.scan(d, targets, forks)
	var fresh []ssh.HostKey
	for _, k := range keys {
		state := "new"
		switch {
		case k.Err != nil:
			state, failed = "REFUSED: "+view.Line(k.Err.Error()), true
		case k.Known:
			state = "known"
		default:
			fresh = append(fresh, k)
		}
		say(a.out, "%-20s %-30s %s %s  %s%s\n", k.Host, k.Addr, view.Line(k.Type), k.Fingerprint, state, what)
	}
	if len(fresh) == 0 {
		return failed, nil
	}
	if !yes && !a.confirm(fmt.Sprintf("Add %s to %s?", count(len(fresh), "key"), fresh[0].File)) {
		return failed, &coded{code: exitRefused, err: fmt.Errorf("nothing was added")}
	}
	if err := d.Trust(fresh...); err != nil {
		return failed, err
	}
	say(a.out, "added %s\n", count(len(fresh), "key"))
	return failed, nil
}

// scan asks all targets at once, within forks, and keeps their order.
func (a *app) scan(d *ssh.Dialer, targets []conn.Target, forks int) (keys []ssh.HostKey, failed bool) {
	found := make([][]ssh.HostKey, len(targets))
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(max(1, forks))
	for i, t := range targets {
		if t.Kind != "ssh" {
			continue
		}
		g.Go(func() error {
			ks, err := d.Scan(context.Background(), t)
			if err == nil {
				found[i] = ks
			} else {
				mu.Lock()
				defer mu.Unlock()
				failed = true
				say(a.err, "%s: %s\n", t.Name, view.Line(err.Error()))
			}
			return nil
		})
	}
	_ = g.Wait()
	for _, ks := range found {
		keys = append(keys, ks...)
	}
	return keys, failed
}

// confirm asks; anything but yes is no, and so is an input that has ended.
func (a *app) confirm(question string) bool {
	say(a.err, "%s [y/N] ", question)
	switch strings.ToLower(strings.TrimSpace(a.answer())) {
	case "y", "yes":
		return true
	}
	return false
}

// answer reads one line and not a byte of the next, which answers another question.
func (a *app) answer() string {
	const longest = 1 << 10
	var line []byte
	for b := make([]byte, 1); len(line) < longest; line = append(line, b[0]) {
		if _, err := io.ReadFull(a.in, b); err != nil || b[0] == '\n' {
			break
		}
	}
	return string(line)
}

func (a *app) notice(text string) { say(a.err, "note: %s\n", view.Line(text)) }

// dialer opens what a target's kind asks for.
func (a *app) dialer() conn.Dialer {
	return kinds{ssh: ssh.New(ssh.Options{Notice: a.notice}), local: local.Dialer{}}
}

type kinds struct{ ssh, local conn.Dialer }

// Dial picks the dialer by the target's kind.
func (k kinds) Dial(ctx context.Context, t conn.Target) (conn.Conn, error) {
	if t.Kind == "local" {
		return k.local.Dial(ctx, t)
	}
	return k.ssh.Dial(ctx, t)
}

// Close closes both.
func (k kinds) Close() error {
	_ = k.local.Close()
	return k.ssh.Close()
}
