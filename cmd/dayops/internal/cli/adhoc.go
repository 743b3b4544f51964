package cli

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/engine/playbook"
)

func (a *app) pingCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "ping [PATTERN]", Short: "Log in to hosts and say as whom", GroupID: "work",
		Example: "  dayops ping\n  dayops ping 'masters:!master-0' -b",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			pattern := "all"
			if len(args) > 0 {
				pattern = args[0]
			}
			return a.adhoc(&f, pattern, "ping", map[string]any{"ping": map[string]any{}})
		},
	}
	f.connectFlags(cmd.Flags())
	return cmd
}

func (a *app) execCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "exec PATTERN -- CMD [ARG...]", Short: "Run one command on hosts", GroupID: "work",
		Long: `Run one command on every host of a pattern. The words are passed as they are:
no shell reads them. For pipes: dayops exec all -- sh -c 'df | tail -1'.`,
		Example: "  dayops exec etcd -- systemctl is-active etcd\n  dayops exec all -b -o json -- id",
		Args: func(cmd *cobra.Command, args []string) error {
			if dash := cmd.ArgsLenAtDash(); len(args) < 2 || dash >= 0 && dash != 1 {
				return usage("dayops exec PATTERN -- CMD ARG...", "exec wants one pattern and a command")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			f.showOutput = true
			return a.adhoc(&f, args[0], strings.Join(args[1:], " "), map[string]any{"command": map[string]any{"argv": args[1:]}})
		},
	}
	f.connectFlags(cmd.Flags())
	cmd.Flags().SetInterspersed(true)
	return cmd
}

// adhoc runs a playbook of one step that is written here.
func (a *app) adhoc(f *flags, pattern, name string, step map[string]any) error {
	inv, _, err := a.mustInventory(f)
	if err != nil {
		return err
	}
	hosts, err := match(inv, pattern, f.limit)
	if err != nil {
		return err
	}
	f.limit = ""
	step["name"] = name
	text, err := json.Marshal([]any{map[string]any{"name": name, "hosts": hosts, "gather_facts": false, "tasks": []any{step}}})
	if err != nil {
		return err
	}
	job, err := a.bind(f, func() (*playbook.Playbook, error) {
		pb, err := playbook.Load(name, text)
		if pb != nil {
			pb.Dir = "."
			literal(pb)
		}
		return pb, err
	})
	if err != nil {
		return err
	}
	return a.execute(context.Background(), f, job)
}

// literal keeps braces in words of the command line from being templates.
func literal(pb *playbook.Playbook) {
	for _, p := range pb.Plays {
		for _, s := range p.Steps {
			s.Name.Tag = "!unsafe"
			s.Params = s.Params.Unsafe()
		}
	}
}
