// Package cli is the command line of dayops-lab.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/demo"
	"github.com/dayops/dayops/cmd/dayops-lab/internal/lab"
	"github.com/spf13/cobra"
)

// remoteExit is the exit code of a command that was run on a host.
type remoteExit int

func (r remoteExit) Error() string { return fmt.Sprintf("exit code %d", int(r)) }

// Main runs one command and returns the exit code.
func Main(args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	c := root(out, errs)
	c.SetArgs(args)
	c.SetOut(out)
	c.SetErr(errs)
	err := c.ExecuteContext(ctx)
	var remote remoteExit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &remote):
		return int(remote)
	}
	fmt.Fprintln(errs, "dayops-lab:", err)
	return 1
}

func root(out, errs io.Writer) *cobra.Command {
	c := &cobra.Command{Use: "dayops-lab", Short: "Boot throwaway hosts to try dayops on",
		SilenceUsage: true, SilenceErrors: true}
	dir := c.PersistentFlags().String("dir", ".lab", "the lab's state folder")
	c.AddCommand(up(dir, out, errs), down(dir), status(dir, out), run(dir, out, errs), listing(dir, out), demoHosts(out))
	for _, a := range []struct {
		use, short string
		do         func(*lab.Host, context.Context) error
	}{
		{"freeze", "Stop every process of a host (SIGSTOP)", (*lab.Host).Freeze},
		{"thaw", "Undo freeze", (*lab.Host).Thaw},
		{"cut", "Take a host off the network", (*lab.Host).Cut},
		{"join", "Undo cut", (*lab.Host).Join},
		{"fill", "Fill a host's disk", (*lab.Host).Fill},
		{"drain", "Undo fill", (*lab.Host).Drain},
		{"rekey", "Give a host new host keys", (*lab.Host).Rekey},
		{"unrekey", "Undo rekey", (*lab.Host).RestoreKeys},
		{"stop", "Power a host off at once", (*lab.Host).Stop},
		{"start", "Boot a stopped host", (*lab.Host).Start},
		{"heal", "Undo all of these on a host", (*lab.Host).Heal},
	} {
		c.AddCommand(&cobra.Command{Use: a.use + " HOST", Short: a.short, Args: cobra.ExactArgs(1),
			RunE: func(c *cobra.Command, args []string) error {
				h, err := host(*dir, args[0])
				if err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(c.Context(), 2*time.Minute)
				defer cancel()
				return a.do(h, ctx)
			}})
	}
	return c
}

func host(dir, name string) (*lab.Host, error) {
	l, err := lab.Open(dir)
	if err != nil {
		return nil, err
	}
	return l.Host(name)
}

const upLong = `Boots hosts with systemd, sshd, chrony and etcd, dressed as an OpenShift 3.10 cluster, each on a disk of 1 GiB.

masters    etcd members too (--members N: the first N alone; none with --etcds), in the groups masters, nodes and etcd
nodes      in the group nodes
etcds      etcd members and nothing else, in the group etcd
spares     in the group new_etcd, known to all by name: no etcd, no settings, no account; apt-get installs
           etcd-server and etcd-client from /opt/repo on the host, without a network (--spare-etcd: of another release line)

Members have etcd as openshift-ansible leaves it: TLS with client certificates, /etc/etcd/etcd.conf, the authority in
/etc/etcd/ca of the first one. The v2 API is on where the release has one (up to 3.5).
--pods puts etcd, API and controllers of masters into static pods. What runs them is a script (lab-static-pods) that watches
/etc/origin/node/pods, with master-restart, master-exec and master-logs: no kubelet, no containers. API, controllers and
flanneld are scripts too: they note in /var/log/lab-openshift.log when they started and which etcd they were told.`

func up(dir *string, out, errs io.Writer) *cobra.Command {
	o := lab.Options{Log: errs}
	c := &cobra.Command{Use: "up", Short: "Boot the lab (as root)", Args: cobra.NoArgs, Long: upLong,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Dir = *dir
			l, err := lab.Up(c.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%d hosts are up. Try: dayops ping -i %s\n", len(l.Hosts()), l.Inventory())
			return nil
		}}
	f := c.Flags()
	f.IntVar(&o.Masters, "masters", 3, "masters")
	f.IntVar(&o.Nodes, "nodes", 2, "hosts that are nodes only")
	f.IntVar(&o.Etcds, "etcds", 0, "hosts that are etcd members and nothing else")
	f.IntVar(&o.Members, "members", 0, "how many masters are etcd members; 0: all, or none with --etcds")
	f.IntVar(&o.Spares, "spares", 0, "hosts of the group new_etcd: etcd is not installed, but apt-get can, without a network")
	f.BoolVar(&o.Closed, "closed", false, "the spares' firewall rejects all but ssh")
	f.BoolVar(&o.Pods, "pods", false, "stand-ins for OpenShift 3.10: etcd, API and controllers as static pods on masters (a script, no kubelet), flanneld on nodes")
	f.StringVar(&o.Etcd, "etcd", "3.4", "etcd's release line: 3.2, 3.3, 3.4 (Debian's), 3.5, 3.6 or 3.7 (all but 3.4 are built once, some minutes)")
	f.StringVar(&o.SpareEtcd, "spare-etcd", "", "release line that the spares can install; as --etcd")
	f.Uint64Var(&o.Seed, "seed", 1, "of the made-up contents of files")
	return c
}

func down(dir *string) *cobra.Command {
	return &cobra.Command{Use: "down", Short: "Remove the lab and everything it made", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return lab.Down(c.Context(), *dir) }}
}

func status(dir *string, out io.Writer) *cobra.Command {
	return &cobra.Command{Use: "status", Short: "List the hosts and how they are", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := lab.Open(*dir)
			if err != nil {
				return err
			}
			for _, h := range l.Hosts() {
				fmt.Fprintf(out, "%-10s %-14s %v  %s\n", h.Name, h.IP, h.Roles, h.Status(c.Context()))
			}
			return nil
		}}
}

func run(dir *string, out, errs io.Writer) *cobra.Command {
	return &cobra.Command{Use: "exec HOST -- CMD...", Short: "Run a command on a host as root, without ssh", Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := host(*dir, args[0])
			if err != nil {
				return err
			}
			argv, err := h.Command(args[1:]...)
			if err != nil {
				return err
			}
			cmd := exec.CommandContext(c.Context(), argv[0], argv[1:]...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, errs
			err = cmd.Run()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() > 0 {
				return remoteExit(exit.ExitCode())
			}
			return err
		}}
}

func listing(dir *string, out io.Writer) *cobra.Command {
	var o lab.ListOptions
	c := &cobra.Command{Use: "listing HOST", Short: "List a host's whole file system with hashes", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := host(*dir, args[0])
			if err != nil {
				return err
			}
			text, err := h.ListingWith(c.Context(), o)
			if err == nil {
				_, err = io.WriteString(out, text)
			}
			return err
		}}
	c.Flags().BoolVar(&o.Times, "times", false, "with modification times")
	return c
}

func demoHosts(out io.Writer) *cobra.Command {
	var o demo.Options
	c := &cobra.Command{Use: "demo-hosts", Short: "Make demo hosts behind sshd -i: no daemon, no port, no root", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Dir, _ = c.Flags().GetString("dir")
			o.Now = time.Now()
			r, err := demo.Make(c.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintln(out, r)
			return nil
		}}
	c.Flags().String("dir", ".demo", "where to make them")
	c.Flags().IntVar(&o.Count, "count", 3, "hosts")
	return c
}
