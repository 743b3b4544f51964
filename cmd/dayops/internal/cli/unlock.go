package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/guard"
)

type unlockFlags struct {
	flags
	yes bool
}

func (a *app) unlockCommand() *cobra.Command {
	var f unlockFlags
	cmd := &cobra.Command{
		Use: "unlock HOST|PATTERN", Short: "Show which run holds the lock of a host, and remove the lock", GroupID: "work",
		Long: `A run that changes a host holds a lock there: in /var/lib/dayops for root,
~/.local/state/dayops for others, or $` + hostDirEnv + `. Each account has its own: ask
with -b for root's. A lock that is not refreshed expires after ` + short(guard.Expiry) + `, and the next
run takes it, unless a command of the run still runs on the host; so there is
seldom a need to remove one. Without its lock a run starts nothing more on the
host; a command that is running there goes on. Nothing is removed without a yes.`,
		Example: "  dayops unlock node-1 -b\n  dayops unlock 'masters:&prod' -b --yes",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return a.unlock(&f, args[0]) },
	}
	f.connectFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "remove without asking")
	return cmd
}

// lockedHost is a host, and who holds its lock.
type lockedHost struct {
	account
	conn    conn.Conn
	holders []guard.Holder
	err     error
}

func (a *app) unlock(f *unlockFlags, pattern string) error {
	if f.output != "text" && f.output != "json" {
		return usage("text or json", "--output=%s is not known", f.output)
	}
	dir, _, err := a.hostFolders()
	if err != nil {
		return err
	}
	found, err := a.accounts(&f.flags, pattern)
	if err != nil {
		return err
	}
	hosts := make([]*lockedHost, len(found))
	for i, at := range found {
		hosts[i] = &lockedHost{account: at}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dialer := a.dialer()
	defer dialer.Close()
	each(hosts, f.forks, func(h *lockedHost) { h.look(ctx, dialer, dir) })
	defer each(hosts, f.forks, func(h *lockedHost) {
		if h.conn != nil {
			_ = h.conn.Close()
		}
	})
	locks, err := a.showLocks(f, hosts)
	if err != nil {
		return err
	}
	if locks > 0 && ctx.Err() == nil {
		if !f.yes && !a.confirm(fmt.Sprintf("Remove %s?", count(locks, "lock"))) {
			return &coded{code: exitRefused, err: errors.New("nothing was removed")}
		}
		each(hosts, f.forks, func(h *lockedHost) { h.remove(ctx) })
	}
	if ctx.Err() != nil {
		return &coded{code: exitInterrupted, err: errors.New("interrupted")}
	}
	return a.unlockErrors(hosts)
}

func (h *lockedHost) look(ctx context.Context, d conn.Dialer, dir string) {
	if h.conn, h.err = d.Dial(ctx, h.target); h.err != nil {
		h.conn = nil
		return
	}
	h.holders, h.err = guard.Holders(ctx, h.conn, h.as, dir)
}

// remove removes the locks that were shown, and no others.
func (h *lockedHost) remove(ctx context.Context) {
	for _, holder := range h.holders {
		h.err = errors.Join(h.err, guard.Remove(ctx, h.conn, h.as, holder))
	}
}

// showLocks lists all locks; with --output json one object a line.
func (a *app) showLocks(f *unlockFlags, hosts []*lockedHost) (locks int, err error) {
	for _, h := range hosts {
		for _, l := range h.holders {
			locks++
			if f.output == "json" {
				err = errors.Join(err, json.NewEncoder(a.out).Encode(lockJSON(h.target.Name, l)))
				continue
			}
			expires := "expires in " + short(l.Expires.Round(time.Second))
			if l.Expires < 0 {
				expires = "expired " + short(-l.Expires.Round(time.Second)) + " ago"
			}
			fmt.Fprintf(a.out, "%-20s run %s of %s@%s, pid %d, since %s, %s\n", view.Line(h.target.Name), view.Line(l.Run), view.Line(l.User), view.Line(l.Owner.Host),
				l.PID, l.Start.Local().Format(time.DateTime), expires)
			for _, p := range l.Live {
				fmt.Fprintf(a.out, "%20s command %s is running there, pid %d\n", "", view.Line(p.ID), p.PID)
			}
		}
		if len(h.holders) == 0 && h.err == nil && f.output == "text" {
			fmt.Fprintf(a.out, "%-20s not locked\n", view.Line(h.target.Name))
		}
	}
	return locks, err
}

func lockJSON(host string, l guard.Holder) map[string]any {
	live := []map[string]any{}
	for _, p := range l.Live {
		live = append(live, map[string]any{"command": p.ID, "pid": p.PID})
	}
	return map[string]any{"host": host, "run": l.Run, "user": l.User, "from": l.Owner.Host, "pid": l.PID, "since": l.Start.UTC(),
		"expires_s": l.Expires.Seconds(), "folder": l.Dir, "per_user": l.PerUser, "running": live}
}

// unlockErrors tells what went wrong on hosts: 4 before 2, and 11 for a lock
// that another run took meanwhile.
func (a *app) unlockErrors(hosts []*lockedHost) error {
	code := exitDone
	for _, h := range hosts {
		if h.err == nil {
			continue
		}
		said := h.err.Error()
		var lost *conn.LockLostError
		switch {
		case h.conn == nil:
			code = exitUnreachable
		case errors.As(h.err, &lost):
			said = "the lock has changed hands meanwhile; it was not removed"
			if code == exitDone {
				code = exitLocked
			}
		case code != exitUnreachable:
			code = exitFailed
		}
		fmt.Fprintf(a.err, "%s: %s\n", view.Line(h.target.Name), view.Line(said))
	}
	if code == exitDone {
		return nil
	}
	return &errShown{code}
}
