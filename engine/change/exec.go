package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/secret"
)

var _ Change = (*Exec)(nil)

// Kind is "exec".
func (e *Exec) Kind() string { return "exec" }

// Summary is Purpose, or the command, as secret.Args masks it.
func (e *Exec) Summary() string {
	if e.Purpose != "" {
		return reader.Printable(secret.String(e.Purpose))
	}
	words := secret.Args(e.shownArgv())
	for i, a := range e.Argv {
		if words[i] = reader.Printable(words[i]); a == "" || strings.ContainsAny(a, " \t\n'\"$`\\") {
			words[i] = "'" + strings.ReplaceAll(words[i], "'", `'\''`) + "'"
		}
	}
	const most = 200
	s := "run " + strings.Join(words, " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	return s
}

// Diff is "".
func (e *Exec) Diff() string { return "" }

// Risk is Class.
func (e *Exec) Risk() Risk { return e.Class }

// Reversal is None without Undo.
func (e *Exec) Reversal() Reversal {
	switch {
	case e.Staging && e.UndoWhy == "":
		return Reversal{Exact, stagingGoes}
	case e.NoReturn:
		return Reversal{None, "it is for good"}
	case len(e.Undo) == 0:
		return Reversal{None, "dayops does not know what the command does"}
	case e.UndoWhy != "":
		return Reversal{Partial, reader.Printable(e.UndoWhy)}
	}
	return Reversal{Exact, "then: " + summaries(e.undo())}
}

// undo is Undo as changes.
func (e *Exec) undo() []Change {
	var out []Change
	for _, u := range e.Undo {
		out = append(out, u)
	}
	return out
}

var errUndo = errors.New("what takes a command back needs a probe that tells whether it is done, and nothing that takes it back itself")

// invert gives Undo. A command whose inverse cannot be told apart from what is
// done already is refused before it is made.
func (e *Exec) invert(context.Context, Host, Keeper) ([]Change, error) {
	for _, u := range e.Undo {
		if u == nil || u.Done == nil || len(u.Undo) > 0 {
			return nil, errUndo
		}
	}
	return e.undo(), nil
}

// Opaque is true without a probe.
func (e *Exec) Opaque() bool { return e.Done == nil }

func (e *Exec) observe(ctx context.Context, h Host) (Where, error) {
	if e.Done == nil {
		return Before, nil
	}
	done, err := e.Done.ask(ctx, h.read())
	return side(done, true), err
}

var errProbe = errors.New("a probe that finds something asks nothing else")

// Ask puts the question to a host, without changing it.
func (p *Probe) Ask(ctx context.Context, r Looker) (bool, error) { return p.ask(ctx, r) }

func (p *Probe) ask(ctx context.Context, r Looker) (bool, error) {
	if p.Find != nil {
		if p.Path != "" || len(p.Argv) > 0 {
			return false, errProbe
		}
		yes, _, err := p.Find.holds(ctx, r, p.Is)
		return yes != p.Absent && err == nil, err
	}
	if p.Path != "" {
		files, err := r.Stat(ctx, p.Path)
		if err != nil {
			return false, err
		}
		if files[0].Exists == p.Absent || len(p.Argv) == 0 {
			return files[0].Exists != p.Absent, nil
		}
	}
	if len(p.Argv) == 0 {
		return false, fmt.Errorf("a probe that asks nothing")
	}
	res, err := r.Probe(ctx, p.Argv...)
	return err == nil && res.Code == p.Code, err
}

// apply runs the command. How it exited is in Outcome.Exec and no error: the
// engine judges it (failed_when).
func (e *Exec) apply(ctx context.Context, h Host) (Outcome, error) {
	if e.Done != nil {
		done, err := e.Done.ask(ctx, h.read())
		if err != nil || done {
			return Outcome{}, err
		}
	}
	limit := e.Limit
	if limit <= 0 {
		limit = ChangeLimit
	}
	argv, err := e.argv(ctx, h.read())
	if err != nil {
		return Outcome{}, err
	}
	const every = 2 * time.Second
	for waited := time.Duration(0); ; waited += every {
		stdin, err := e.input(h, argv)
		if err != nil {
			return Outcome{}, err
		}
		res, err := h.Conn.Run(ctx, conn.Cmd{Argv: argv, Env: e.Env, Dir: e.Dir, As: h.As, Stdin: stdin, Limit: limit})
		if err != nil {
			return Outcome{}, err
		}
		if res.Code == 0 || waited >= e.AgainFor || !strings.Contains(res.Stdout.String()+res.Stderr.String(), e.Again) {
			return Outcome{Changed: true, Exec: &res}, nil
		}
		if err := sleep(ctx, every); err != nil {
			return Outcome{}, err
		}
	}
}

var errTwoInputs = errors.New("a command has either an input of its own or a password's")

// input is what the command reads; nil for nothing.
func (e *Exec) input(h Host, argv []string) (io.Reader, error) {
	switch {
	case e.Login != "" && e.Stdin != nil:
		return nil, errTwoInputs
	case e.Login != "":
		text, err := h.Logins.Input(e.Login, reader.EtcdUser(argv))
		return bytes.NewReader(text), err
	case e.Stdin != nil:
		return bytes.NewReader(e.Stdin), nil
	}
	return nil, nil
}

// effect: what a probe names is known afterwards, the rest is not.
func (e *Exec) effect(o *Overlay) {
	switch {
	case e.Done == nil:
		o.opaque(e.Summary())
	case e.Done.Path != "" && e.Done.Absent:
		o.remove(path.Clean(e.Done.Path))
	case e.Done.Path != "":
		o.put(path.Clean(e.Done.Path), OverlayFile{Unknown: true})
	}
}
