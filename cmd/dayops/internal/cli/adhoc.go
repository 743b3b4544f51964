package cli

import (
	"context"
	"encoding/json"
	"fmt"
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
			return a.adhoc(&f, pattern, "ping", "ping: {}")
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
			argv := make([]string, len(args)-1)
			for i, word := range args[1:] {
				argv[i] = literal(word)
			}
			step := "command: {argv: [" + strings.Join(argv, ", ") + "]}"
			if f.readOnly {
				step += ", changed_when: false"
			}
			return a.adhoc(&f, args[0], strings.Join(args[1:], " "), step)
		},
	}
	f.connectFlags(cmd.Flags())
	f.changeFlags(cmd.Flags())
	cmd.Flags().BoolVar(&f.readOnly, "read-only", false, "the command only reads: take no lock and keep no journal")
	cmd.Flags().SetInterspersed(true)
	return cmd
}

// adhoc runs a playbook of one step, given as YAML in flow style.
func (a *app) adhoc(f *flags, pattern, name, step string) error {
	inv, _, err := a.mustInventory(f)
	if err != nil {
		return err
	}
	hosts, err := match(inv, pattern, f.limit)
	if err != nil {
		return err
	}
	f.limit, f.adhoc = "", true
	text := fmt.Sprintf("- {name: %s, hosts: %s, gather_facts: false, tasks: [{name: %s, %s}]}\n",
		literal(name), quoteAll(hosts), literal(name), step)
	job, err := a.bind(f, func() (*playbook.Playbook, error) { return playbook.Load(name, []byte(text)) })
	if err != nil {
		return err
	}
	return a.execute(context.Background(), f, job)
}

// quoteAll writes words as a YAML list; JSON is YAML.
func quoteAll(words []string) string {
	out, err := json.Marshal(words)
	if err != nil {
		return "[]" // cannot be: strings always encode
	}
	return string(out)
}

// literal writes a word that is no template, whatever stands in it.
func literal(word string) string {
	out := quoteAll([]string{word})
	return "!unsafe " + out[1:len(out)-1]
}
