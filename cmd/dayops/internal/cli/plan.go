package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/planfile"
	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/playbooks"
)

func (a *app) planCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "plan PLAYBOOK", Short: "Say what a run would change, and change nothing; save it to be applied", GroupID: "work",
		Long: `Connect, read, and say per host what a run would change, with diffs, or which
step must have run before that can be known. The same as run --check --diff.

With -o FILE the plan is saved: what would be done, and what it stands on. dayops
plan show FILE shows it, dayops apply FILE does exactly that or nothing. When a host
cannot be reached no file is written (exit code 4). dayops doc plans has the form.`,
		Example: "  dayops plan site.yml -i hosts.yml\n  dayops plan site.yml --detailed-exitcode      10 when something would change\n" +
			"  dayops plan site.yml -o site.plan             save it\n  dayops plan show site.plan --html site.html\n  dayops apply site.plan",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f.check, f.diff = true, true
			if f.output != "text" && f.output != "json" {
				f.planFile, f.output = f.output, "text"
			}
			return a.playbook(&f, args[0])
		},
	}
	f.playbookFlags(cmd.Flags())
	cmd.Flags().Lookup("output").Usage = "save the plan in this FILE; or text, or json: one event a line and nothing else on standard output"
	cmd.Flags().BoolVar(&f.detailed, "detailed-exitcode", false, "exit 10 when something would change or is unknown")
	cmd.ValidArgsFunction = a.completePlaybooks
	cmd.AddCommand(a.planShowCommand())
	return cmd
}

func (a *app) applyCommand() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use: "apply FILE", Short: "Do what a saved plan says, exactly, or nothing", GroupID: "work",
		Long: `Read every host and file again, and refuse with exit code 8, naming what has moved,
when anything that the plan stands on is not as it was. Otherwise do exactly what the
plan says. A step that could not be planned then may do no more than the plan declares
for it; one that wants something else stops and asks, or fails.

Playbook, inventory, --limit, tags and variables are the plan's. A secret variable is
not in the file: give its -e again. Approval is needed as in dayops run.`,
		Example: "  dayops plan site.yml -o site.plan\n  dayops apply site.plan -y",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"inventory", "limit", "become", "become-user", "user"} {
				if cmd.Flags().Changed(name) {
					return usage("make another plan", "--%s is the plan's to say", name)
				}
			}
			return a.apply(&f, args[0])
		},
	}
	f.connectFlags(cmd.Flags())
	f.changeFlags(cmd.Flags())
	cmd.Flags().BoolVarP(&f.diff, "diff", "D", false, "show what changes inside files")
	for _, name := range []string{"inventory", "limit", "become", "become-user", "user"} {
		_ = cmd.Flags().MarkHidden(name)
	}
	return cmd
}

// savePlan makes the forecast and writes it down, unless something failed.
func (a *app) savePlan(f *flags, j *job) error {
	seal, err := a.sealer()
	if err != nil {
		return err
	}
	if info, err := os.Stat(f.planFile); err == nil && !info.Mode().IsRegular() {
		return usage("", "%s is not a file", f.planFile)
	}
	if err := canHold(f.planFile); err != nil {
		return err
	}
	p := &planfile.Plan{Format: planfile.Format, Version: planfile.Version, Made: a.now().UTC(), Playbook: j.bound.File, Sources: j.sources,
		Options: planfile.Options{Limit: f.limit, Tags: f.tags, SkipTags: f.skipTags, User: f.user, Become: f.become || f.becomeUser != "", BecomeUser: f.becomeUser}}
	if p.Options.Extra, err = sealExtra(f.extra, seal); err != nil {
		return err
	}
	if p.Inputs, err = inputs(f, j, seal); err != nil {
		return err
	}
	j.planTime = p.Made
	j.keep = &engine.Keep{Seal: seal}
	var shown *errShown
	ran := a.execute(context.Background(), f, j)
	if errors.As(ran, &shown) && shown.code != exitChanges || ran != nil && shown == nil {
		say(a.err, "no plan was written to %s\n", f.planFile)
		return ran
	}
	p.Run, p.Hosts, p.Steps, p.Clusters = j.run, j.keep.Hosts, j.keep.Steps, j.keep.Clusters
	p.Inputs = append(p.Inputs, j.keep.Files...)
	sumUp(p)
	data, err := planfile.Encode(p)
	if err == nil {
		_, err = planfile.Decode(data)
	}
	if err == nil {
		err = replaceFile(f.planFile, data)
	}
	if err != nil {
		return err
	}
	say(a.out, "plan saved in %s: %s, %d unknown, %s\nnext: dayops plan show %s; dayops apply %s%s\n", f.planFile, count(p.Changes, "change"), p.Unknown, p.Risk, f.planFile, f.planFile, approval(p.Risk)+again(p.Options.Extra))
	return ran
}

// approval is the option that a plan of some risk is applied with.
func approval(risk string) string {
	if risk == change.Safe.String() {
		return ""
	}
	return " --approve " + risk
}

// replaceFile writes a private file whole or not at all.
func replaceFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".dayops-plan-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func sumUp(p *planfile.Plan) {
	risk := change.Safe
	p.Changes, p.Unknown = 0, 0
	for _, s := range p.Steps {
		p.Changes += len(s.Changes)
		if s.Status == "unknown" {
			p.Unknown++
		}
		for _, w := range append([]string{s.MaxRisk}, risks(s)...) {
			for _, r := range []change.Risk{change.Disruptive, change.Destructive} {
				if r.String() == w {
					risk = max(risk, r)
				}
			}
		}
	}
	p.Risk = risk.String()
}

func risks(s planfile.Step) []string {
	var out []string
	for _, c := range s.Changes {
		out = append(out, c.Risk)
	}
	return out
}

