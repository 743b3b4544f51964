package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/guard"
)

// hostDirEnv overrides where hosts keep what dayops leaves there: the lock, the
// records of commands, and what is moved aside.
const hostDirEnv = "DAYOPS_HOST_DIR"

// hostFolders are "" for the usual places.
func (a *app) hostFolders() (dir, aside string, err error) {
	dir = a.getenv(hostDirEnv)
	if dir == "" {
		return "", "", nil
	}
	if !filepath.IsAbs(dir) || filepath.Clean(dir) == "/" {
		return "", "", usage("an absolute path below /", "%s=%s is no folder for hosts", hostDirEnv, dir)
	}
	return dir, path.Join(dir, "aside"), nil
}

type asideFlags struct {
	flags
	purge bool
	run   string
}

func (a *app) asideCommand() *cobra.Command {
	var f asideFlags
	cmd := &cobra.Command{
		Use: "aside PATTERN", Short: "List what dayops moved aside on hosts, or remove it for good", GroupID: "work",
		Long: `What a run removes from a host or replaces by something else is not deleted but
moved aside: below ` + change.AsideRoot + ` for root, ~/.local/state/dayops/aside for
others, or $` + hostDirEnv + `/aside. Each account has its own: ask with -b for root's.

--purge removes what is listed, and nothing brings it back: an undo or a rollback
that needs it cannot have it any more. So it wants --approve destructive, or the
number of hosts typed at the terminal; -y is not enough. It takes the lock of a
host as a run does, and leaves a host that a run is changing as it is: exit code
11 says which run.`,
		Example: "  dayops aside all -b\n  dayops aside node-1 -b --purge --run 7f3c --approve destructive",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return a.aside(&f, args[0]) },
	}
	f.reachFlags(cmd.Flags())
	f.loginFlags(cmd.Flags())
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "text, or json: one item a line")
	cmd.Flags().BoolVar(&f.purge, "purge", false, "remove what is listed, for good")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "not enough to lose data: --purge needs --approve destructive")
	cmd.Flags().StringVar(&f.approve, "approve", "", "destructive: remove without asking")
	cmd.Flags().StringVar(&f.run, "run", "", "only what this run moved aside")
	return cmd
}

// asideHost is what lies aside on one host, and how to reach it.
type asideHost struct {
	target  conn.Target
	host    change.Host
	run     string // only what this one moved aside; "" is all
	entries []change.AsideEntry
	err     error
}

func (a *app) aside(f *asideFlags, pattern string) error {
	if f.output != "text" && f.output != "json" {
		return usage("text or json", "--output=%s is not known", f.output)
	}
	hosts, err := a.asideHosts(f, pattern)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ask, err := a.mayPurge(ctx, f)
	if err != nil {
		return err
	}
	dialer := a.dialer()
	defer dialer.Close()
	each(hosts, f.forks, func(h *asideHost) { h.list(ctx, dialer) })
	defer each(hosts, f.forks, func(h *asideHost) {
		if h.host.Conn != nil {
			_ = h.host.Conn.Close()
		}
	})
	items, err := a.showAside(f, hosts)
	if err != nil {
		return err
	}
	if f.purge && items > 0 && ctx.Err() == nil {
		if err := a.purge(ctx, hosts, f.forks, ask); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return &coded{code: exitInterrupted, err: errors.New("interrupted")}
	}
	return a.asideErrors(hosts)
}

func (a *app) asideHosts(f *asideFlags, pattern string) ([]*asideHost, error) {
	_, dir, err := a.hostFolders()
	if err != nil {
		return nil, err
	}
	found, err := a.accounts(&f.flags, pattern)
	if err != nil {
		return nil, err
	}
	out := make([]*asideHost, len(found))
	for i, at := range found {
		out[i] = &asideHost{target: at.target, run: f.run, host: change.Host{Name: at.target.Name, As: at.as, Aside: dir, Now: a.now}}
	}
	return out, nil
}

// account is one that is worked as on a host.
type account struct {
	target conn.Target
	as     string
}

