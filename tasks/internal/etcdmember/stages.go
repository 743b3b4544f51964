package etcdmember

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
)

// Making collects the stages of a plan.
type Making struct {
	View      *View
	Stages    []task.Stage
	Finally   []task.Step
	OnFailure task.Failure
	Excused   []string
	confs     map[string]File // settings that new members will have, by host
	commit    bool
}

// Commit says that what was done up to here is good and stays, whatever fails later.
func (k *Making) Commit() { k.commit = true }

// Plan is the plan with the stages that were added.
func (k *Making) Plan(f Findings) task.Plan {
	return task.Plan{Stages: k.Stages, Finally: k.Finally, Findings: f, OnFailure: k.OnFailure, Excused: k.Excused}
}

// On adds a stage of one host; without changes none.
func (k *Making) On(name, host string, changes ...change.Change) {
	var steps []task.Step
	for _, c := range changes {
		steps = append(steps, task.Step{Host: host, Change: c})
	}
	k.Stage(name, 0, steps...)
}

// Stage adds a stage; without steps none.
func (k *Making) Stage(name string, window int, steps ...task.Step) {
	if len(steps) > 0 {
		k.Stages = append(k.Stages, task.Stage{Name: name, Steps: steps, Window: window, Commit: k.commit})
	}
}

// does says of the last stage in a few words what its changes come to.
func (k *Making) does(text string) { k.Stages[len(k.Stages)-1].Does = text }

// Limits of what a plan waits for.
const (
	portLimit    = 15 * time.Second
	reachedLimit = 45 * time.Second
	commandLimit = 2 * time.Minute
	retryEvery   = 2 * time.Second
)

// NotYet is what etcd says to a change of its members while some of them have not
// been connected to one another for 5 s: after a start, an election, another change.
const (
	NotYet      = "unhealthy cluster"
	NotYetLimit = 30 * time.Second
)

// Reach proves that a new host reaches the members, before anything is changed:
// what listens there answers, and names are known on both sides.
func (k *Making) Reach(a *Addition, gone ...Leaving) {
	if a.Begun || a.Member {
		return
	}
	var steps []task.Step
	add := func(host string, c change.Change) { steps = append(steps, task.Step{Host: host, Change: c}) }
	for _, m := range k.View.Members {
		if slices.ContainsFunc(gone, func(l Leaving) bool { return l.Member.ID == m.ID && !l.Alive }) {
			continue
		}
		for _, u := range slices.Concat(m.PeerURLs, m.ClientURLs) {
			if p, err := url.Parse(u); err == nil && !etcd.Local(u) {
				port, _ := strconv.Atoi(p.Port())
				add(a.Name, &change.Wait{Address: p.Hostname(), Port: port, Limit: portLimit,
					What: fmt.Sprintf("%s:%d, member %s, to answer %s", p.Hostname(), port, m.Label(), a.Name)})
			}
		}
	}
	if net.ParseIP(hostname(a.PeerURL)) == nil {
		for _, m := range k.View.Members {
			if h := k.View.HostOf(m); h != nil {
				add(h.Name, &change.Wait{Argv: []string{"getent", "ahosts", a.Name}, Limit: portLimit, What: fmt.Sprintf("%s to know the name %s", h.Name, a.Name)})
			}
		}
	}
	if len(steps) == 0 {
		return
	}
	k.Stage("reach "+a.Name, 0, steps...)
	k.does(fmt.Sprintf("%s reaches the peer and client ports of every member (%d), before anything is changed", a.Name, len(k.View.Members)))
}

// member finds the member with a peer URL.
func (k *Making) member(asker Host, peerURL string) *change.Query {
	in := asker.State.Instance
	return &change.Query{Argv: in.Ctl.MemberList(in.Endpoint), List: "members", Key: "peerURLs", Value: peerURL, What: "the member at " + peerURL}
}

// remove is the command that takes a member out again, whose ID nobody knows yet.
func (k *Making) takeOut(asker Host, n Newcomer) *change.Exec {
	in, q := asker.State.Instance, *k.member(asker, n.PeerURL)
	q.Field, q.Hex, q.What = "ID", true, "the ID of "+n.Name
	return &change.Exec{
		Argv: in.Ctl.MemberRemove(in.Endpoint, "{member}"), Login: in.Ctl.Login(),
		Words: map[string]change.Query{"member": q}, Limit: commandLimit, Class: change.Disruptive, Again: NotYet, AgainFor: NotYetLimit,
		Done:    &change.Probe{Find: k.member(asker, n.PeerURL), Absent: true},
		Purpose: "member remove " + n.Name,
	}
}

