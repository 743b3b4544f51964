package cli

import (
	"cmp"
	_ "embed"
	"html/template"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/secret"
)

//go:embed planshow.html
var planPage string

func (a *app) planShowCommand() *cobra.Command {
	var page string
	var verbose int
	cmd := &cobra.Command{
		Use: "show FILE", Short: "Show a saved plan; write it as a page",
		Example: "  dayops plan show site.plan\n  dayops plan show site.plan --html site.html",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := readPlan(args[0])
			if err != nil {
				return err
			}
			if page == "" {
				a.showPlan(p, verbose)
				return nil
			}
			return writePage(page, p)
		},
	}
	cmd.Flags().CountVarP(&verbose, "verbose", "v", "list every change of a stage that says in a few words what it does")
	cmd.Flags().StringVar(&page, "html", "", "write the plan as one self-contained page into this file")
	return cmd
}

// showPlan lists what each host would get, step by step.
func (a *app) showPlan(p *planfile.Plan, verbose int) {
	say(a.out, "plan of %s  made %s  %s  %s, %d unknown, %s\n", view.Line(p.Playbook), p.Made.Format("2006-01-02 15:04:05Z"),
		count(len(p.Hosts), "host"), count(p.Changes, "change"), p.Unknown, p.Risk)
	say(a.out, "%s\n", strings.Join(append([]string{"inventory " + view.Line(strings.Join(p.Sources, ", "))}, chosen(p.Options)...), "  "))
	last, done := "", map[*planfile.Cluster]bool{}
	text := view.NewText(a.out, view.TextOptions{Colour: view.Colour(a.out, a.getenv), Width: view.Width(a.out), Verbose: verbose})
	for i := range p.Steps {
		s := &p.Steps[i]
		c := clusterOf(p, s)
		if c != nil && done[c] {
			continue
		}
		if c == nil && len(s.Changes) == 0 && s.Status != "unknown" && len(s.Findings) == 0 {
			continue
		}
		if s.ID != last {
			word := "TASK"
			if s.Handler {
				word = "HANDLER"
			}
			say(a.out, "\n%s [%s] %s\n", word, view.Line(s.Step), view.Line(s.ID))
			last = s.ID
		}
		if c != nil {
			done[c] = true
			text.Staged(staged(p, c))
			continue
		}
		a.showPlanStep(s)
	}
}

// chosen are the options that the plan was made with, and depends on; of a secret
// -e only the names.
func chosen(o planfile.Options) []string {
	var out []string
	add := func(name, value string) {
		if value != "" {
			out = append(out, name+" "+view.Line(value))
		}
	}
	add("limit", o.Limit)
	add("tags", strings.Join(o.Tags, ","))
	add("skip tags", strings.Join(o.SkipTags, ","))
	add("user", o.User)
	if o.Become {
		add("become", cmp.Or(o.BecomeUser, "root"))
	}
	for _, e := range o.Extra {
		add("-e", e.Arg)
		for _, name := range e.Names {
			add("-e", name+"="+secret.Mask)
		}
	}
	return out
}

func (a *app) showPlanStep(s *planfile.Step) {
	host := s.Host
	if s.Target != "" {
		host += " on " + s.Target
	}
	if s.Item != "" {
		host += " (" + s.Item + ")"
	}
	for _, f := range s.Findings {
		say(a.out, "  %-10s %s  %s\n", f.Status, view.Line(host), view.Line(f.Text))
	}
	if s.Status == "unknown" {
		say(a.out, "  unknown    %s  until \"%s\" has run; %s at most\n", view.Line(host), view.Line(s.Unknown), s.MaxRisk)
	}
	for _, c := range s.Changes {
		marks := ""
		if c.Risk != "safe" {
			marks += "  " + strings.ToUpper(c.Risk)
		}
		switch c.Undo {
		case "none":
			marks += "  no undo: " + view.Line(c.Why)
		case "partial":
			marks += "  partial undo: " + view.Line(c.Why)
		}
		say(a.out, "  %-10s %s  %s%s\n", "change", view.Line(host), view.Line(c.Summary), marks)
		for line := range strings.SplitSeq(strings.TrimRight(c.Diff, "\n"), "\n") {
			if line != "" {
				say(a.out, "        %s\n", view.Line(line))
			}
		}
	}
}

// writePage writes the plan as HTML. Texts of hosts and files are escaped by
// the template; the page runs no script and loads nothing.
func writePage(path string, p *planfile.Plan) error {
	t, err := template.New("plan").Funcs(template.FuncMap{"lines": diffLines, "upper": strings.ToUpper, "clean": view.Clean, "headed": view.Headed, "diff": view.DiffOf, "chosen": chosen}).Parse(planPage)
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := t.Execute(&b, struct {
		*planfile.Plan
		Boxes []pageStep
	}{p, pageSteps(p)}); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

type diffLine struct{ Class, Text string }

func diffLines(diff string) []diffLine {
	var out []diffLine
	for line := range strings.SplitSeq(strings.TrimRight(diff, "\n"), "\n") {
		class := ""
		switch {
		case strings.HasPrefix(line, "+"):
			class = "add"
		case strings.HasPrefix(line, "-"):
			class = "del"
		case strings.HasPrefix(line, "@@"):
			class = "at"
		}
		out = append(out, diffLine{class, view.Clean(line)})
	}
	return out
}
