// Package etcdgate is the gate that keeps changes from taking an etcd cluster's
// quorum away, whatever task makes them.
//
// What is weighed: a change that stops, restarts or removes a member, or the
// host, unit, container or package that it runs in, and one that changes the
// list of members; see words.Deeds for what of a command is recognised. Whether
// a host has a member is found on the host, not by its group. Votes are counted
// live over the cluster's own list, whether its members are in the inventory or
// not. So is one that takes away, or replaces, what a member that runs works on:
// the folder "member" of its data, its WAL, and what is above or within. A path
// with "etcd" in it is looked at on any host; of others only those of the hosts in
// etcd's groups.
//
// The rule:
//   - A member that is down already, or has no vote, may be stopped and restarted.
//   - A stop, and a restart with three or more voters, must leave a majority of
//     the voters healthy.
//   - The one member of a cluster of one may be restarted or its host rebooted,
//     with a warning: there is no other way. It may not be stopped.
//   - Of two voters neither can go: a restart is refused as a stop is.
//   - Where the quorum is lost already, a restart is agreed to, with a warning;
//     a stop of a member that still answers is refused.
//   - A member that runs keeps its data, whatever the votes. Stopped, they are
//     nobody's.
//   - A member is added, removed or given its vote only with the quorum, and so
//     that it stays. A voter may be added to a cluster of one by etcd_scaleup and
//     etcd_replace where the release has no learners: they prove the port first.
//   - Where the cluster cannot be read, nothing is agreed to.
//
// Options.LoseQuorum says of single hosts that it is meant all the same.
// Everything that etcd_restore does, and an undo of it, is agreed to: it is
// destructive, says that the cluster stops, and puts it back.
package etcdgate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/words"
)

// Limits on waiting.
const (
	lookLimit    = 30 * time.Second // at one host
	healLimit    = 5 * time.Minute  // for a member to be healthy again
	leaveLimit   = 90 * time.Second // for a host to go down that was told to
	kubeletLimit = 90 * time.Second // for a pod to go whose manifest is another, or gone
	putOffLimit  = 3 * time.Minute  // for a member to go that a command left in the background or a timer stops
	pulse        = time.Second
	settle       = 3 * time.Second // until what happens after a command has begun
)

// Options of a Gate.
type Options struct {
	// LoseQuorum are hosts on which changes may take the quorum away.
	LoseQuorum []string
}

// Gate is the quorum gate of one run.
type Gate struct {
	opt Options

	mu      sync.Mutex
	found   map[string]etcd.Instance // of hosts that are asked about others; settings may be as old as the run
	places  map[string][]string      // where hosts of etcd's groups have their data; as old as the run
	halted  map[string]bool          // in a dry run: hosts whose member it has stopped
	removed map[uint64]bool          // in a dry run: members that it has removed
	leaving map[string]mark          // hosts that were told to go down, and those whose member was
}

var (
	_ engine.Bystander = (*Gate)(nil)
	_ engine.Attentive = (*Gate)(nil)
)

// New makes the gate of a run.
func New(opt Options) *Gate {
	return &Gate{opt: opt, found: map[string]etcd.Instance{}, places: map[string][]string{}, halted: map[string]bool{}, removed: map[uint64]bool{}, leaving: map[string]mark{}}
}

const name = "etcd quorum"

// exempt is what the restore of a whole cluster does.
func exempt(c engine.Claim) bool { return c.Task == "etcd_restore" || c.Undoes == "etcd_restore" }

// Concerned looks at the change, and where it may matter at its host alone.
func (g *Gate) Concerned(ctx context.Context, c engine.Claim) bool {
	if exempt(c) || !mayMatter(c.Change) && !g.mayTake(ctx, c) {
		return false
	}
	t, err := g.look(ctx, c)
	return err != nil || !effects(t, c).none()
}

