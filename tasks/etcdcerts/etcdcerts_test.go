package etcdcerts

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/internal/etcdroll/rolltest"
	"github.com/dayops/dayops/tasks/tasktest"
)

var now = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func decode(t *testing.T, text string) Params {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	return p.(Params)
}

func plainFile(path string) reader.File {
	return reader.File{Path: path, Exists: true, Type: reader.Regular, Mode: 0o600, Owner: "etcd", Group: "etcd"}
}

func certificate(path, cn string, left time.Duration, names ...string) etcdca.File {
	c := etcdca.Certificate{CN: cn, NotAfter: now.Add(left), SHA256: path + cn}
	c.Names.Add(names...)
	return etcdca.File{Path: path, File: plainFile(path), Certs: []etcdca.Certificate{c}}
}

const day = 24 * time.Hour

var errGone = errors.New("gone")

// members have certificates that expire in left; a has the authority.
func members(t *testing.T, params string, left time.Duration) []host {
	ca := certificate("/etc/etcd/ca.crt", "signer", 1000*day)
	ca.Certs[0].CA, ca.Certs[0].SHA256 = true, "ca"
	var out []host
	for i, s := range rolltest.Healthy(3, now) {
		x := State{State: s, Trusted: []etcdca.File{ca}}
		x.Instance.ClientURLs, x.Instance.Cert, x.Instance.PeerCert = []string{"https://10.0.0.1:2379"}, "/etc/etcd/server.crt", "/etc/etcd/peer.crt"
		for _, use := range []etcdca.Use{etcdca.Server, etcdca.Peer} {
			f := certificate("/etc/etcd/"+string(use)+".crt", s.Instance.Name, left, "10.0.0.1", s.Instance.Name)
			x.Pairs = append(x.Pairs, Pair{Use: use, Cert: f, Key: plainFile("/etc/etcd/" + string(use) + ".key")})
		}
		x.Certificates = []etcdca.File{x.Pairs[0].Cert, x.Pairs[1].Cert, ca}
		if i == 0 {
			own := ca
			own.Path = "/etc/etcd/ca/ca.crt"
			x.Authority = etcdca.Authority{Found: true, Dir: etcdca.Dir, Cert: own, Days: 1825, OpenSSL: true}
		}
		out = append(out, host{Groups: []string{"etcd"}, Input: task.Input[Params, State]{Host: s.Instance.Name, Target: s.Instance.Name, Params: decode(t, params),
			State: x, Facts: facts.Host{Clock: now, Hostname: s.Instance.Name, FQDN: s.Instance.Name + ".example.com"}, Now: now}})
	}
	return out
}