// Grow adds the stages of one new member; before comes right before it joins.
func (k *Making) Grow(a *Addition, g Growth, before ...func()) error {
	if a.Member {
		for _, f := range before {
			f()
		}
		return nil
	}
	asker := k.View.Asker()
	k.certificates(a)
	if err := k.install(a, g, *asker); err != nil {
		return err
	}
	if !a.Learner && !a.Begun {
		k.prove(a)
	}
	for _, f := range before {
		f()
	}
	k.join(a, *asker)
	k.start(a)
	k.reached(a, g)
	k.settle(a, g, *asker)
	k.View.Members = Joined(k.View.Members, a)
	return nil
}

func (k *Making) certificates(a *Addition) {
	if !a.Certs || a.CA == nil {
		return
	}
	into := a.CA.State.Authority.Into(a.Name, k.View.Now)
	var changes []change.Change
	changes = append(changes, etcdca.Prepare(into))
	for _, use := range []etcdca.Use{etcdca.Server, etcdca.Peer} {
		changes = append(changes, a.CA.State.Authority.Sign(etcdca.Request{Use: use, CN: a.Name, Names: a.Names, Into: into}))
	}
	k.On("certs for "+a.Name, a.CA.Name, changes...)
	k.Finally = append(k.Finally, task.Step{Host: a.CA.Name, Change: etcdca.Clear(into)})
}

// install brings the program, its files and the way in. Nothing starts.
func (k *Making) install(a *Addition, g Growth, donor Host) error {
	m := a.Host.State.Room
	var changes []change.Change
	if len(a.Packages) > 0 {
		changes = append(changes, &change.Package{Manager: m.Manager, Install: a.Packages, Before: m.Installed, NoStart: true})
	}
	conf, err := Conf(a.Newcomer, donor, k.View.Members)
	if err != nil {
		return err
	}
	if a.Host.State.Runs() { // a learner that has come up has all of it
		return nil
	}
	changes = append(changes, &change.Dir{Path: ConfDir, Before: m.Dir, Attr: change.Attr{Mode: mode(0o700), Owner: "etcd", Group: "etcd"}, Force: true})
	changes = append(changes, a.bring(k.View.Now)...)
	w := write(m.Conf, conf, change.Attr{Mode: mode(0o640), Owner: "root", Group: "etcd"})
	w.Force = true // the package may have brought one
	if w.Before.SHA256 != w.After.SHA256 {
		changes = append(changes, w)
	}
	if k.confs == nil {
		k.confs = map[string]File{}
	}
	k.confs[a.Name] = File{Text: []byte(conf), File: reader.File{Path: m.Conf.Path, Exists: true, Type: reader.Regular, Mode: *w.Attr.Mode, Owner: w.Attr.Owner, Group: w.Attr.Group, Size: w.After.Size, SHA256: w.After.SHA256}}
	const drop = "# Written by dayops.\n[Service]\nEnvironmentFile=" + ConfFile + "\n"
	if m.Manager == "apt" && string(m.Drop.Text) != drop {
		if !m.Drop.Exists {
			changes = append(changes, &change.Dir{Path: dropDir, Before: reader.File{Path: dropDir}, Attr: change.Attr{Mode: mode(0o755)}, Force: true})
		}
		changes = append(changes, write(m.Drop, drop, change.Attr{Mode: mode(0o644), Owner: "root", Group: "root"}), &change.Unit{DaemonReload: true})
	} else if a.Host.owes(dropFile, func(c change.Change) bool { u, ok := c.(*change.Unit); return ok && u.DaemonReload }) {
		changes = append(changes, &change.Unit{DaemonReload: true})
	}
	open, _, _ := openPorts(m, g.Firewall, a.Address)
	changes = append(append(changes, open...), a.folder(a.DataDir, "member", k.View.Now))
	if a.WALDir != "" {
		changes = append(changes, a.folder(path.Dir(a.WALDir), path.Base(a.WALDir), k.View.Now))
	}
	k.On("install "+a.Name, a.Name, changes...)
	k.does(a.installs(len(open)))
	return nil
}

