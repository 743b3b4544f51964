package etcdgate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// cluster is what could be read of the target's cluster.
type cluster struct {
	members []etcd.Member // of the truest list
	own     *etcd.Member  // the target's; nil where it is in none
	version etcd.Version
	bootID  string

	unsure bool   // somebody may answer in a moment who did not
	down   bool   // the target's member does not run: nothing is lost with it
	lost   string // why there is no quorum, where members answer and say so
	unread string // why nothing can be said
}

// groups whose hosts are asked about a cluster.
func groups() []string { return []string{"etcd", "masters", "new_etcd"} }

// others are the hosts that may know the cluster.
func others(c engine.Claim) []string {
	var out []string
	for _, g := range groups() {
		for _, h := range c.Inventory[g] {
			if h != c.Host && !slices.Contains(out, h) {
				out = append(out, h)
			}
		}
	}
	return out
}

// word is what one host says.
type word struct {
	host string
	in   etcd.Instance
	v    etcd.Votes
}

// read counts the votes: the target's own member is asked first. Where it does
// not see a leader, the first of the others that does is believed; where the sum
// is not enough, those that did not answer are asked on their own hosts.
func (g *Gate) read(ctx context.Context, c engine.Claim, t target, e effect) *cluster {
	cl := &cluster{}
	var own, best word
	var problems []string
	if t.found {
		own = word{host: c.Host, in: t.Instance}
		var err error
		if own.v, err = count(ctx, c, c.Host, t.Instance); err != nil {
			own.v = etcd.Votes{Problem: err.Error()}
		}
		cl.bootID = bootID(ctx, c)
		if best = own; own.v.Problem != "" {
			problems = append(problems, c.Host+": "+own.v.Problem)
		}
		cl.down = own.v.Own == nil && t.Down() && !waking(t.Instance) && !taken(ctx, c, t.Endpoint)
	}
	if cl.down && len(e.members) == 0 {
		return cl
	}
	for _, h := range others(c) {
		if best.v.Quorate() || ctx.Err() != nil {
			break
		}
		w, ok, err := g.ask(ctx, c, h)
		switch {
		case err != nil:
			problems = append(problems, h+": "+err.Error())
		case !ok:
		case w.v.Problem != "" && w.v.Own == nil:
			problems = append(problems, h+": "+w.v.Problem)
		case t.found && own.v.Own != nil && w.v.Cluster != own.v.Cluster: // another cluster
		case w.v.Quorate() || best.v.Own == nil:
			best = w
		}
	}
	cl.conclude(own, best, t.found, problems)
	cl.unsure = cl.lost+cl.unread != ""
	if len(cl.members) > 0 {
		g.complete(ctx, c, cl, best)
	}
	return cl
}

// conclude takes the best word for the cluster's.
func (cl *cluster) conclude(own, best word, found bool, problems []string) {
	why := "its cluster cannot be read"
	if len(problems) > 0 {
		why += " (" + strings.Join(problems, "; ") + ")"
	} else if !found {
		why = "no etcd member that could be asked was found in the groups " + strings.Join(groups(), ", ")
	}
	switch {
	case best.v.Quorate():
		cl.members, cl.version = slices.Clone(best.v.Members), best.v.Version()
		m, ok := own.v.Find(cl.members, own.in)
		switch {
		case found && ok:
			cl.own = &m
		case found && own.v.Own == nil && !cl.down && !wasIn(own.in, cl.members):
			cl.unread = "the host's member does not answer, and is not in the list of " + best.host + ": " + why
		}
	case best.v.Own != nil && best.v.Own.Leader == 0:
		cl.lost = "the quorum is lost already: " + best.host + " sees no leader"
		if len(best.v.Members) > 0 {
			cl.lost = fmt.Sprintf("%s (of %d members)", cl.lost, len(best.v.Members))
		}
	default:
		cl.unread = why
	}
}

// wasIn tells settings that were made for this cluster: who is not in its list
// is no member any more, or none yet.
func wasIn(in etcd.Instance, members []etcd.Member) bool {
	for pair := range strings.SplitSeq(in.InitialCluster, ",") {
		_, url, _ := strings.Cut(pair, "=")
		if slices.ContainsFunc(members, func(m etcd.Member) bool {
			return !etcd.Local(url) && slices.Contains(m.PeerURLs, strings.TrimSuffix(strings.TrimSpace(url), "/"))
		}) {
			return true
		}
	}
	return false
}

// count asks one host's member.
func count(ctx context.Context, c engine.Claim, host string, in etcd.Instance) (etcd.Votes, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	r, err := c.Live(ctx, host)
	if err != nil {
		return etcd.Votes{}, err
	}
	return etcd.CountVotes(ctx, r, in)
}

