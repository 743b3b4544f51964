package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/vars"
	"github.com/dayops/dayops/playbooks"
	"github.com/dayops/dayops/tasks"
)

func (a *app) runCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "run PLAYBOOK", Short: "Run a playbook", GroupID: "work",
		Long: `Run a playbook: every host of a play goes through its tasks in order, as many
hosts at once as --forks allows. Looked for in the working folder, then among
the playbooks inside the program (dayops playbooks).

All mistakes in all files are told before anything is connected. The first
Ctrl-C finishes the steps under way and stops, a second one aborts them.
Handlers run on a host also after a later task failed there.

Disruptive and destructive changes need approval (dayops doc approvals): then the
whole playbook is forecast first, and what is refused is refused before anything
is done on any host, with exit code 6.`,
		Example: "  dayops run backup.yml -i hosts.yml\n  dayops run site.yml -l masters -C -D      what would change",
		Args:    onePlaybook,
		RunE:    func(_ *cobra.Command, args []string) error { return a.playbook(&f, args[0]) },
	}
	f.playbookFlags(cmd.Flags())
	f.changeFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&f.check, "check", "C", false, "dry run: say what would change and change nothing")
	cmd.Flags().BoolVarP(&f.diff, "diff", "D", false, "show what changes inside files")
	cmd.ValidArgsFunction = a.completePlaybooks
	return cmd
}

func (a *app) validateCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "validate PLAYBOOK", Short: "Look for mistakes in playbook and inventory; connect to nothing", GroupID: "look",
		Args: onePlaybook,
		RunE: func(_ *cobra.Command, args []string) error {
			f.syntaxCheck = true
			return a.playbook(&f, args[0])
		},
	}
	f.playbookFlags(cmd.Flags())
	cmd.ValidArgsFunction = a.completePlaybooks
	return cmd
}

// onePlaybook is what run, plan and validate take.
func onePlaybook(cmd *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return usage(cmd.CommandPath()+" site.yml; dayops playbooks lists those inside the program", "%s wants a playbook", cmd.CommandPath())
	case 1:
		return nil
	}
	return usage(fmt.Sprintf("one after the other: %s %s && %s %s", cmd.CommandPath(), args[0], cmd.CommandPath(), args[1]), "%s takes one playbook", cmd.CommandPath())
}

// playbook loads, binds, and does what the flags ask for.
func (a *app) playbook(f *flags, name string) error {
	if f.output == "json" && (f.syntaxCheck || f.listHosts || f.listTasks || f.listTags) {
		return usage("leave out -o json", "a list or a check of files has no JSON form")
	}
	job, err := a.bind(f, func() (*playbook.Playbook, error) {
		src, err := playbook.Find(name, playbooks.FS)
		if err != nil {
			return nil, err
		}
		return src.Load()
	})
	if err != nil {
		return err
	}
	switch {
	case f.syntaxCheck:
		say(a.out, "%s: %s, %s: no mistakes\n", job.bound.File, count(len(job.bound.Plays), "play"), count(len(job.bound.HostNames()), "host"))
		return nil
	case f.listHosts:
		a.listHosts(job.bound)
		return nil
	case f.listTasks:
		a.listTasks(job.bound)
		return nil
	case f.listTags:
		a.listTags(job.bound)
		return nil
	}
	if f.planFile != "" {
		return a.savePlan(f, job)
	}
	return a.execute(context.Background(), f, job)
}

// job is everything a run needs, checked.
type job struct {
	inv      *inventory.Inventory
	sources  []string
	bound    *playbook.Bound
	extra    *strictyaml.Node
	undone   *journal.Memory         // of the run that it takes back
	undoneOn []string                // hosts that this is limited to; nil: all
	record   *record                 // of a run that is taken up again
	answers  map[int64]engine.Answer // of a person, to what cannot be known
	forget   []journal.Place         // what failed and is done again

	keep     *engine.Keep   // of a plan that is to be saved
	saved    *planfile.Plan // that is applied
	seal     func([]byte) string
	run      string    // id, once it runs
	planTime time.Time // of a saved plan
}

// bind collects the mistakes of all files: inventory, playbook, variables, and what does not fit together.
func (a *app) bind(f *flags, load func() (*playbook.Playbook, error)) (*job, error) {
	var ms source.Mistakes
	inv, sources, err := a.loadInventory(f)
	if inv == nil {
		return nil, badFiles(err)
	}
	ms.AddErr(err)
	extra, err := vars.ParseExtra(f.extra, readFile)
	ms.AddErr(err)
	incomplete := ms.Len() > 0
	pb, err := load()
	ms.AddErr(err)
	if pb == nil {
		return nil, badFiles(ms.Err())
	}
	withVars, err := inv.WithPlaybook(pb.Dir)
	ms.AddErr(err)
	incomplete = incomplete || err != nil
	if withVars != nil {
		inv = withVars
	}
	var limit []string
	if f.limit != "" {
		if limit, err = limitHosts(inv, f.limit); err != nil {
			ms.AddErr(err)
		}
	}
	bound, err := playbook.Bind(pb, playbook.Env{Inventory: inv, Incomplete: incomplete, Tasks: tasks.All(), Facts: facts.Names(), Extra: extra,
		Limit: limit, Tags: f.tags, SkipTags: f.skipTags})
	ms.AddErr(err)
	ms.AddErr(engine.CheckTargets(inv, inv.Hosts(), ssh.CheckArgs))
	if bound != nil {
		ms.AddErr(engine.CheckVars(inv, bound, extra))
	}
	if err := ms.Err(); err != nil {
		return nil, badFiles(err)
	}
	a.warn(inv.Warnings())
	a.warn(bound.Warnings)
	return &job{inv: inv, sources: sources, bound: bound, extra: extra}, nil
}

func (a *app) listHosts(b *playbook.Bound) {
	for _, p := range b.Plays {
		say(a.out, "play %d [%s]: %s\n", p.Index, p.Title(), count(len(p.Targets), "host"))
		for _, h := range p.Targets {
			say(a.out, "  %s\n", h)
		}
	}
}

func (a *app) listTasks(b *playbook.Bound) {
	for _, p := range b.Plays {
		say(a.out, "play %d [%s]\n", p.Index, p.Title())
		for _, s := range p.Steps {
			tags := ""
			if len(s.Tags) > 0 {
				tags = "  tags: " + strings.Join(s.Tags, ", ")
			}
			say(a.out, "  %s  %s (%s)%s\n", s.ID, s.Title(), s.Task, tags)
		}
	}
}

func (a *app) listTags(b *playbook.Bound) {
	seen := map[string]bool{}
	defer func() {
		if len(seen) == 0 {
			say(a.err, "no task has a tag\n")
		}
	}()
	for _, p := range b.Plays {
		for _, s := range p.Steps {
			for _, t := range s.Tags {
				if !seen[t] {
					seen[t] = true
					say(a.out, "%s\n", t)
				}
			}
		}
	}
}