// effects is what the change does, in view of what the plan does next.
func effects(t target, c engine.Claim) effect {
	e := t.of(c.Change)
	if e.power != halts || e.host || e.data != "" {
		return e
	}
	for _, next := range c.Next {
		if p := t.stopped().of(next).power; p == starts || p == bounces {
			e.power, e.doing = bounces, "restarting"
		}
	}
	return e
}

// stopped is the target as a stop leaves it: a manifest is not in its place.
func (t target) stopped() target {
	t.Pod.Path = ""
	return t
}

// Claim weighs the change.
func (g *Gate) Claim(ctx context.Context, c engine.Claim) (func(), error) {
	if exempt(c) || !mayMatter(c.Change) && !g.mayTake(ctx, c) {
		return nil, nil
	}
	t, err := g.look(ctx, c)
	if err != nil {
		return nil, g.unless(c, &engine.GateError{Reason: "whether an etcd member runs here could not be found out: " + err.Error(),
			Hint: "look with root's rights (become: yes, -b)"})
	}
	e := effects(t, c)
	if e.none() {
		return nil, nil
	}
	cl, warn, refused := g.weigh(ctx, c, t, e)
	if refused == "" && ctx.Err() != nil {
		refused = "the votes could not be counted in time"
	}
	if refused != "" {
		if err := g.unless(c, &engine.GateError{Reason: refused, Hint: cl.hint(e)}); err != nil {
			return nil, err
		}
	} else if warn != "" {
		c.Warn(name+": "+warn, "")
	}
	return g.hold(ctx, c, t, e, cl), nil
}

// weigh counts votes, and a second time where an election or a busy host may have
// spoilt the first count.
func (g *Gate) weigh(ctx context.Context, c engine.Claim, t target, e effect) (cl *cluster, warn, refused string) {
	const counts = 2
	for i := range counts {
		if i > 0 && !pause(ctx, settle) {
			break
		}
		cl = g.read(ctx, c, t, e)
		if c.Check {
			g.without(cl)
		}
		if warn, refused = cl.verdict(c.Task, e); refused == "" && warn == "" || !cl.unsure {
			break
		}
	}
	return cl, warn, refused
}

func (cl *cluster) verdict(by string, e effect) (warn, refused string) {
	if e.power >= halts {
		warn, refused = cl.power(e)
	}
	if e.data != "" {
		refused = cl.data(e, refused)
	}
	for _, s := range e.members {
		if refused == "" {
			refused = cl.seat(s, by, &warn)
		}
	}
	return warn, refused
}

// unless refuses, or warns where the command line says that it is meant.
func (g *Gate) unless(c engine.Claim, e *engine.GateError) error {
	e.Gate, e.Host = name, c.Host
	if slices.Contains(g.opt.LoseQuorum, c.Host) {
		c.Warn(e.Error()+"; done all the same: --lose-quorum "+c.Host, "")
		return nil
	}
	meant := "if it is meant: --lose-quorum " + c.Host
	if e.Hint != "" {
		meant = e.Hint + "; " + meant
	}
	e.Hint = meant
	return e
}

// hold is what is waited for when the host's part is done.
func (g *Gate) hold(ctx context.Context, c engine.Claim, t target, e effect, cl *cluster) func() {
	if c.Check {
		g.foresee(c.Host, e, cl)
		return nil
	}
	if e.power < halts || !t.found {
		return nil
	}
	going := e.host && e.later // a command that returns before the host goes
	if going {
		g.mark(c.Host, mark{boot: cl.bootID})
	}
	if cl.own == nil || cl.own.Learner || !cl.own.Healthy {
		return nil
	}
	w := &watch{g: g, c: c, member: *cl.own, e: e, going: going, boot: cl.bootID}
	if e.within > 0 && !e.host {
		w.expect(ctx, t)
	}
	return w.wait
}