// installs is all of install in a few words.
func (a *Addition) installs(ports int) string {
	all := append([]string{}, a.Packages...)
	if a.Certs && a.CA != nil {
		all = append(all, fmt.Sprintf("%d certificates and keys", len(a.Host.State.Room.Files)))
	}
	all = append(all, "etcd.conf")
	if ports > 0 {
		all = append(all, "ports "+clientPort+" and "+peerPort+" let in")
	}
	return strings.Join(append(all, "the folder of its data"), ", ") + "; nothing starts"
}

// bring copies the certificates from where they were made.
func (a *Addition) bring(now time.Time) (out []change.Change) {
	if !a.Certs || a.CA == nil {
		return nil
	}
	into := a.CA.State.Authority.Into(a.Name, now)
	from := map[string]string{"ca.crt": a.CA.State.Authority.Cert.Path}
	for _, use := range []etcdca.Use{etcdca.Server, etcdca.Peer} {
		q := etcdca.Request{Use: use, Into: into}
		from[path.Base(q.Cert())], from[path.Base(q.Key())] = q.Cert(), q.Key()
	}
	for _, f := range a.Host.State.Room.Files {
		attr := change.Attr{Mode: mode(0o600), Owner: "etcd", Group: "etcd"}
		out = append(out, etcdca.Bring(a.CA.Name, from[path.Base(f.Path)], f, attr))
	}
	return out
}

// join takes the member in.
func (k *Making) join(a *Addition, asker Host) {
	if a.Begun {
		return
	}
	how := "voter"
	if a.Learner {
		how = "learner"
	}
	in := asker.State.Instance
	k.On("member "+a.Name, asker.Name, &change.Exec{
		Argv: in.Ctl.MemberAdd(in.Endpoint, a.Name, a.PeerURL, a.Learner), Login: in.Ctl.Login(), Limit: commandLimit, Class: change.Disruptive, Again: NotYet, AgainFor: NotYetLimit,
		Done:    &change.Probe{Find: k.member(asker, a.PeerURL)},
		Purpose: fmt.Sprintf("add %s %s at %s", how, a.Name, a.PeerURL),
		Undo:    []*change.Exec{k.takeOut(asker, a.Newcomer)},
	})
}

// start starts etcd there: as soon as it was added, for a cluster that one makes
// two writes nothing until then.
func (k *Making) start(a *Addition) {
	if a.Host.State.Runs() {
		return
	}
	yes := true
	k.On("start "+a.Name, a.Name, &change.Unit{Name: unitName, Before: a.Host.State.Room.unit(unitName), Active: &yes, Enabled: &yes, Force: true})
}

// folder makes a folder for data. What etcd has put into it is moved aside
// beside it when it is taken back: no Dir would do that.
func (a *Addition) folder(dir, leaf string, now time.Time) change.Change {
	p := path.Join(dir, leaf)
	aside := path.Join(dir, fmt.Sprintf("dayops-%s-%s", leaf, now.UTC().Format("20060102T150405Z")))
	argv := []string{"install", "-d", "-m", "0700", "-o", "etcd", "-g", "etcd", "--"}
	if leaf == "member" {
		argv = append(argv, dir)
	}
	return &change.Exec{
		Argv: append(argv, p), Limit: commandLimit, Done: &change.Probe{Path: p}, Purpose: "make " + p + " for etcd",
		Undo: []*change.Exec{{Argv: []string{"mv", "-T", "--", p, aside}, Limit: commandLimit, Done: &change.Probe{Path: p, Absent: true},
			Purpose: fmt.Sprintf("move %s aside, to %s", p, aside)}},
	}
}