// apply does what a saved plan says.
func (a *app) apply(f *flags, file string) error {
	p, err := readPlan(file)
	if err != nil {
		return err
	}
	seal, err := a.sealer()
	if err != nil {
		return err
	}
	if f.extra, err = openExtra(p.Options.Extra, f.extra, seal); err != nil {
		return err
	}
	o := p.Options
	f.inventory, f.limit, f.tags, f.skipTags, f.user, f.become, f.becomeUser = p.Sources, o.Limit, o.Tags, o.SkipTags, o.User, o.Become, o.BecomeUser
	j, err := a.bind(f, func() (*playbook.Playbook, error) {
		src, err := playbook.Find(p.Playbook, playbooks.FS)
		if err != nil {
			return nil, err
		}
		return src.Load()
	})
	var mistakes source.List
	if err != nil && !errors.As(err, &mistakes) {
		return err
	}
	if err == nil {
		var now []planfile.Input
		if now, err = inputs(f, j, seal); err != nil {
			return err
		}
		was := slices.DeleteFunc(slices.Clone(p.Inputs), func(i planfile.Input) bool { return i.What == "file" })
		if d := planfile.Inputs(was, now); len(d) > 0 {
			return a.staleHere(d)
		}
	} else {
		// What does not bind any more has moved, whatever else it is.
		say(a.err, "%s", mistakes.Excerpts())
		if _, err := os.Stat(p.Playbook); err != nil && !strings.HasPrefix(p.Playbook, "builtin:") {
			return &coded{code: exitStale, err: fmt.Errorf("the plan is stale: its playbook %s is not here; nothing was connected", p.Playbook),
				hint: "paths of a plan start where it was made: apply it there; or make the plan again"}
		}
		return a.staleHere([]planfile.Difference{{Where: planfile.Here, What: "playbook " + p.Playbook, Was: "without mistakes", Is: count(len(mistakes), "mistake")}})
	}
	j.saved, j.seal, j.planTime = p, seal, p.Made
	if f.applied, f.appliedSum, err = planSum(file); err != nil {
		return err
	}
	return a.execute(context.Background(), f, j)
}

// planSum is where a plan lies, and its sum: a resume goes on with the same one.
func planSum(file string) (path, sum string, err error) {
	if path, err = filepath.Abs(file); err != nil {
		return "", "", err
	}
	data, err := source.ReadFile(path, planfile.MaxBytes)
	h := sha256.Sum256(data)
	return path, hex.EncodeToString(h[:]), err
}

// holdTo makes a run that is taken up again keep to the plan that it was applying.
func (a *app) holdTo(j *job, k keptFlags) error {
	if k.Plan == "" {
		return nil
	}
	_, sum, err := planSum(k.Plan)
	if err != nil || sum != k.PlanSum {
		return &coded{code: exitStale, err: fmt.Errorf("the run applies the plan %s, which is not there any more as it was", k.Plan), hint: "put it back; the run goes on with nothing else"}
	}
	if j.saved, err = readPlan(k.Plan); err != nil {
		return err
	}
	j.planTime = j.saved.Made
	j.seal, err = a.sealer()
	return err
}

func (a *app) staleHere(d []planfile.Difference) error {
	for _, x := range d {
		say(a.err, "  %s\n", x)
	}
	return &coded{code: exitStale, err: errors.New("the plan is stale; nothing was connected"), hint: "make the plan again, and review it"}
}

func readPlan(file string) (*planfile.Plan, error) {
	data, err := source.ReadFile(file, planfile.MaxBytes)
	if err != nil {
		return nil, usage("dayops plan PLAYBOOK -o FILE makes one", "cannot read %s: %s", file, source.Reason(err))
	}
	p, err := planfile.Decode(data)
	if ext := strings.ToLower(filepath.Ext(file)); err != nil && (ext == ".yml" || ext == ".yaml") {
		return nil, usage("dayops plan "+file+" -o FILE makes one", "%s: this is no saved plan", file)
	}
	if err != nil {
		return nil, usage("dayops plan PLAYBOOK -o FILE makes one", "%s: %s", file, err)
	}
	sums := *p
	if sumUp(&sums); sums.Changes != p.Changes || sums.Unknown != p.Unknown || sums.Risk != p.Risk {
		return nil, usage("make the plan again", "%s was edited: it says %s, %d unknown, %s, and its steps %s, %d unknown, %s", file,
			count(p.Changes, "change"), p.Unknown, p.Risk, count(sums.Changes, "change"), sums.Unknown, sums.Risk)
	}
	return p, nil
}

// inputs are the files of this machine that binding read, with their sums.
func inputs(f *flags, j *job, seal func([]byte) string) ([]planfile.Input, error) {
	in := []planfile.Input{sumOf(j.bound.File, "playbook", j.bound.Text, seal)}
	seen := map[string]bool{j.bound.File: true}
	add := func(path, what string) error {
		if seen[path] {
			return nil
		}
		seen[path] = true
		data, err := source.ReadFile(path, strictyaml.MaxBytes)
		if err == nil {
			in = append(in, sumOf(path, what, data, seal))
		}
		return err
	}
	var errs []error
	for _, path := range j.inv.Files() {
		errs = append(errs, add(path, "inventory"))
	}
	for _, p := range j.bound.Plays {
		for _, v := range p.VarsFiles {
			errs = append(errs, add(v.Path, "variables"))
		}
	}
	for _, word := range strings.Split(f.limit, ",") {
		if path, ok := strings.CutPrefix(strings.TrimSpace(word), "@"); ok {
			errs = append(errs, add(path, "limit"))
		}
	}
	for _, e := range f.extra {
		if path, ok := strings.CutPrefix(e, "@"); ok {
			errs = append(errs, add(path, "variables"))
		}
	}
	return in, errors.Join(errs...)
}