// power weighs the stop or restart of the host's own member.
func (cl *cluster) power(e effect) (warn, refused string) {
	if cl.down {
		return "", ""
	}
	if cl.unread != "" {
		return "", cl.unread
	}
	if cl.lost != "" && e.power == bounces {
		return cl.lost + ": a restart changes nothing", ""
	}
	if cl.lost != "" {
		return "", cl.lost
	}
	if cl.own == nil {
		return "", ""
	}
	v := etcd.Without(cl.members, *cl.own, e.doing)
	sum := etcd.Count(cl.members)
	switch {
	case v.OK:
		return "", ""
	case e.power == bounces && !sum.Quorum():
		return v.Text + "; a restart changes nothing", ""
	case e.power == bounces && sum.Voters == 1:
		return v.Text + ": the cluster stands still until it is back", ""
	}
	return "", v.Text
}

// seat weighs a change of the list of members; "" agrees.
func (cl *cluster) seat(s seat, by string, warn *string) (refused string) {
	if cl.unread != "" {
		return cl.unread
	}
	if cl.lost != "" {
		return cl.lost
	}
	m, known := cl.named(s)
	var v etcd.Verdict
	switch s.verb {
	case words.Add:
		v = etcd.AddVoter(cl.members, s.label())
		if !v.OK && etcd.Count(cl.members).Quorum() && !cl.version.HasLearners() && slices.Contains([]string{"etcd_scaleup", "etcd_replace"}, by) {
			*warn = v.Text + ": the cluster stands still until it has started"
			return ""
		}
	case words.AddLearner:
		v = etcd.AddLearner(cl.members, s.label())
	case words.Promote:
		if !known {
			return "" // etcd refuses what is no learner
		}
		v = etcd.Promote(cl.members, m)
	case words.Remove:
		if !known && !s.vague() {
			return "" // etcd knows no such member
		}
		if !known {
			m = cl.dearest()
		}
		v = etcd.Remove(cl.members, m)
	}
	if v.OK {
		return ""
	}
	return v.Text
}

// vague tells that any member may be meant. What a query does not find is none.
func (s seat) vague() bool {
	if s.query != nil {
		return !slices.Contains([]string{"name", "peerURLs", "clientURLs"}, s.query.Key)
	}
	return len(s.names) == 0 || words.Vague(s.names[0])
}

func (s seat) label() string {
	if s.vague() || s.query != nil {
		return "a member"
	}
	return s.names[0]
}

// named finds the member that a command means by its ID, by its name (v2) or by
// what a query will find.
func (cl *cluster) named(s seat) (etcd.Member, bool) {
	for _, m := range cl.members {
		switch q := s.query; {
		case q != nil && (q.Key == "name" && m.Name == q.Value || q.Key == "peerURLs" && slices.Contains(m.PeerURLs, q.Value) || q.Key == "clientURLs" && slices.Contains(m.ClientURLs, q.Value)):
			return m, true
		case q == nil && len(s.names) > 0 && (fmt.Sprintf("%x", m.ID) == strings.TrimLeft(strings.TrimPrefix(strings.ToLower(s.names[0]), "0x"), "0") || m.Name != "" && m.Name == s.names[0]):
			return m, true
		}
	}
	return etcd.Member{}, false
}

// dearest is the member whose loss costs most.
func (cl *cluster) dearest() etcd.Member {
	for _, m := range cl.members {
		if m.Healthy && !m.Learner {
			return m
		}
	}
	return cl.members[0]
}

// hint is what to do about a refusal.
func (cl *cluster) hint(e effect) string {
	if cl.unread != "" || cl.lost != "" {
		return "see etcd-health.yml"
	}
	if e.data != "" {
		return "stop the member first, which is weighed too; etcd-remove.yml takes one out of its cluster, etcd-replace.yml makes it anew"
	}
	var down []string
	for _, m := range cl.members {
		if !m.Healthy && !m.Learner {
			down = append(down, m.Label())
		}
	}
	switch {
	case len(down) > 0:
		return "first bring back " + strings.Join(down, ", ") + " (etcd-health.yml tells what is wrong)"
	case e.power == halts && len(cl.members) == 1:
		return "a restart is agreed to"
	case e.power >= halts && etcd.Count(cl.members).Voters == 2:
		return "two voters cannot do without one: add a third first"
	}
	return ""
}