// reached proves the other way: members reach the new one's peer port, members
// and masters its client port. Without that raft gets along for a while over the
// connections that the new member opens, and the cluster is not what it seems.
func (k *Making) reached(a *Addition, g Growth) {
	var steps []task.Step
	wait := func(host, u string) {
		p, err := url.Parse(u)
		if err != nil {
			return
		}
		port, _ := strconv.Atoi(p.Port())
		steps = append(steps, task.Step{Host: host, Change: &change.Wait{Address: p.Hostname(), Port: port, Limit: min(g.Health, reachedLimit),
			What: fmt.Sprintf("%s to answer %s", p.Host, host)}})
	}
	for i := range k.View.Hosts {
		h := &k.View.Hosts[i]
		_, member := k.View.MemberOf(h)
		if h.Err != nil || h.Name == a.Host.Name {
			continue
		}
		if member {
			wait(h.Name, a.PeerURL)
		}
		if member || h.State.Rest.Master.Exists || h.State.Rest.Server.Exists {
			wait(h.Name, a.ClientURL)
		}
	}
	k.Stage("reach "+a.Name+" back", 0, steps...)
}

// settle gives the learner its vote as soon as etcd lets it have it, and waits
// for health. Both steps can take the member out again: before its etcd is
// stopped, for a voter that is stopped first might take the quorum along.
func (k *Making) settle(a *Addition, g Growth, asker Host) {
	in := asker.State.Instance
	if a.Learner || a.Begun {
		q := *k.member(asker, a.PeerURL)
		q.Field = "isLearner"
		id := q
		id.Field, id.Hex, id.What = "ID", true, "the ID of "+a.Name
		fresh := a.instance(in)
		fresh.Ctl = fresh.Ctl.Nameless() // a learner takes no password
		k.On("state of "+a.Name, a.Name, fresh.Answers(g.Health))
		// The leader alone promotes. Others pass it on to the leader, but without the
		// user's name: with authentication on that is refused, whoever asked.
		argv, limit := Retry(g.Promote, k.View.clientURLs(), Promoted, in.Ctl.MemberPromote(Anywhere, "{member}"))
		k.On("promote "+a.Name, asker.Name, &change.Exec{
			Argv: argv, Login: in.Ctl.Login(), Words: map[string]change.Query{"member": id}, Limit: limit, Class: change.Disruptive,
			Done:    &change.Probe{Find: &q, Is: "false"},
			Purpose: fmt.Sprintf("promote %s as soon as it has caught up, within %s", a.Name, g.Promote),
			Undo:    []*change.Exec{k.takeOut(asker, a.Newcomer)},
		})
	} else {
		argv, limit := Retry(g.Health, nil, "", in.Ctl.Health(a.ClientURL))
		k.On("vote of "+a.Name, asker.Name, &change.Exec{
			Argv: argv, Login: in.Ctl.Login(), Limit: limit, Class: change.Disruptive,
			Done:    &change.Probe{Find: &change.Query{Argv: in.Ctl.MemberList(in.Endpoint), List: "members", Key: "name", Value: a.Name, What: "member " + a.Name}},
			Purpose: fmt.Sprintf("wait until %s takes part, within %s", a.Name, g.Health),
			Undo:    []*change.Exec{k.takeOut(asker, a.Newcomer)},
		})
	}
	k.On("health of "+a.Name, a.Name, a.instance(in).Healthy(g.Health))
}

// instance is the new member as its settings describe it.
func (a *Addition) instance(donor etcd.Instance) etcd.Instance {
	in := etcd.Instance{Runtime: etcd.UnitRuntime, Unit: unitName, Name: a.Name, Endpoint: a.ClientURL, Ctl: etcd.Ctl{User: donor.Ctl.User}}
	if donor.TLS() {
		in.Ctl.CA, in.Ctl.Cert, in.Ctl.Key = ConfDir+"/ca.crt", ConfDir+"/peer.crt", ConfDir+"/peer.key"
	}
	if donor.PeerCert == "" && donor.Cert != "" {
		in.Ctl.Cert, in.Ctl.Key = ConfDir+"/server.crt", ConfDir+"/server.key"
	}
	return in
}

// Joined are the members once a is one of them, with its vote.
func Joined(members []etcd.Member, a *Addition) []etcd.Member {
	out := slices.DeleteFunc(slices.Clone(members), func(m etcd.Member) bool { return slices.Contains(m.PeerURLs, a.PeerURL) })
	return append(out, etcd.Member{Name: a.Name, Healthy: true, PeerURLs: []string{a.PeerURL}, ClientURLs: []string{a.ClientURL}})
}
