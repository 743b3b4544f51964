package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dayops/dayops/cmd/dayops/internal/view"
	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/event"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/secret"
	"github.com/dayops/dayops/tasks"
)

// execute runs a checked job: connections, history, views, signals.
func (a *app) execute(ctx context.Context, f *flags, j *job) error {
	shown, err := a.shown(f)
	if err != nil {
		return err
	}
	opt, err := a.options(f, j)
	if err != nil {
		return err
	}
	rec := j.record
	if rec == nil {
		if rec, err = a.begin(f, j); err != nil {
			return err
		}
	}
	defer rec.Close()
	j.run = rec.id
	opt.Shown["resume"] = rec.journal != nil
	opt.RunID, opt.Journal, opt.Memory, opt.OpenBlob, opt.Owner = rec.id, rec.journal, rec.memory, rec.history.OpenBlob, a.owner(rec.id)
	opt.Undone, opt.UndoneOn = j.undone, j.undoneOn
	lock, err := a.inventoryLock(j.sources, opt.Owner)
	if err != nil {
		return err
	}
	defer lock.Close()
	opt.Lock = lock.take
	kept := view.NewJSON(rec.events)
	opt.Sink = view.Many{shown, kept}
	opt.Dialer = a.dialer()
	defer opt.Dialer.Close()
	ctx, stop, done := a.signals(ctx)
	defer done()
	opt.Stop, opt.Approver = stop, a.approver(f, stop)
	rep := engine.Run(ctx, opt)
	if err := errors.Join(lineError(shown), kept.Err()); err != nil {
		return fmt.Errorf("not all of run %s could be written down: %w", rec.id, err)
	}
	code, _ := codeOf(rep, f.detailed)
	if rec.journal != nil {
		if err := rec.journal.Append(journal.Record{Kind: journal.Ended, Time: a.now().UTC(), Code: code}); err != nil {
			return err
		}
	}
	if code != exitDone {
		return &errShown{code}
	}
	return nil
}

// options are what the command line and the files say of a run.
func (a *app) options(f *flags, j *job) (engine.Options, error) {
	login, err := a.login(f)
	if err != nil {
		return engine.Options{}, err
	}
	hostDir, aside, err := a.hostFolders()
	if err != nil {
		return engine.Options{}, err
	}
	approved, err := f.approved()
	if err != nil {
		return engine.Options{}, err
	}
	gates, err := f.gates(j.inv)
	if err != nil {
		return engine.Options{}, err
	}
	shown := map[string]any{"inventory": strings.Join(j.sources, ", "), "who": a.who()}
	if f.yes || f.approve != "" {
		shown["approved"] = approved.String()
	}
	red := &secret.Redactor{}
	red.Add(login.Password.Reveal())
	red.Add(login.BecomePassword.Reveal())
	return engine.Options{
		Playbook: j.bound, Inventory: j.inv, Extra: j.extra, Redactor: red, Now: a.now,
		Forks: f.forks, Check: f.check, Diff: f.diff, Login: login, HostDir: hostDir, Aside: aside,
		Approve: approved, Gates: gates, Retype: a.retype, Keep: j.keep, Saved: j.saved, Seal: j.seal, PlanTime: j.planTime,
		Proofs: tasks.Proofs(), Answers: j.answers, LockExpiry: f.lockExpiry,
		Shown:    shown,
		ExitCode: func(r engine.Report) (int, string) { return codeOf(r, f.detailed) },
	}, nil
}

// who is account@machine, and for root through sudo whose session it was.
func (a *app) who() string {
	name := "uid " + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if machine, err := os.Hostname(); err == nil {
		name += "@" + machine
	}
	if from := a.getenv("SUDO_USER"); from != "" && os.Getuid() == 0 {
		name += " (sudo of " + from + ")"
	}
	return name
}

// lineError: programs must not take half of the JSON lines for the whole.
func lineError(s event.Sink) error {
	if j, ok := s.(*view.JSON); ok {
		return j.Err()
	}
	return nil
}

// shown is what shows the run: JSON lines or text, with a bar on a terminal.
func (a *app) shown(f *flags) (event.Sink, error) {
	switch f.output {
	case "json":
		return view.NewJSON(a.out), nil
	case "text":
		var s event.Sink = view.NewText(a.out, view.TextOptions{Width: view.Width(a.out), Colour: view.Colour(a.out, a.getenv), Verbose: f.verbose, Quiet: f.quiet, Output: f.showOutput})
		if view.IsTerminal(a.err) && !f.quiet && a.getenv("TERM") != "dumb" {
			s = view.NewBar(a.err, s)
		}
		return s, nil
	}
	return nil, usage("text or json", "--output=%s is not known", f.output)
}

// signals gives the two-step end: the first SIGINT or SIGTERM closes stop, the
// second ends the context, and dayops is gone AbortGrace later in any case.
func (a *app) signals(parent context.Context) (context.Context, <-chan struct{}, func()) {
	ctx, cancel := context.WithCancel(parent)
	stop, quit := make(chan struct{}), make(chan struct{})
	sig := make(chan os.Signal, 2)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM)
	// A reader of the output that goes away ("| head") must not end a run in the
	// middle of a change. Ignored, the signal would be ignored by what we start too.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-sig:
			say(a.err, "\nfinishing the steps under way, then stopping; once more to abort them\n")
			close(stop)
		case <-quit:
			return
		}
		select {
		case <-sig:
			say(a.err, "\naborting\n")
			cancel()
		case <-quit:
			return
		}
		select {
		case <-time.After(engine.AbortGrace):
			say(a.err, "what was under way did not end in time; look at the hosts\n")
			os.Exit(exitInterrupted)
		case <-quit:
		}
	}()
	return ctx, stop, func() {
		signal.Stop(sig)
		signal.Stop(pipe)
		close(quit)
		<-ended
		cancel()
	}
}
