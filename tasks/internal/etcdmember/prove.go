package etcdmember

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

const (
	proofUnit  = "dayops-port-proof.service"
	proofLimit = 20 * time.Second
	proofLasts = "180" // seconds; it ends by itself
)

// prove shows that every member reaches the peer port of a new voter, with the
// certificates that it will use: a voter that cannot be reached may cost a small
// cluster its quorum, and then it cannot be removed either. Something must
// listen there for it: openssl, in a unit that ends by itself.
func (k *Making) prove(a *Addition) {
	p, err := url.Parse(a.PeerURL)
	if err != nil || p.Scheme != "https" {
		return
	}
	stop := func() *change.Exec {
		return &change.Exec{Argv: []string{"systemctl", "stop", proofUnit}, Limit: commandLimit, Purpose: "stop listening for the proof",
			Done: &change.Probe{Argv: []string{"systemctl", "is-active", proofUnit}, Code: inactive}}
	}
	k.On("listen on "+a.Name, a.Name, &change.Exec{
		Argv: []string{"systemd-run", "--quiet", "--unit", proofUnit, "timeout", proofLasts, "openssl", "s_server", "-www", "-accept", p.Port(),
			"-cert", ConfDir + "/peer.crt", "-key", ConfDir + "/peer.key", "-CAfile", ConfDir + "/ca.crt", "-Verify", "1", "-verify_return_error"},
		Limit: commandLimit, Done: &change.Probe{Argv: []string{"systemctl", "is-active", proofUnit}},
		Purpose: "listen on port " + p.Port() + " with the new peer certificate, for the proof", Undo: []*change.Exec{stop()},
	})
	var steps []task.Step
	for _, m := range k.View.Members {
		if h := k.View.HostOf(m); h != nil && h.State.Instance.PeerCert != "" {
			steps = append(steps, task.Step{Host: h.Name, Change: handshake(h.State.Instance, p, h.Name, a.Name)})
		}
	}
	k.Stage("prove the peer port of "+a.Name, 0, steps...)
	k.On("proven "+a.Name, a.Name, stop())
}

const inactive = 3 // systemctl is-active

func handshake(in etcd.Instance, peer *url.URL, from, to string) *change.Wait {
	argv := []string{"timeout", "10", "openssl", "s_client", "-connect", net.JoinHostPort(peer.Hostname(), peer.Port()),
		"-cert", in.PeerCert, "-key", in.PeerKey, "-CAfile", cmp.Or(in.PeerCA, in.CA), "-verify_return_error"}
	if ip := net.ParseIP(peer.Hostname()); ip != nil {
		argv = append(argv, "-verify_ip", ip.String())
	} else {
		argv = append(argv, "-verify_hostname", peer.Hostname())
	}
	return &change.Wait{Argv: argv, Limit: proofLimit, What: fmt.Sprintf("%s to shake hands with %s at %s", from, to, peer.Host)}
}
