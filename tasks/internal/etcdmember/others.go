package etcdmember

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/splice"
)

// Swap is what becomes of the addresses of members: those that came and those that went.
type Swap struct {
	Add    []Newcomer
	Remove []Departed
	// Members are those that stay: lists that name none of them nor of Remove are not about this cluster.
	Members []etcd.Member
	Names   map[string][]string // names and addresses of hosts, by a member's name
}

// Departed is a member that goes, with all the names that lists may have it by.
type Departed struct {
	Name  string
	Hosts []string // addresses and names
	Peers []string // peer URLs
}

func (d Departed) has(u string) bool { return slices.Contains(d.Hosts, hostname(u)) }

// Swapping prepares the swap of a plan.
func (v *View) Swapping(add []*Addition, remove []Departed) Swap {
	s := Swap{Remove: remove, Names: map[string][]string{}}
	for _, a := range add {
		s.Add = append(s.Add, a.Newcomer)
	}
	for _, m := range v.Members {
		if slices.ContainsFunc(remove, func(d Departed) bool { return d.Name == m.Name }) {
			continue
		}
		s.Members = append(s.Members, m)
		s.Names[m.Name] = v.names(m)
	}
	return s
}

// names are all by which a member's host is known.
func (v *View) names(m etcd.Member) []string {
	all := []string{m.Name}
	for _, u := range slices.Concat(m.PeerURLs, m.ClientURLs) {
		if !etcd.Local(u) {
			all = append(all, hostname(u))
		}
	}
	if h := v.HostOf(m); h != nil {
		all = append(all, h.Name, h.Facts.FQDN, h.Facts.Node)
		all = append(all, h.Facts.Addresses...)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(s string) bool { return s == "" })
}

// edits are those of a list of client URLs. ok is false where the list is about
// something else, such as a balancer.
func (s Swap) edits(list []string) (out []splice.Item, ok bool) {
	like := ""
	for _, u := range list {
		for _, names := range s.Names {
			if slices.Contains(names, hostname(u)) {
				like = u
			}
		}
		if slices.ContainsFunc(s.Remove, func(d Departed) bool { return d.has(u) }) {
			out = append(out, splice.Item{Old: u})
			like = cmp.Or(like, u)
		}
	}
	if like == "" {
		return nil, false
	}
	for _, n := range s.Add {
		host := n.Name
		if net.ParseIP(hostname(like)) != nil {
			host = n.Address
		}
		at := withHost(like, host)
		known := slices.ContainsFunc(list, func(u string) bool {
			return hostname(u) == n.Name || hostname(u) == n.Address || hostname(u) == hostname(n.ClientURL)
		})
		if !known {
			out = append(out, splice.Item{New: at})
		}
	}
	return out, true
}

// Masters brings the API servers' lists up to date, one master after the other.
func (k *Making) Masters(f *Findings, s Swap) {
	var steps []task.Step
	for i := range k.View.Hosts {
		h := &k.View.Hosts[i]
		if h.Err != nil {
			gone := slices.ContainsFunc(s.Remove, func(d Departed) bool { return slices.Contains(d.Hosts, h.Name) })
			switch {
			case !h.In("masters"):
			case gone:
				f.Warn("", fmt.Sprintf("master %s could not be read, its list stays as it is", h.Name), "correct etcdClientInfo.urls there when it is back")
			default:
				f.Fail("", fmt.Sprintf("master %s could not be read", h.Name), "bring it back, take it out of the inventory, or masters: no leaves all masters to you")
			}
			continue
		}
		for _, c := range slices.Concat(h.openshift(f, s), h.kubeadm(f, s)) {
			steps = append(steps, task.Step{Host: h.Name, Change: c})
		}
	}
	k.Stage("masters", 1, steps...)
}

