package etcdmember

import (
	"cmp"
	"fmt"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
)

// Growth says how members are added.
type Growth struct {
	CAHost   string // "" finds the host that has the authority
	CA       string // where it is there, for people
	DataDir  string
	WALDir   string
	Firewall string // auto, none
	Learner  bool   // where the version has learners
	Promote  time.Duration
	Health   time.Duration
}

// Addition is one host that becomes a member.
type Addition struct {
	Newcomer
	Host     Host
	Packages []string // what Install of a Package names; nil where all is there
	Learner  bool
	Begun    bool // it is in the cluster's list already, without a vote or without having started
	Member   bool // it is a voter already: only what names the members is brought up to date
	Certs    bool // certificates are to be made
	CA       *Host
	Names    etcdca.Names
}

var memberName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$`)

// Add judges a host that is to become a member; members are those that there
// will be by then. The answer is nil when that cannot be told.
func (v *View) Add(f *Findings, h Host, address string, g Growth, members []etcd.Member) *Addition {
	if h.Err != nil {
		f.Fail("", fmt.Sprintf("%s could not be read: %s", h.Name, reader.Printable(h.Err.Error())), "nothing is done before all new hosts can be read")
		return nil
	}
	if m, ok := v.MemberOf(&h); ok && !m.Learner && h.State.Live.Status.ClusterID == v.Cluster {
		f.OK(h.Name, fmt.Sprintf("nothing to do on %s: it is a member already (%x)", h.Name, m.ID))
		return member(h, m)
	}
	donor := v.Asker()
	if donor == nil {
		f.Fail("", "no healthy voter is on a host that could be read", "start the members, or put their hosts into the group etcd: see dayops run etcd-health.yml")
		return nil
	}
	if !memberName.MatchString(h.Name) {
		f.Fail(h.Name, fmt.Sprintf("%q cannot be a member's name", reader.Printable(h.Name)), "give the host another name in the inventory")
		return nil
	}
	if m, ok := v.MemberOf(&h); ok && len(m.PeerURLs) > 0 { // a learner that has come up says where it is
		address = hostname(m.PeerURLs[0])
	}
	where, problem := Address(address, h, members)
	if problem != "" {
		f.Fail(h.Name, fmt.Sprintf("where %s is to be reached cannot be told: %s", h.Name, problem), "name it: address: 10.0.0.1, or openshift_ip in the inventory")
		return nil
	}
	a := &Addition{Newcomer: newcomer(h.Name, where, *donor), Host: h, Learner: g.Learner && v.Version.HasLearners()}
	a.DataDir, a.WALDir = g.DataDir, g.WALDir
	m, listed := v.Member(a.PeerURL)
	a.Begun = listed && (m.Learner || m.Name == "")
	if listed && !a.Begun {
		f.Fail("", fmt.Sprintf("%s is member %s already, and it does not answer", a.PeerURL, m.Label()), "bring it back, or remove it first: dayops run builtin:etcd-remove.yml -e member="+m.Label())
		return nil
	}
	if i := slices.IndexFunc(members, func(m etcd.Member) bool { return m.Name == h.Name && !slices.Contains(m.PeerURLs, a.PeerURL) }); i >= 0 {
		f.Fail("", fmt.Sprintf("the cluster has a member %s already, at %s", h.Name, strings.Join(members[i].PeerURLs, ", ")),
			"if it is gone, remove it first: dayops run builtin:etcd-remove.yml -e member="+h.Name)
	}
	a.vote(f, members)
	a.room(f, v)
	a.software(f, v)
	a.filter(f, g)
	a.certificates(f, v, *donor, g)
	return a
}

// member is a host that has been added before.
func member(h Host, m etcd.Member) *Addition {
	a := &Addition{Newcomer: Newcomer{Name: m.Name}, Host: h, Member: true}
	for _, u := range m.PeerURLs {
		a.PeerURL = u
	}
	for _, u := range m.ClientURLs {
		if a.ClientURL = u; !etcd.Local(u) {
			break
		}
	}
	a.Address = hostname(a.PeerURL)
	return a
}

// Begun are members that an interrupted addition of these hosts left: learners,
// and members that have not started.
func (v *View) Begun(hosts []Host) (ids []uint64) {
	for _, m := range v.Members {
		if !m.Learner && m.Name != "" {
			continue
		}
		for _, u := range m.PeerURLs {
			at := hostname(u)
			if slices.ContainsFunc(hosts, func(h Host) bool {
				return h.Name == at || slices.Contains(h.Facts.Addresses, at) || slices.ContainsFunc(h.State.Room.Addresses, func(p string) bool { return strings.HasPrefix(p, at+"/") })
			}) {
				ids = append(ids, m.ID)
			}
		}
	}
	return ids
}

// vote is the arithmetic of the addition.
func (a *Addition) vote(f *Findings, members []etcd.Member) {
	if a.Begun {
		f.Warn(a.Name, a.Name+" has been added already and has no vote yet: what is left to do is done", "")
		return
	}
	verdict := etcd.AddVoter(members, a.Name)
	if a.Learner {
		verdict = etcd.AddLearner(members, a.Name)
	}
	alone := !a.Learner && verdict.After.Voters == 2 && verdict.After.Healthy == 1
	switch {
	case alone: // no other way without learners
		f.Warn("", verdict.Text+": nothing can be written until "+a.Name+" has started", "its peer port is proven with its certificates right before; have a fresh backup")
	case !verdict.OK:
		f.Fail("", verdict.Text, "bring the other members back, and promote or remove the learner there is, first: see dayops run etcd-health.yml")
	}
}

// Tally is the arithmetic of all additions in one line: "3/3 need 2 -> + learner
// etcd-3 -> 4/4 need 3".
func Tally(members []etcd.Member, add []*Addition) string {
	count := func() string {
		s := etcd.Count(members)
		return fmt.Sprintf("%d/%d need %d", s.Healthy, s.Voters, s.Needed())
	}
	line := "quorum " + count()
	for _, a := range add {
		if a.Member {
			continue
		}
		if a.Learner {
			line += fmt.Sprintf(" -> + learner %s", a.Name)
		}
		members = Joined(members, a)
		line += " -> " + count()
	}
	return line
}

// room judges what the host holds already.
func (a *Addition) room(f *Findings, v *View) {
	m, name := a.Host.State.Room, a.Name
	if a.Host.State.Runs() { // a learner that has come up
		return
	}
	if m.NoSystemd {
		f.Fail(name, name+" is not run by systemd: etcd could not be started as a unit", "take a host that systemd runs")
	}
	if u := m.unit(unitName); u.Masked() {
		f.Fail(name, unitName+" is masked on "+name, "systemctl unmask etcd, if nothing else needs it so")
	}
	if !a.Begun {
		a.empty(f, m)
	}
	if len(m.Addresses) > 0 && !slices.ContainsFunc(m.Addresses, func(p string) bool { return strings.HasPrefix(p, a.Address+"/") }) {
		f.Fail(name, fmt.Sprintf("%s does not have the address %s", name, a.Address), "it has "+strings.Join(m.Addresses, ", "))
	}
	if need := v.need(); m.Free >= 0 && m.Free < need {
		f.Fail(name, fmt.Sprintf("%s are free for %s on %s, %s are needed", etcd.Size(m.Free), a.DataDir, name, etcd.Size(need)), "etcd wants a disk of its own there")
	} else if m.Free >= 0 {
		f.OK(name, fmt.Sprintf("%s free for %s", etcd.Size(m.Free), a.DataDir))
	}
	if net.ParseIP(hostname(a.PeerURL)) == nil && !slices.Contains(m.Names, a.Address) {
		f.Fail(name, fmt.Sprintf("%s has itself the addresses [%s], not %s", name, strings.Join(m.Names, " "), a.Address), "correct the name service or /etc/hosts: the cluster's URLs have names")
	}
	if a.WALDir == "" {
		if wal := v.Asker().State.Instance.WALDir; wal != "" {
			f.Warn(name, fmt.Sprintf("the members keep their WAL in %s, %s will not", wal, name), "wal_dir: "+wal)
		}
	}
}

// empty: leftovers of an earlier etcd would make it another member than it is meant to be.
func (a *Addition) empty(f *Findings, m Room) {
	name := a.Name
	switch {
	case len(m.Data) > 0 && a.WALDir != "" && strings.HasPrefix(m.Data[0], a.WALDir+"/"):
		f.Fail(name, fmt.Sprintf("a WAL of an earlier etcd lies on %s: %s", name, reader.Printable(strings.Join(m.Data, ", "))),
			fmt.Sprintf("if nothing of it is needed: mv %s %s.old", a.WALDir, a.WALDir))
	case len(m.Data) > 0:
		f.Fail(name, fmt.Sprintf("data of an earlier etcd lie on %s: %s", name, reader.Printable(strings.Join(m.Data, ", "))),
			fmt.Sprintf("if nothing of it is needed: mv %s %s.old", path.Join(a.DataDir, "member"), path.Join(a.DataDir, "member")))
	default:
		f.OK(name, a.DataDir+" is empty")
	}
	if m.unit(unitName).Active() {
		f.Fail(name, unitName+" runs already on "+name, "stop it, and move its data aside, if nothing needs it")
	}
	if len(m.Listening) > 0 {
		f.Fail(name, fmt.Sprintf("something listens on %s already: %s", name, strings.Join(m.Listening, ", ")), "ss -ltnp on the host tells what")
	}
}

// filter judges the packet filter.
func (a *Addition) filter(f *Findings, g Growth) {
	if a.Host.State.Runs() {
		return
	}
	_, note, blocked := openPorts(a.Host.State.Room, g.Firewall, a.Address)
	if blocked != "" {
		f.Warn(a.Name, a.Name+": "+blocked, "open ports "+clientPort+" and "+peerPort+" there, also for the next boot; when the members do not get through, all is taken back")
		return
	}
	f.OK(a.Name, "ports "+clientPort+" and "+peerPort+": "+note)
}

// need is how much room a member takes: its database while it receives another, and its WAL.
func (v *View) need() int64 {
	const wal = 256 << 20
	var most int64
	for _, h := range v.Hosts {
		if st := h.State.Live.Status; st != nil && h.Err == nil {
			most = max(most, st.DBSize)
		}
	}
	return 2*most + wal
}

// software chooses the packages.
func (a *Addition) software(f *Findings, v *View) {
	m := a.Host.State.Room
	if a.Host.State.Runs() {
		return
	}
	if have, ok := etcd.ParseVersion(m.Version); ok && m.unit(unitName).Exists() {
		if have.Line() != v.Version.Line() {
			f.Fail(a.Name, fmt.Sprintf("etcd %s is installed on %s, the cluster has %s", have, a.Name, v.Version), "install the cluster's version, or finish the upgrade first")
			return
		}
		if m.Tool {
			f.OK(a.Name, fmt.Sprintf("etcd %s is installed", have))
			return
		}
	}
	if m.Manager == "" {
		f.Fail(a.Name, "no package manager that dayops knows (apt, dnf, yum) is on "+a.Name, "install etcd "+v.Version.String()+" there by hand")
		return
	}
	names := []string{"etcd"}
	if m.Manager == "apt" {
		names = []string{"etcd-server", "etcd-client"}
	}
	for _, name := range names {
		version, exact := choose(m.Offers[name], v.Version)
		if version == "" {
			f.Fail(a.Name, fmt.Sprintf("no package %s %s for %s: its repositories' lists have %s", name, v.Version.Line(), a.Name, cmp.Or(strings.Join(m.Offers[name], ", "), "none")),
				"add a repository that has the cluster's version "+v.Version.String()+", read its lists (apt-get update, yum makecache), then again")
			return
		}
		if !exact {
			f.Warn(a.Name, fmt.Sprintf("%s will get %s %s, the cluster has %s", a.Name, name, version, v.Version), "")
		}
		join := map[string]string{"apt": "="}[m.Manager]
		a.Packages = append(a.Packages, name+cmp.Or(join, "-")+version)
	}
}

// choose is the offered package of the version, else the newest of its line
// that is no newer than it must be: the last one listed counts as oldest.
func choose(offers []string, want etcd.Version) (version string, exact bool) {
	var best etcd.Version
	for _, o := range offers {
		v, ok := upstream(o)
		switch {
		case !ok || v.Line() != want.Line():
		case v == want:
			return o, true
		case !best.Known() || v.AtLeast(best.Major, best.Minor, best.Patch):
			best, version = v, o
		}
	}
	return version, false
}

// upstream is the release in a package's version: 1:3.4.23+dfsg-4, 3.2.22-1.el7.
func upstream(s string) (etcd.Version, bool) {
	if _, after, ok := strings.Cut(s, ":"); ok {
		s = after
	}
	end := strings.IndexFunc(s, func(c rune) bool { return (c < '0' || c > '9') && c != '.' })
	if end >= 0 {
		s = s[:end]
	}
	return etcd.ParseVersion(s)
}

// certificates finds out who signs, and whether members would accept it.
func (a *Addition) certificates(f *Findings, v *View, donor Host, g Growth) {
	if !donor.State.Instance.TLS() || a.Begun {
		return
	}
	a.Certs = true
	v.named(f)
	a.Names.Add(a.Address, a.Name, a.Host.Facts.FQDN)
	if a.CA = v.authority(g.CAHost); a.CA == nil {
		who := "on no etcd host is an authority that could sign"
		if g.CAHost != "" {
			who = "on " + g.CAHost + " is no authority that could sign"
		}
		f.Fail("", fmt.Sprintf("%s (%s)", who, g.CA), "openshift-ansible leaves it on the first etcd host; ca_host and ca_dir say where else it is, or ca_cert and ca_key (local_ca_cert, local_ca_key) name a given one")
		return
	}
	if problem, hint := a.CA.State.Authority.Problem(v.Now, donor.State.Trusted); problem != "" {
		f.Fail(a.CA.Name, problem, hint)
		return
	}
	until := a.CA.State.Authority.Until(v.Now)
	f.OK(a.CA.Name, fmt.Sprintf("its authority signs until %s", until.Format(time.DateOnly)))
}

// authority is the host that signs: the first one that can, else the first that
// has an authority at all. One of the control machine is that machine's.
func (v *View) authority(named string) (found *Host) {
	for _, h := range v.Hosts {
		if h.Err != nil || named != "" && h.Name != named || !h.State.Authority.Found {
			continue
		}
		if a := h.State.Authority; found == nil || len(found.State.Authority.Lacks) > 0 && len(a.Lacks) == 0 {
			found = &Host{Name: a.On(h.Name), State: State{Authority: a}}
		}
	}
	return found
}