// ask finds and asks the member of another host; false where it has none. One
// that does not run is not waited for.
func (g *Gate) ask(ctx context.Context, c engine.Claim, host string) (word, bool, error) {
	w := word{host: host}
	var ok bool
	var err error
	if w.in, ok, err = find(ctx, c, host); err != nil || !ok {
		return w, false, err
	}
	g.mu.Lock()
	g.found[host] = w.in
	g.mu.Unlock()
	if w.in.Down() && !waking(w.in) {
		w.v.Problem = "etcd does not run"
		return w, true, nil
	}
	w.v, err = count(ctx, c, host, w.in)
	return w, true, err
}

func find(ctx context.Context, c engine.Claim, host string) (etcd.Instance, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	r, err := c.Live(ctx, host)
	if err != nil {
		return etcd.Instance{}, false, err
	}
	return etcd.Find(ctx, r, etcd.Places{})
}

// waking tells a unit that is on its way up, which Down does not.
func waking(in etcd.Instance) bool {
	return in.Service.ActiveState == "reloading" || in.Service.ActiveState == "activating" && in.Service.SubState != "auto-restart"
}

// complete hears those that the best word calls silent on their own hosts, and
// takes into account what the run itself has done or would do: hosts that were
// told to go down, and in a dry run members that it stops or starts.
func (g *Gate) complete(ctx context.Context, c engine.Claim, cl *cluster, best word) {
	stopped := map[uint64]bool{}
	silent := slices.ContainsFunc(cl.members, func(m etcd.Member) bool { return !m.Healthy })
	g.mu.Lock()
	leaving := len(g.leaving) > 0
	g.mu.Unlock()
	for _, h := range others(c) {
		if !silent && !leaving && !c.Check || ctx.Err() != nil {
			break
		}
		in, ok, err := find(ctx, c, h)
		if err != nil {
			in = g.instance(h)
			ok = in.Name != ""
		}
		m, listed := etcd.Votes{}.Find(cl.members, in)
		if ok && !listed && err == nil && !in.Down() { // it has neither a name nor a URL of its own
			v, _ := count(ctx, c, h, in)
			m, listed = v.Find(cl.members, in)
		}
		if !ok || !listed {
			continue
		}
		at := &cl.members[slices.IndexFunc(cl.members, func(x etcd.Member) bool { return x.ID == m.ID })]
		stopped[m.ID] = err == nil && in.Down() && !waking(in)
		if !at.Healthy && err == nil && !stopped[m.ID] {
			v, err := count(ctx, c, h, in)
			at.Healthy = err == nil && v.Own != nil && v.Own.MemberID == m.ID && v.Own.Leader != 0 && v.Cluster == best.v.Cluster &&
				v.Own.Index+etcd.MaxLag >= best.v.Own.Index
		}
		if g.leaves(ctx, c, h) {
			at.Healthy = false
		}
		if c.Check {
			at.Healthy = g.foreseen(ctx, c, h, in, at.Healthy)
		}
	}
	cl.unsure = cl.unsure || slices.ContainsFunc(cl.members, func(m etcd.Member) bool { return !m.Healthy && !stopped[m.ID] })
	if cl.own != nil {
		i := slices.IndexFunc(cl.members, func(x etcd.Member) bool { return x.ID == cl.own.ID })
		cl.own = &cl.members[i]
	}
}

func (g *Gate) instance(host string) etcd.Instance {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.found[host]
}

// foreseen is whether a member would be healthy at this place of a dry run. A
// stop counts once this gate has agreed to it: other hosts are ahead of theirs.
func (g *Gate) foreseen(ctx context.Context, c engine.Claim, host string, in etcd.Instance, healthy bool) bool {
	g.mu.Lock()
	halted := g.halted[host]
	g.mu.Unlock()
	would, err := runs(ctx, c, host, in)
	switch {
	case err != nil:
		return healthy && !halted
	case !would && !in.Down() && halted:
		return false
	case would && in.Down():
		return true
	}
	return healthy
}

// runs tells whether the member would run after what has been foreseen: its unit
// does, or its manifest is in its place. The rest of a host is not to be asked
// about what was not done.
func runs(ctx context.Context, c engine.Claim, host string, in etcd.Instance) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	r, err := c.Read(ctx, host)
	if err != nil {
		return false, err
	}
	if in.Runtime == etcd.PodRuntime {
		files, err := r.Stat(ctx, in.Manifest)
		return err == nil && files[0].Exists, err
	}
	units, err := r.Units(ctx, in.Unit)
	return err == nil && units[0].Active(), err
}

func bootID(ctx context.Context, c engine.Claim) string {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	r, err := c.Live(ctx, c.Host)
	if err != nil {
		return ""
	}
	const most = 100
	id, err := r.ReadFile(ctx, "/proc/sys/kernel/random/boot_id", most)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
