package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
)

// loadInventory reads the sources that -i, DAYOPS_INVENTORY or ./inventory.yml
// name. The mistakes in them come beside an inventory that is good enough to
// look for mistakes in a playbook too.
func (a *app) loadInventory(f *flags) (*inventory.Inventory, []string, error) {
	cwd, err := os.Getwd()
	if err != nil {
		return nil, nil, err
	}
	sources, err := inventory.Resolve(f.inventory, a.getenv("DAYOPS_INVENTORY"), cwd)
	var none *inventory.NoInventoryError
	if errors.As(err, &none) {
		return nil, nil, usage("dayops init writes one to start from", "%s", err)
	}
	if err != nil {
		return nil, nil, usage("", "%s", err)
	}
	inv, err := inventory.LoadOver(sources, instead(f.texts))
	return inv, sources, err
}

// mustInventory is loadInventory for commands that need nothing else.
func (a *app) mustInventory(f *flags) (*inventory.Inventory, []string, error) {
	inv, sources, err := a.loadInventory(f)
	if err != nil {
		return nil, nil, badFiles(err)
	}
	a.warn(inv.Warnings())
	return inv, sources, nil
}

// badFiles gives mistakes in files their exit code.
func badFiles(err error) error {
	var list source.List
	if errors.As(err, &list) {
		return &coded{code: exitUsage, err: err}
	}
	return err
}

func (a *app) warn(ms []*source.Mistake) {
	for _, m := range ms {
		say(a.err, "warning: %s\n", m.Excerpt())
	}
}

// match gives the hosts of a pattern and --limit. What matches nothing at all is a mistake with the nearest name.
func match(inv *inventory.Inventory, pattern, limit string) ([]string, error) {
	p, err := inventory.ParsePattern("pattern", pattern)
	if err != nil {
		return nil, badFiles(err)
	}
	hosts, unmatched := inv.Match(p)
	if len(unmatched) > 0 {
		return nil, badFiles(source.List(unmatched))
	}
	if limit != "" {
		lim, err := limitHosts(inv, limit)
		if err != nil {
			return nil, err
		}
		hosts = inventory.Limit(hosts, lim)
	}
	if len(hosts) == 0 {
		return nil, usage("dayops inventory --graph shows who there is", "no host matches %q%s", pattern, andLimit(limit))
	}
	return hosts, nil
}

func andLimit(limit string) string {
	if limit == "" {
		return ""
	}
	return fmt.Sprintf(" and --limit %q", limit)
}

func limitHosts(inv *inventory.Inventory, limit string) ([]string, error) {
	p, err := inventory.ParseLimit("--limit", limit, readFile)
	if err != nil {
		return nil, badFiles(err)
	}
	hosts, unmatched := inv.Match(p)
	if len(unmatched) > 0 {
		return nil, badFiles(source.List(unmatched))
	}
	return hosts, nil
}

// readFile reads what --limit @FILE and -e @FILE name.
func readFile(path string) ([]byte, error) { return source.ReadFile(path, strictyaml.MaxBytes) }

func (a *app) inventoryCommand() *cobra.Command {
	var f flags
	var list, graph, vars bool
	var host string
	cmd := &cobra.Command{
		Use: "inventory", Short: "Show the hosts, groups and variables that dayops sees", GroupID: "look",
		Example: "  dayops inventory -i hosts.yml --graph\n  dayops inventory --host node-1      variables, and which file sets each",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if list && graph || (list || graph) && host != "" {
				return usage("dayops inventory --help", "--list, --graph and --host exclude each other")
			}
			if err := f.checkOutput(); err != nil {
				return err
			}
			inv, _, err := a.mustInventory(&f)
			if err != nil {
				return err
			}
			return a.showInventory(inv, &f, list, graph, vars, host)
		},
	}
	f.inventoryFlags(cmd.Flags())
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "with --host: text shows where each variable comes from; json gives plain values")
	cmd.Flags().BoolVar(&list, "list", false, "everything as JSON, in Ansible's form")
	cmd.Flags().BoolVar(&graph, "graph", false, "the tree of groups (default)")
	cmd.Flags().BoolVar(&vars, "vars", false, "with --graph: variables too")
	cmd.Flags().StringVar(&host, "host", "", "the variables of one host")
	return cmd
}

func (a *app) showInventory(inv *inventory.Inventory, f *flags, list, graph, vars bool, host string) error {
	switch {
	case host != "" && !inv.Has(host):
		return usage(cmp.Or(source.DidYouMean(host, inv.Hosts()), "dayops inventory --graph shows who there is"), "no host %q in the inventory", host)
	case host != "" && f.output == "json":
		say(a.out, "%s\n", strings.TrimRight(string(inv.HostJSON(host)), "\n"))
	case host != "":
		say(a.out, "%s", inv.HostOrigins(host))
	case list:
		say(a.out, "%s\n", strings.TrimRight(string(inv.ListJSON()), "\n"))
	default:
		say(a.out, "%s", inv.Graph("all", vars))
	}
	return nil
}