func planned(t *testing.T, hosts []host) (steps, said []string) {
	p, err := certs{}.Plan(input{Hosts: hosts, Now: now})
	require.NoError(t, err)
	tasktest.Hinted(t, p)
	for _, s := range p.Changes() {
		steps = append(steps, s.Host+": "+s.Change.Summary())
	}
	for _, f := range p.Findings {
		if f.Status != task.OK {
			said = append(said, f.Host+[...]string{" ok ", " warn ", " fail "}[f.Status]+f.Text)
		}
	}
	return steps, said
}

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name, params string
		left         time.Duration
		make         func(h []host)
		said         []string
	}{
		{"well", "{}", 100 * day, nil, nil},
		{"soon", "{}", 20 * day, func(h []host) { h[1], h[2] = host{}, host{}; h[1].Err, h[2].Err = errGone, errGone }, []string{
			"a warn certificate /etc/etcd/server.crt (a) expires in 20 days, on 2026-12-12", "a warn certificate /etc/etcd/peer.crt (a) expires in 20 days, on 2026-12-12"}},
		{"one expired", "{}", 100 * day, func(h []host) { h[2].State.Certificates[1].Certs[0].NotAfter = now }, []string{"c fail certificate /etc/etcd/peer.crt (c) expired on 2026-11-22"}},
		{"one gone", "{}", 100 * day, func(h []host) {
			h[2].State.Certificates[1] = etcdca.File{Path: "/etc/etcd/peer.crt", Problem: "is not there"}
		},
			[]string{"c fail certificate /etc/etcd/peer.crt is not there"}},
		{"another authority's", "{}", 100 * day, func(h []host) {
			h[2].State.Certificates[1].Stranger = "is not signed by the authority in /etc/etcd/ca.crt"
		}, []string{"c fail certificate /etc/etcd/peer.crt is not signed by the authority in /etc/etcd/ca.crt"}},
		{"an address is missing", "{}", 100 * day, func(h []host) { h[1].State.Instance.PeerURLs = []string{"https://10.9.9.9:2380"} },
			[]string{"b warn certificate /etc/etcd/server.crt is not for 10.9.9.9, by which others reach the member", "b warn certificate /etc/etcd/peer.crt is not for 10.9.9.9, by which others reach the member"}},
		{"the authority", "{}", 100 * day, func(h []host) { h[0].State.Authority.Cert = certificate("/etc/etcd/ca/ca.crt", "signer", 5*day) },
			[]string{"a fail certificate /etc/etcd/ca/ca.crt (signer) expires in 5 days, on 2026-11-27"}},
		{"nothing", "{}", 0, func(h []host) {
			for i := range h {
				h[i].State = State{}
			}
		}, []string{" fail no etcd found on any host that could be read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := members(t, c.params, c.left)
			if c.make != nil {
				c.make(h)
			}
			steps, said := planned(t, h)
			require.Empty(t, steps)
			require.Equal(t, c.said, said)
		})
	}
}

func TestRenewal(t *testing.T) {
	h := members(t, "{renew: yes}", 100*day)
	for i := range h[1].State.Pairs {
		h[1].State.Pairs[i].Cert.Certs[0].NotAfter = now.Add(10 * day)
	}
	h[2].State.Pairs[1].Cert.Certs[0].NotAfter = now.Add(10 * day)
	steps, _ := planned(t, h)
	b, c := etcdca.Authority{}.Into("b", now), etcdca.Authority{}.Into("c", now)
	require.NotEqual(t, b, c)
	require.Equal(t, []string{
		"a: make the staging folder " + c + " (mode 0700)",
		"a: sign a peer certificate for c (IP:10.0.0.1,DNS:c,DNS:c.example.com), valid 1825 days",
		"a: make the staging folder " + b + " (mode 0700)",
		"a: sign a server certificate for b (IP:10.0.0.1,DNS:b,DNS:b.example.com), valid 1825 days",
		"a: sign a peer certificate for b (IP:10.0.0.1,DNS:b,DNS:b.example.com), valid 1825 days",
		"c: bring " + c + "/peer.key of a to /etc/etcd/peer.key",
		"c: bring " + c + "/peer.crt of a to /etc/etcd/peer.crt",
		"c: restart etcd.service", "c: wait for etcd member c to be healthy, at most 5m0s",
		"b: bring " + b + "/server.key of a to /etc/etcd/server.key",
		"b: bring " + b + "/server.crt of a to /etc/etcd/server.crt",
		"b: bring " + b + "/peer.key of a to /etc/etcd/peer.key",
		"b: bring " + b + "/peer.crt of a to /etc/etcd/peer.crt",
		"b: move the leadership from b to a",
		"b: restart etcd.service", "b: wait for etcd member b to be healthy, at most 5m0s",
		"a: remove the staging folder " + c,
		"a: remove the staging folder " + b,
	}, steps)
	for i := range h {
		h[i].Params = decode(t, "{renew: yes, renew_before: 5d}")
	}
	steps, _ = planned(t, h)
	require.Empty(t, steps, "nothing expires within five days")
}

