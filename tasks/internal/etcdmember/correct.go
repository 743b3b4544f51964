package etcdmember

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Correct gives members whose peer URL is of no use to others their right one,
// also in the view.
func (k *Making) Correct(f *Findings) (changes []change.Change) {
	v := k.View
	asker := v.Asker()
	if asker == nil { // Sound has refused: the quorum is lost
		return nil
	}
	for i, m := range v.Members {
		if !slices.ContainsFunc(m.PeerURLs, etcd.Local) {
			continue
		}
		h := v.HostOf(m)
		if h == nil {
			f.Fail("", fmt.Sprintf("member %s has the peer URL %s, which no other host can use, and is on no host here", m.Label(), strings.Join(m.PeerURLs, ", ")), "correct it with etcdctl member update")
			continue
		}
		right, listens := h.listensForPeers()
		if !listens {
			f.Fail(h.Name, fmt.Sprintf("member %s listens for peers on %s only", m.Label(), strings.Join(m.PeerURLs, ", ")),
				"set ETCD_LISTEN_PEER_URLS and ETCD_INITIAL_ADVERTISE_PEER_URLS to an address that the others reach, restart etcd, then again")
			continue
		}
		f.Warn(h.Name, fmt.Sprintf("member %s has the peer URL %s, which no other host can use: it is set to %s", m.Label(), strings.Join(m.PeerURLs, ", "), right), "")
		in, id, there := asker.State.Instance, etcd.Hex(m.ID), k.member(*asker, right)
		changes = append(changes, &change.Exec{
			Argv: in.Ctl.MemberUpdate(in.Endpoint, id, right), Login: in.Ctl.Login(), Limit: commandLimit, Class: change.Disruptive,
			Done: &change.Probe{Find: there}, Purpose: fmt.Sprintf("set the peer URL of member %s to %s", m.Label(), right),
			Undo: []*change.Exec{{Argv: in.Ctl.MemberUpdate(in.Endpoint, id, m.PeerURLs...), Login: in.Ctl.Login(), Limit: commandLimit, Class: change.Disruptive,
				Done: &change.Probe{Find: there, Absent: true}, Purpose: fmt.Sprintf("set the peer URL of member %s to %s again", m.Label(), strings.Join(m.PeerURLs, ", "))}},
		})
		v.Members[i].PeerURLs = []string{right}
	}
	return changes
}

// listensForPeers is the URL where others reach a member that told them localhost.
func (h Host) listensForPeers() (string, bool) {
	for u := range strings.SplitSeq(h.State.Instance.Settings["ETCD_LISTEN_PEER_URLS"], ",") {
		p, err := url.Parse(strings.TrimSpace(u))
		if err != nil || p.Port() == "" {
			continue
		}
		ip := net.ParseIP(p.Hostname())
		switch {
		case ip != nil && ip.IsUnspecified() && h.Facts.DefaultIPv4 != "":
			return withHost(u, h.Facts.DefaultIPv4), true
		case !etcd.Local(u):
			return strings.TrimSpace(u), true
		}
	}
	return "", false
}
