package cli

import (
	"cmp"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/vars"
	"github.com/dayops/dayops/playbooks"
	"github.com/dayops/dayops/tasks"
)

func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.runCommand(), a.planCommand(), a.applyCommand(), a.pingCommand(), a.execCommand(), a.trustCommand(), a.asideCommand(), a.resumeCommand(), a.undoCommand(), a.unlockCommand(), a.initCommand(),
		a.validateCommand(), a.inventoryCommand(), a.playbooksCommand(), a.docCommand(), a.historyCommand(), a.reportCommand(),
	}
}

// Pages that are not a task's.
const (
	docVariables = "variables"
	docEvents    = "events"
	docApprovals = "approvals"
	docReport    = "report"
	docPlans     = "plans"
)

func (a *app) docCommand() *cobra.Command {
	return &cobra.Command{
		Use: "doc [TASK]", Short: "What a task does, what it takes, what it gives", GroupID: "look",
		Long:    "Without a name: all tasks, a line each. `dayops doc variables` shows which variable\nwins, `dayops doc events` the form of --output json, `dayops doc report` that of\ndayops report --json, `dayops doc approvals` which changes need approval,\n`dayops doc plans` the form of saved plans.",
		Example: "  dayops doc\n  dayops doc host_backup\n  dayops doc variables",
		Args:    cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return append(tasks.All().Names(), docVariables, docEvents, docReport, docApprovals, docPlans), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				a.docList()
				return nil
			}
			return a.doc(args[0])
		},
	}
}

func (a *app) docList() {
	reg := tasks.All()
	for _, n := range reg.Names() {
		fmt.Fprintf(a.out, "  %-14s %s\n", n, reg.Get(n).Doc)
	}
	fmt.Fprintf(a.out, "\n  %-14s %s\n", docVariables, "Where variables may be set, which wins, and what templates can do.")
	fmt.Fprintf(a.out, "  %-14s %s\n", docApprovals, "Which changes need approval, and how many hosts they reach at once.")
	fmt.Fprintf(a.out, "  %-14s %s\n", docPlans, "The JSON of saved plans, and what is compared when one is applied.")
	fmt.Fprintf(a.out, "  %-14s %s\n", docEvents, "The JSON lines of --output json and of the history.")
	fmt.Fprintf(a.out, "  %-14s %s\n", docReport, "The document of dayops report --json.")
}

func (a *app) doc(name string) error {
	if name == docVariables {
		fmt.Fprintf(a.out, "Variables from low to high precedence; a later one wins:\n\n%s", vars.PrecedenceDoc())
		fmt.Fprintf(a.out, "\n%s", vars.LanguageDoc())
		return nil
	}
	if name == docApprovals {
		fmt.Fprint(a.out, approvalsDoc)
		return nil
	}
	if name == docPlans {
		fmt.Fprint(a.out, planfile.Doc())
		return nil
	}
	if name == docEvents {
		fmt.Fprint(a.out, event.Doc())
		return nil
	}
	if name == docReport {
		fmt.Fprint(a.out, view.ReportDoc())
		return nil
	}
	reg := tasks.All()
	def := reg.Get(name)
	if def == nil {
		return usage(source.DidYouMean(name, append(reg.Names(), docVariables, docEvents)), "there is no task %q; dayops doc lists them", name)
	}
	fmt.Fprint(a.out, def.Text())
	return nil
}

func (a *app) playbooksCommand() *cobra.Command {
	var show string
	cmd := &cobra.Command{
		Use: "playbooks", Short: "List the playbooks inside the program; print one to copy", GroupID: "look",
		Example: "  dayops playbooks\n  dayops playbooks --show backup.yml > my-backup.yml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			names := playbook.Builtin(playbooks.FS)
			if show == "" {
				for _, n := range names {
					fmt.Fprintln(a.out, n)
				}
				return nil
			}
			text, err := fs.ReadFile(playbooks.FS, strings.TrimSuffix(show, ".yml")+".yml")
			if err != nil {
				return usage(cmp.Or(source.DidYouMean(show, names), "dayops playbooks lists them"), "there is no built-in playbook %q", show)
			}
			_, err = a.out.Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&show, "show", "", "print this playbook")
	_ = cmd.RegisterFlagCompletionFunc("show", a.completePlaybooks)
	return cmd
}

func (a *app) completePlaybooks(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return playbook.Builtin(playbooks.FS), cobra.ShellCompDirectiveDefault
}