// TestExpired: nobody answers. The files first, then the restarts, then the waits.
func TestExpired(t *testing.T) {
	h := members(t, "{renew: yes}", -time.Hour)
	for i := range h {
		h[i].State.Live, h[i].State.View = etcd.Live{Problem: "tls: bad certificate"}, etcd.View{}
	}
	steps, said := planned(t, h)
	require.Len(t, steps, 9+12+3+3+3)
	require.Equal(t, "a: restart etcd.service", steps[9+12])
	require.Contains(t, said, " warn a certificate has expired: the cluster cannot be asked. All members get their files first and are restarted then")
	h[2].Reach = true
	steps, said = planned(t, h)
	require.Empty(t, steps)
	require.Contains(t, said, " fail c is not covered by the play")
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, params string
		make         func(h []host)
		said         string
	}{
		{"no authority", "{renew: yes}", func(h []host) { h[0].State.Authority = etcdca.Authority{} }, " fail no authority in /etc/etcd/ca of any etcd host"},
		{"no such host", "{renew: yes, ca_host: x}", nil, " fail ca_host x is not in the play, or could not be read"},
		{"not on that host", "{renew: yes, ca_host: b}", func(h []host) { h[1].State.Authority.Dir = "/etc/etcd/ca" }, " fail b: no authority in /etc/etcd/ca"},
		{"expired authority", "{renew: yes}", func(h []host) {
			h[0].State.Authority.Cert.Certs = []etcdca.Certificate{{CA: true, SHA256: "ca", NotAfter: now}}
		}, " fail a: the authority itself expired on 2026-11-22"},
		{"another authority", "{renew: yes}", func(h []host) {
			h[0].State.Authority.Cert.Certs = []etcdca.Certificate{{CA: true, SHA256: "other", NotAfter: now.Add(900 * day)}}
		}, " fail a: /etc/etcd/ca.crt does not hold the authority's certificate (/etc/etcd/ca/ca.crt): members would refuse what it signs"},
		{"a short authority", "{renew: yes}", func(h []host) {
			h[0].State.Authority.Cert.Certs = []etcdca.Certificate{{CA: true, SHA256: "ca", NotAfter: now.Add(30 * day)}}
		}, " fail what a signs now ends on 2026-12-22, which is within renew_before (60 days)"},
		{"a member is down", "{renew: yes}", func(h []host) { rolltest.Down(&h[2].State.State) }, " fail member c does not answer at https://c:2379: connection refused"},
		{"no key", "{renew: yes}", func(h []host) { h[2].State.Pairs[0].Key.Exists = false }, " fail c: /etc/etcd/server.crt has no key /etc/etcd/server.key"},
		{"a strange name", "{renew: yes}", func(h []host) { h[2].State.Pairs[0].Cert.Certs[0].CN = "a/O=b" }, " fail c: /etc/etcd/server.crt: \"a/O=b\" is no name that a certificate can have: letters, digits and . _ - : @, at most 64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := members(t, c.params, 20*day)
			if c.make != nil {
				c.make(h)
			}
			steps, said := planned(t, h)
			require.Empty(t, steps)
			require.Contains(t, said, c.said)
		})
	}
}

func TestResult(t *testing.T) {
	h := members(t, "{renew: yes}", 20*day)
	r := certs{}.Result(h[0].Input, task.Outcome{Changed: true}).(Result)
	require.Equal(t, "a has new certificates", r.Msg)
	require.Len(t, r.Certificates, 4)
	require.Equal(t, 20, r.Certificates[0].Days)
	h = members(t, "{}", 20*day)
	require.Equal(t, "b: 3 certificates, the first expires in 20 days", certs{}.Result(h[1].Input, task.Outcome{}).(Result).Msg)
}

func TestConformance(t *testing.T) {
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{Name: "no etcd", Params: "{unit: no-such-etcd.service}", Findings: []string{"fail: no etcd found on any host that could be read"}},
		tasktest.Case{Name: "nothing to renew", Params: "{unit: no-such-etcd.service, renew: yes}", Findings: []string{"fail: no etcd found on any host that could be read"}},
		tasktest.Case{Name: "no settings", Params: "{config: DIR/none}", Error: "none"},
	)
	for _, bad := range []string{"{warn_expiry: 1d}", "{ca_dir: x}", "{renew_before: -1d}", "{healthy_within: 0}"} {
		n, err := strictyaml.Parse("test.yml", []byte(bad))
		require.NoError(t, err)
		_, err = Define().Decode(n, nil)
		require.Error(t, err, bad)
	}
}
