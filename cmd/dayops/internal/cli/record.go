package cli

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"time"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/guard"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/strictyaml"
)

// record is where a run is written down: its events for people, and, unless
// it only reads, its journal for a resume and an undo.
type record struct {
	id      string
	history *journal.History
	events  io.WriteCloser
	journal *journal.Journal
	memory  *journal.Memory // of an earlier controller of the run
}

func (r *record) Close() error {
	err := r.events.Close()
	if r.journal != nil {
		err = errors.Join(err, r.journal.Close())
	}
	return err
}

// newID is a short id that is probably new.
func newID() (string, error) {
	var b [3]byte
	_, err := rand.Read(b[:])
	return hex.EncodeToString(b[:]), err
}

// begin makes the record of a new run under a new short id.
func (a *app) begin(f *flags, j *job) (*record, error) {
	h, err := a.history()
	if err != nil {
		return nil, err
	}
	r := &record{history: h}
	for range 10 {
		if r.id, err = newID(); err != nil {
			return nil, err
		}
		if r.events, err = h.Begin(r.id); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil || f.check || f.readOnly {
		return r, err
	}
	if r.journal, err = h.Create(r.id); err == nil {
		var about *journal.Run
		if about, err = a.about(f, j, r.id); err == nil {
			err = r.journal.Append(journal.Record{Kind: journal.Began, Time: a.now().UTC(), Run: about})
		}
	}
	if err != nil {
		return nil, errors.Join(err, r.events.Close())
	}
	return r, nil
}

// about is what a resume must find as it was.
func (a *app) about(f *flags, j *job, id string) (*journal.Run, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	options, err := json.Marshal(f.kept(j.extra))
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(string(j.bound.Text))
	if err != nil {
		return nil, err
	}
	o, undo := a.owner(id), ""
	if j.undone != nil {
		undo = j.undone.Run.ID
	}
	return &journal.Run{Text: text, ID: id, Version: version(), User: o.User, Machine: o.Host, PID: o.PID, Playbook: j.bound.File, Builtin: j.bound.Builtin,
		Undo: undo, Dir: dir, Playbooks: j.bound.Digest(), Inventory: j.inv.Digest(), Sources: j.sources, Options: options}, nil
}

// owner is how locks name this process.
func (a *app) owner(run string) guard.Owner {
	o := guard.Owner{Run: run, PID: os.Getpid(), Start: a.now().UTC().Truncate(time.Second)}
	if u, err := user.Current(); err == nil {
		o.User = u.Username
	}
	o.Host, _ = os.Hostname()
	return o
}

// keptFlags are the flags that a resume goes on with; sealed in the journal.
// Passwords of logins are not among them: they are asked for again.
type keptFlags struct {
	Limit      string         `json:"limit,omitempty"`
	Forks      int            `json:"forks"`
	Extra      map[string]any `json:"extra,omitempty"`
	User       string         `json:"user,omitempty"`
	KeyFile    string         `json:"key_file,omitempty"`
	Common     string         `json:"ssh_common_args,omitempty"`
	HostKeys   string         `json:"host_keys,omitempty"`
	Become     bool           `json:"become,omitempty"`
	BecomeUser string         `json:"become_user,omitempty"`
	BecomeFile string         `json:"become_pass_file,omitempty"`
	PassFile   string         `json:"conn_pass_file,omitempty"`
	AskPass    bool           `json:"ask_pass,omitempty"`
	AskBecome  bool           `json:"ask_become,omitempty"`
	Tags       []string       `json:"tags,omitempty"`
	SkipTags   []string       `json:"skip_tags,omitempty"`
	Force      []string       `json:"force,omitempty"` // of an undo
	Leave      []string       `json:"leave,omitempty"`
	Plan       string         `json:"plan,omitempty"`     // file of the saved plan that is applied
	PlanSum    string         `json:"plan_sum,omitempty"` // its sha256
	Adhoc      bool           `json:"adhoc,omitempty"`    // a command, no playbook of a file
}

func (f *flags) kept(extra *strictyaml.Node) keptFlags {
	k := keptFlags{Limit: f.limit, Forks: f.forks, Extra: map[string]any{}, User: f.user, KeyFile: f.keyFile, Common: f.common, HostKeys: f.hostKeys,
		Become: f.become, BecomeUser: f.becomeUser, BecomeFile: f.becomeFile, PassFile: f.passFile, AskPass: f.askPass, AskBecome: f.askBecome,
		Tags: f.tags, SkipTags: f.skipTags, Force: f.force, Leave: f.leave, Plan: f.applied, PlanSum: f.appliedSum, Adhoc: f.adhoc}
	if extra == nil {
		return k
	}
	for _, p := range extra.Pairs {
		k.Extra[p.Key] = p.Value.Any()
	}
	return k
}

// take sets the flags of a run that is taken up again. What this command line
// says about connecting wins.
func (f *flags) take(k keptFlags) error {
	f.limit, f.tags, f.skipTags, f.adhoc = k.Limit, k.Tags, k.SkipTags, k.Adhoc
	for _, s := range []struct {
		to   *string
		from string
	}{{&f.user, k.User}, {&f.keyFile, k.KeyFile}, {&f.common, k.Common}, {&f.hostKeys, k.HostKeys}, {&f.becomeUser, k.BecomeUser}, {&f.becomeFile, k.BecomeFile}, {&f.passFile, k.PassFile}} {
		if *s.to == "" {
			*s.to = s.from
		}
	}
	f.become, f.askPass, f.askBecome = f.become || k.Become, f.askPass || k.AskPass, f.askBecome || k.AskBecome
	if f.forks == engine.DefaultForks {
		f.forks = k.Forks
	}
	if len(k.Extra) > 0 {
		text, err := json.Marshal(k.Extra)
		if err != nil {
			return fmt.Errorf("the variables of the run: %w", err)
		}
		f.extra = append([]string{string(text)}, f.extra...)
	}
	return nil
}