// openshift edits etcdClientInfo.urls and restarts the API server.
func (h *Host) openshift(f *Findings, s Swap) []change.Change {
	r := h.State.Rest
	if !r.Master.Exists {
		return nil
	}
	path := []string{"etcdClientInfo", "urls"}
	list, err := splice.List(r.Master.Path, string(r.Master.Text), path...)
	if err != nil {
		f.byHand(h.Name, err)
		return nil
	}
	edits, ok := s.edits(list)
	if !ok {
		f.Warn(h.Name, fmt.Sprintf("etcdClientInfo.urls of %s names no member of this cluster: left alone", h.Name), masterConfig)
		return nil
	}
	after, err := splice.EditList(r.Master.Path, string(r.Master.Text), path, edits...)
	if err != nil {
		f.byHand(h.Name, err)
		return nil
	}
	var out []change.Change
	switch {
	case after != string(r.Master.Text):
		out = append(out, write(r.Master, after, change.Attr{}))
	case !h.owes(r.Master.Path, restartsAPI):
		return nil
	}
	unit, runs := r.api()
	switch {
	case r.Restart && r.Pod:
		out = append(out, &change.Exec{Argv: []string{"master-restart", "api"}, Limit: apiLimit, Class: change.Disruptive, Purpose: "master-restart api"})
	case runs:
		out = append(out, &change.Unit{Name: unit.Name, Before: unit, Restart: true})
	default:
		f.Warn(h.Name, "no API server that dayops knows how to restart runs on "+h.Name+": only its file is edited", "restart it when it suits")
		return out
	}
	if r.Listens {
		out = append(out, &change.Wait{Port: r.Port, Delay: settleDelay, Limit: apiLimit, What: fmt.Sprintf("the API server of %s to listen on %d again", h.Name, r.Port)})
	}
	return out
}

func restartsAPI(c change.Change) bool {
	switch c := c.(type) {
	case *change.Exec:
		return c.Argv[0] == "master-restart"
	case *change.Unit:
		return c.Restart && slices.Contains(apiUnits(), c.Name)
	}
	return false
}

const (
	apiLimit    = 5 * time.Minute
	settleDelay = 3 * time.Second
	kubeDelay   = 25 * time.Second // the kubelet looks every 20 s
)

// kubeadm edits the API server's manifest; the kubelet restarts it by that.
func (h *Host) kubeadm(f *Findings, s Swap) []change.Change {
	m := h.State.Rest.Server
	const option = "--etcd-servers"
	if !m.Exists {
		return nil
	}
	list, ok, err := splice.Option(m.Path, string(m.Text), option)
	if err != nil {
		f.byHand(h.Name, err)
		return nil
	}
	if !ok || !slices.ContainsFunc(list, func(u string) bool { return !etcd.Local(u) }) {
		return nil // kubeadm's stacked form: each API server asks its own member
	}
	edits, ok := s.edits(list)
	if !ok {
		f.Warn(h.Name, fmt.Sprintf("%s of %s names no member of this cluster: left alone", option, h.Name), m.Path)
		return nil
	}
	after, err := splice.EditOption(m.Path, string(m.Text), option, edits...)
	if err != nil {
		f.byHand(h.Name, err)
		return nil
	}
	if after == string(m.Text) {
		return nil
	}
	const port = 6443
	return []change.Change{write(m, after, change.Attr{}),
		&change.Wait{Port: port, Delay: kubeDelay, Limit: apiLimit, What: fmt.Sprintf("the API server of %s to listen on %d again", h.Name, port)}}
}

// byHand prints what cannot be edited, and leaves it.
func (f *Findings) byHand(host string, err error) {
	text, do, _ := strings.Cut(err.Error(), "; by hand: ")
	f.Warn(host, strings.ReplaceAll(text, "\n", " "), "by hand: "+strings.ReplaceAll(do, "\n", " "))
}

const flannelKey = "FLANNEL_ETCD_ENDPOINTS"