// accounts are those of the hosts that pattern and --limit name.
func (a *app) accounts(f *flags, pattern string) ([]account, error) {
	inv, _, err := a.mustInventory(f)
	if err != nil {
		return nil, err
	}
	names, err := match(inv, pattern, f.limit)
	if err != nil {
		return nil, err
	}
	login, err := a.login(f)
	if err != nil {
		return nil, err
	}
	targets, err := engine.Targets(inv, names, login)
	if err != nil {
		return nil, badFiles(err)
	}
	out := make([]account, len(targets))
	for i, t := range targets {
		as, err := engine.Account(inv, t.Name, login)
		if err != nil {
			return nil, badFiles(err)
		}
		out[i] = account{target: t, as: as}
	}
	return out, nil
}

// each calls f for all hosts, as many at once as forks allow.
func each[H any](hosts []H, forks int, f func(H)) {
	var g errgroup.Group
	g.SetLimit(max(1, forks))
	for _, h := range hosts {
		g.Go(func() error { f(h); return nil })
	}
	_ = g.Wait()
}

func (h *asideHost) list(ctx context.Context, d conn.Dialer) {
	if h.host.Conn, h.err = d.Dial(ctx, h.target); h.err != nil {
		h.host.Conn = nil
		return
	}
	h.entries, h.err = h.read(ctx)
}

func (h *asideHost) read(ctx context.Context) ([]change.AsideEntry, error) {
	ctx, cancel := context.WithTimeout(ctx, engine.ProbeLimit)
	defer cancel()
	entries, err := change.ListAside(ctx, h.host)
	if h.run != "" {
		entries = slices.DeleteFunc(entries, func(e change.AsideEntry) bool { return e.Run != h.run })
	}
	return entries, err
}

// showAside lists all items; with --output json one object a line.
func (a *app) showAside(f *asideFlags, hosts []*asideHost) (items int, err error) {
	var size int64
	for _, h := range hosts {
		for _, e := range h.entries {
			items++
			size += e.Size
			if f.output == "json" {
				err = errors.Join(err, json.NewEncoder(a.out).Encode(map[string]any{"host": h.target.Name, "run": e.Run, "n": e.N, "path": e.Path,
					"time": e.Time, "data": e.Data, "size": e.Size}))
				continue
			}
			fmt.Fprintf(a.out, "%-20s %-10s %s  %8s  %s\n", view.Line(h.target.Name), e.Run+"/"+fmt.Sprint(e.N),
				e.Time.Local().Format(time.DateTime), sizeText(e.Size), view.Line(cmp.Or(e.Path, e.Data)))
			if f.verbose > 0 {
				fmt.Fprintf(a.out, "%20s %s\n", "", view.Line(e.Data))
			}
		}
	}
	switch {
	case f.output == "json":
	case items == 0:
		fmt.Fprintln(a.out, "nothing lies aside")
	default:
		fmt.Fprintf(a.out, "%s, %s\n", count(items, "item"), sizeText(size))
	}
	return items, err
}

// asideErrors tells what went wrong on hosts: 11 before 4 before 2.
func (a *app) asideErrors(hosts []*asideHost) error {
	code := exitDone
	for _, h := range hosts {
		if h.err == nil {
			continue
		}
		fmt.Fprintf(a.err, "%s: %s\n", view.Line(h.target.Name), view.Line(h.err.Error()))
		var locked *guard.LockedError
		switch {
		case errors.As(h.err, &locked):
			say(a.err, "  hint: nothing was removed here; wait for that run, or look who has it: dayops unlock %s\n", view.Line(h.target.Name))
			code = exitLocked
		case code == exitLocked:
		case h.host.Conn == nil:
			code = exitUnreachable
		case code == exitDone:
			code = exitFailed
		}
	}
	if code == exitDone {
		return nil
	}
	return &errShown{code}
}

// sizeText is a size for people.
func sizeText(n int64) string {
	size, unit := float64(n)/(1<<10), "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB"} {
		if size < 1024 {
			break
		}
		size, unit = size/1024, next
	}
	return fmt.Sprintf("%.0f %s", size, unit)
}