// Flannel brings flannel's list up to date on all hosts that have one.
func (k *Making) Flannel(f *Findings, s Swap) {
	var steps []task.Step
	uses, away := false, []string{}
	for i := range k.View.Hosts {
		h := &k.View.Hosts[i]
		if h.Err != nil {
			away = append(away, h.Name)
			continue
		}
		uses = uses || h.State.Rest.Flannel.Exists
		for _, c := range h.flannel(f, s) {
			steps = append(steps, task.Step{Host: h.Name, Change: c})
		}
	}
	if uses && len(away) > 0 {
		f.Warn("", "flannel's endpoints were not looked at on hosts that could not be read: "+strings.Join(away, ", "), "correct "+flannelKey+" in "+flannelFile+" there when they are back")
	}
	k.Stage("flannel", 1, steps...)
}

func (h *Host) flannel(f *Findings, s Swap) []change.Change {
	r := h.State.Rest
	if !r.Flannel.Exists {
		return nil
	}
	vars, err := etcd.ParseEnvironmentFile(string(r.Flannel.Text))
	if err != nil {
		f.byHand(h.Name, err)
		return nil
	}
	if vars[flannelKey] == "" {
		return nil
	}
	edits, ok := s.edits(strings.Split(vars[flannelKey], ","))
	if !ok {
		f.Warn(h.Name, fmt.Sprintf("%s of %s names no member of this cluster: left alone", flannelKey, h.Name), flannelFile)
		return nil
	}
	value, err := splice.Commas(vars[flannelKey], edits...)
	if err == nil && value == "" {
		err = fmt.Errorf("%s would be left empty", flannelKey)
	}
	after := ""
	if err == nil {
		after, err = splice.SetVariable(r.Flannel.Path, string(r.Flannel.Text), flannelKey, value)
	}
	if err != nil {
		f.byHand(h.Name, err)
		return nil
	}
	var out []change.Change
	switch {
	case after != string(r.Flannel.Text):
		out = append(out, write(r.Flannel, after, change.Attr{}))
	case !h.owes(r.Flannel.Path, func(c change.Change) bool {
		u, ok := c.(*change.Unit)
		return ok && u.Restart && u.Name == r.Flanneld.Name
	}):
		return nil
	}
	if r.Flanneld.Active() {
		out = append(out, &change.Unit{Name: flannelUnit, Before: r.Flanneld, Restart: true})
	}
	return out
}

// Initial takes members that went out of the others' ETCD_INITIAL_CLUSTER. etcd
// reads it only when a member begins, so nothing is restarted.
func (k *Making) Initial(f *Findings, s Swap) {
	var steps []task.Step
	for i := range k.View.Hosts {
		h := &k.View.Hosts[i]
		c, fresh := k.confs[h.Name]
		if !fresh {
			c = h.State.Conf
		}
		leaves := slices.ContainsFunc(s.Remove, func(d Departed) bool { return d.Name == h.State.Instance.Name })
		if h.Err != nil || !c.Exists || !fresh && !h.State.Runs() || leaves {
			continue
		}
		vars, err := etcd.ParseEnvironmentFile(string(c.Text))
		if err != nil {
			continue
		}
		var edits []splice.Item
		for part := range strings.SplitSeq(vars["ETCD_INITIAL_CLUSTER"], ",") {
			name, u, _ := strings.Cut(strings.TrimSpace(part), "=")
			if slices.ContainsFunc(s.Remove, func(d Departed) bool {
				return d.Name == name && name != h.State.Instance.Name || slices.Contains(d.Peers, u)
			}) {
				edits = append(edits, splice.Item{Old: strings.TrimSpace(part)})
			}
		}
		value, err := splice.Commas(vars["ETCD_INITIAL_CLUSTER"], edits...)
		if err != nil || value == "" || len(edits) == 0 {
			continue
		}
		after, err := splice.SetVariable(c.Path, string(c.Text), "ETCD_INITIAL_CLUSTER", value)
		if err != nil {
			f.byHand(h.Name, err)
			continue
		}
		w := write(c, after, change.Attr{})
		w.Force = fresh // this plan has made it: the numbers of its owners are not known
		steps = append(steps, task.Step{Host: h.Name, Change: w})
	}
	k.Stage("ETCD_INITIAL_CLUSTER", 0, steps...)
}
