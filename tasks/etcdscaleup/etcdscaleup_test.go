package etcdscaleup

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/internal/etcdmember/membertest"
	"github.com/dayops/dayops/tasks/tasktest"
)

func decode(t *testing.T, text string) Params {
	t.Helper()
	n, err := strictyaml.Parse("test.yml", []byte(text))
	require.NoError(t, err)
	p, err := Define().Decode(n, nil)
	require.NoError(t, err)
	return p.(Params)
}

const hosts = "[etcd]\nmaster-0\n\n# comes this week\n[new_etcd]\netcd-3 ansible_host=192.168.55.21\n"

func planned(t *testing.T, params string, all []membertest.Host) task.Plan {
	t.Helper()
	in := input{Now: membertest.Now(), Inventory: []task.InventoryFile{{Path: "/site/hosts.ini", Text: hosts, Editable: true,
		File: reader.File{Path: "/site/hosts.ini", Exists: true, Type: reader.Regular, Size: int64(len(hosts))}}}}
	for _, h := range all {
		x := task.HostInput[Params, State]{Groups: h.Groups, Reach: h.Reach, Err: h.Err}
		x.Host, x.Target, x.Facts, x.State = h.Name, h.Name, h.Facts, h.State
		if h.Err == nil {
			x.Params = decode(t, params)
		}
		in.Hosts = append(in.Hosts, x)
	}
	p, err := scaleup{}.Plan(in)
	require.NoError(t, err)
	for _, s := range p.Changes() {
		require.LessOrEqual(t, s.Change.Risk(), Define().MaxRisk(Params{}), s.Change.Summary())
	}
	return p
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name + ".txt"
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestPlans(t *testing.T) {
	for name, c := range map[string]struct {
		params string
		hosts  []membertest.Host
	}{
		"one-more": {"{}", append(membertest.Cluster(3, "3.4.23"), membertest.Spare("etcd-3", "192.168.55.21", "3.4.23-1.el7"))},
		"one-two":  {"{masters: no, flannel: no, inventory: no}", append(membertest.Cluster(1, "3.5.21"), membertest.Spare("etcd-3", "192.168.55.21", "3.5.21-1.el7"), membertest.Spare("etcd-4", "192.168.55.22", "3.5.21-1.el7"))},
		"ocp310":   {"{}", append(membertest.Cluster(1, "3.2.22"), membertest.Spare("etcd-3", "192.168.55.21", "3.2.22-1.el7"))},
		"localhost": {"{inventory: no}", func() []membertest.Host {
			all := append(membertest.Cluster(1, "3.4.23"), membertest.Spare("etcd-3", "192.168.55.21", "3.4.23-1.el7"))
			all[0].State.Live.Members[0].PeerURLs = []string{"http://localhost:2380"}
			return all
		}()},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, membertest.Show(planned(t, c.params, c.hosts))) })
	}
}

// TestRefusals: every bad input is told, with what to do, and nothing is planned.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		make func(all []membertest.Host) []membertest.Host
		want string
		hint string
	}{
		"nobody":           {func(all []membertest.Host) []membertest.Host { return all[:3] }, "nothing to do: the group new_etcd has no host", "put the new host into"},
		"beyond the limit": {func(all []membertest.Host) []membertest.Host { all[3].Reach = true; return all }, "outside of the play, the batch or --limit", ""},
		"a member is down": {func(all []membertest.Host) []membertest.Host { membertest.Down(&all[2]); return all }, "member master-2 does not answer at https://192.168.55.12:2379: connection refused", "etcd-remove.yml -e member=master-2"},
		"a host is lost": {func(all []membertest.Host) []membertest.Host {
			membertest.Lost(&all[2], errors.New("gone"))
			return all
		}, "member master-2 (https://192.168.55.12:2380) is on no host that could be read", "etcd-remove.yml"},
		"no quorum": {func(all []membertest.Host) []membertest.Host {
			membertest.Down(&all[1])
			membertest.Down(&all[2])
			return all
		}, "quorum lost: 3 voters, 1 healthy, 2 needed", "do not remove any"},
		"no quorum, and a peer URL of no use": {func(all []membertest.Host) []membertest.Host {
			for i := range all[:3] {
				all[i].State.Live.Members[0].PeerURLs, all[i].State.Live.Health = []string{"http://localhost:2380"}, etcd.Health{Error: "deadline"}
			}
			return all
		}, "quorum lost: 3 voters, 0 healthy, 2 needed", "do not remove any"},
		"new host lost": {func(all []membertest.Host) []membertest.Host {
			membertest.Lost(&all[3], errors.New("no route"))
			return all
		}, "etcd-3 could not be read: no route", "nothing is done"},
		"alarm": {func(all []membertest.Host) []membertest.Host {
			all[0].State.Live.Alarms = []etcd.Alarm{{MemberID: 10, Kind: "NOSPACE"}}
			return all
		}, "alarm NOSPACE raised by a", "etcd-health.yml"},
		"mixed versions": {func(all []membertest.Host) []membertest.Host { all[2].State.Live.Status.Version = "3.5.9"; return all }, "mixed versions: 3.4 on master-0 and master-1; 3.5 on master-2", "finish the upgrade"},
		"other cluster":  {func(all []membertest.Host) []membertest.Host { all[2].State.Live.Status.ClusterID = 5; return all }, "master-2 belongs to another cluster: 5", "never start a restored copy"},
		"clock":          {func(all []membertest.Host) []membertest.Host { all[3].Facts.Skew = 3 * time.Minute; return all }, "clocks are at least 3m0s apart: master-0 is behind etcd-3", "ntp.yml"},
		"other names": {func(all []membertest.Host) []membertest.Host {
			c := &all[1].State.Certificates[0]
			c.Path, c.Certs = "/etc/etcd/peer.crt", []etcdca.Certificate{{NotAfter: membertest.Now().AddDate(1, 0, 0), Names: etcdca.Names{IPs: []string{"fd00::11"}}}}
			return all
		}, "certificate /etc/etcd/peer.crt is not for 192.168.55.11, where others reach the member", "a new one has that name too"},
		"expired": {func(all []membertest.Host) []membertest.Host {
			all[1].State.Certificates[0].Certs[0].NotAfter = membertest.Now().Add(-time.Hour)
			return all
		}, "certificate /etc/etcd/peer.crt expired on 2026-11-22", "renew it first"},
		"another authority's certificate": {func(all []membertest.Host) []membertest.Host {
			all[1].State.Certificates[0].Stranger = "is not signed by the authority in /etc/etcd/ca.crt"
			return all
		}, "certificate /etc/etcd/peer.crt is not signed by the authority in /etc/etcd/ca.crt", "put the right one back first: the member reads it when it restarts"},
		"asked with a wrong certificate": {func(all []membertest.Host) []membertest.Host {
			membertest.Down(&all[2])
			all[2].State.Certificates[0].Stranger = "is not signed by the authority in /etc/etcd/ca.crt"
			return all
		}, "member master-2 does not answer at https://192.168.55.12:2379: connection refused", "-> certificate /etc/etcd/peer.crt is not signed by"},
		"all asked with a wrong certificate": {func(all []membertest.Host) []membertest.Host {
			for i := range all[:3] {
				membertest.Down(&all[i])
				all[i].State.Certificates[0] = etcdca.File{Path: "/etc/etcd/peer.crt", Problem: "is not there"}
			}
			return all
		}, "member master-2 does not answer at https://192.168.55.12:2379: connection refused", "-> certificate /etc/etcd/peer.crt is not there"},
		"hosts lost": {func(all []membertest.Host) []membertest.Host {
			for i := range all[:3] {
				membertest.Lost(&all[i], errors.New("no route"))
			}
			return all
		}, "master-0 could not be read: no route", "bring the host back"},
		"a learner already": {func(all []membertest.Host) []membertest.Host {
			for i := range all[:3] {
				all[i].State.Live.Members = append(all[i].State.Live.Members[:3:3], etcd.Member{ID: 77, Name: "other", Learner: true, PeerURLs: []string{"https://192.168.55.29:2380"}})
			}
			return all
		}, "etcd takes one learner at a time", "promote or remove the learner there is"},
		"no name for a member": {func(all []membertest.Host) []membertest.Host { all[3].Name = "etcd 3"; return all }, `"etcd 3" cannot be a member's name`, "another name in the inventory"},
		"a member's address": {func(all []membertest.Host) []membertest.Host {
			all[3] = membertest.Spare("etcd-3", "192.168.55.12", "3.4.23-1.el7")
			return all
		}, "https://192.168.55.12:2380 is member master-2 already, and it does not answer", "etcd-remove.yml -e member=master-2"},
		"no systemd": {func(all []membertest.Host) []membertest.Host { all[3].State.Room.NoSystemd = true; return all }, "etcd-3 is not run by systemd", "take a host that systemd runs"},
		"old data": {func(all []membertest.Host) []membertest.Host {
			all[3].State.Room.Data = []string{"/var/lib/etcd/member/snap/db"}
			return all
		}, "data of an earlier etcd lie on etcd-3: /var/lib/etcd/member/snap/db", "mv /var/lib/etcd/member"},
		"etcd there": {func(all []membertest.Host) []membertest.Host {
			all[3].State.Room.Units[0] = reader.Unit{Name: "etcd.service", LoadState: "loaded", ActiveState: "active"}
			return all
		}, "etcd.service runs already on etcd-3", "stop it"},
		"port taken": {func(all []membertest.Host) []membertest.Host {
			all[3].State.Room.Listening = []string{"0.0.0.0:2380"}
			return all
		}, "something listens on etcd-3 already: 0.0.0.0:2380", "ss -ltnp"},
		"no room":    {func(all []membertest.Host) []membertest.Host { all[3].State.Room.Free = 100 << 20; return all }, "100 MiB are free for /var/lib/etcd on etcd-3, 378 MiB are needed", ""},
		"no package": {func(all []membertest.Host) []membertest.Host { all[3].State.Room.Offers = nil; return all }, "no package etcd 3.4 for etcd-3: its repositories' lists have none", "add a repository"},
		"wrong package": {func(all []membertest.Host) []membertest.Host {
			all[3].State.Room.Offers["etcd"] = []string{"3.3.11-2.el7"}
			return all
		}, "no package etcd 3.4 for etcd-3: its repositories' lists have 3.3.11-2.el7", "add a repository"},
		"wrong version": {func(all []membertest.Host) []membertest.Host {
			all[3].State.Room.Version = "etcd Version: 3.5.1\n"
			all[3].State.Room.Units[0].LoadState = "loaded"
			return all
		}, "etcd 3.5.1 is installed on etcd-3, the cluster has 3.4.23", "finish the upgrade"},
		"no authority": {func(all []membertest.Host) []membertest.Host { all[0].State.Authority.Found = false; return all }, "on no etcd host is an authority that could sign", "ca_host"},
		"wrong authority": {func(all []membertest.Host) []membertest.Host {
			all[0].State.Trusted.Certs[0].SHA256 = "other"
			return all
		}, "does not hold the authority's certificate", "another cluster"},
		"name taken": {func(all []membertest.Host) []membertest.Host { all[3].Name = "master-1"; return all }, "the cluster has a member master-1 already", "remove it first"},
		"address of another host": {func(all []membertest.Host) []membertest.Host {
			all[3].State.Room.Addresses, all[3].Facts.DefaultIPv4 = []string{"10.0.0.5/24", "192.168.55.21/24", "192.168.55.22/24"}, ""
			return all
		}, "it has several addresses in the members' networks: 192.168.55.21, 192.168.55.22", "address:"},
		"master lost": {func(all []membertest.Host) []membertest.Host {
			return append(all, membertest.Host{Name: "master-9", Groups: []string{"masters"}, Err: errors.New("gone")})
		}, "master master-9 could not be read", "masters: no"},
	} {
		t.Run(name, func(t *testing.T) {
			p := planned(t, "{}", c.make(append(membertest.Cluster(3, "3.4.23"), membertest.Spare("etcd-3", "192.168.55.21", "3.4.23-1.el7"))))
			require.Empty(t, p.Changes())
			tasktest.Hinted(t, p)
			shown := membertest.Show(p)
			require.Contains(t, shown, c.want)
			require.Contains(t, shown, c.hint)
		})
	}
}

// TestTakenUpAgain: a learner of an interrupted run is brought to its vote.
func TestTakenUpAgain(t *testing.T) {
	all := append(membertest.Cluster(3, "3.4.23"), membertest.Spare("etcd-3", "192.168.55.21", "3.4.23-1.el7"))
	for i := range all[:3] {
		all[i].State.Live.Members = append(all[i].State.Live.Members[:3:3], etcd.Member{ID: 77, Learner: true, PeerURLs: []string{"https://192.168.55.21:2380"}})
	}
	shown := membertest.Show(planned(t, "{}", all))
	require.Contains(t, shown, "warn  etcd-3 has been added already and has no vote yet")
	require.NotContains(t, shown, "sign a server certificate")
	require.NotContains(t, shown, "add learner")
	require.Contains(t, shown, "promote etcd-3 as soon as it has caught up")
	require.Contains(t, shown, "ETCD_INITIAL_CLUSTER=master-0=https://192.168.55.10:2380,master-1=https://192.168.55.11:2380,master-2=https://192.168.55.12:2380,etcd-3=https://192.168.55.21:2380\n")

	// One that has come up: its host is not looked at as a new one, its member says where it is.
	cluster := all[0].State.Live.Status
	all[3].State = State{Found: true, Live: etcd.Live{Status: &etcd.Status{ClusterID: cluster.ClusterID, MemberID: 77, Learner: true, Version: "3.4.23", Leader: cluster.Leader, Index: 900, Term: 2}}}
	all[3].Facts.DefaultIPv4 = ""
	shown = membertest.Show(planned(t, "{}", all))
	require.Contains(t, shown, "promote etcd-3 as soon as it has caught up")
	require.NotContains(t, shown, "start etcd-3")
}

func TestConformance(t *testing.T) {
	tasktest.Run(t, Define(), tasktest.Local,
		tasktest.Case{Name: "no new host", Params: "{unit: no-such-etcd.service, candidate: no}", Findings: []string{"warn: nothing to do: the group new_etcd has no host"}},
		tasktest.Case{Name: "no settings", Params: "{config: DIR/none}", Error: "none"},
	)
}

func TestParameters(t *testing.T) {
	for text, want := range map[string]string{
		"{address: etcd-3}":      "address is an IP address",
		"{data_dir: etcd}":       "absolute path",
		"{data_dir: /}":          "absolute path",
		"{promote_limit: 0}":     "more than 0",
		"{cert: /a}":             "cert and key belong together",
		"{firewall: nftables}":   "one of auto, none",
		"{unit: 'etcd;reboot'}":  "no name of a unit",
		"{learner: yes, new: x}": "unknown key",
	} {
		n, err := strictyaml.Parse("test.yml", []byte(text))
		require.NoError(t, err)
		_, err = Define().Decode(n, nil)
		require.ErrorContains(t, err, want, text)
	}
}

// The membership changes on a backup, or as told without one; where no member's
// data can be taken nothing is planned. What has been begun stood on one.
func TestBackup(t *testing.T) {
	all := func() []membertest.Host {
		return append(membertest.Cluster(3, "3.4.23"), membertest.Spare("etcd-3", "192.168.55.21", "3.4.23-1.el7"))
	}
	names := func(p task.Plan) (out []string) {
		for _, s := range p.Stages {
			out = append(out, s.Name)
		}
		return out
	}
	require.Equal(t, []string{"reach etcd-3", "backup", "certs for etcd-3"}, names(planned(t, "{}", all()))[:3])

	p := planned(t, "{backup: no}", all())
	require.NotContains(t, names(p), "backup")
	require.Contains(t, membertest.Show(p), "warn  the membership changes without a backup")

	full := all()
	for i := range 3 {
		full[i].State.Store.Places[0].Room.Free = 1 << 20
	}
	p = planned(t, "{}", full)
	require.Empty(t, p.Changes())
	require.Contains(t, membertest.Show(p), "FAIL  no member's data can be taken: master-0: no room to stage it")

	begun := all()
	for i := range 3 {
		begun[i].State.Live.Members = append(begun[i].State.Live.Members, etcd.Member{ID: 99, Learner: true, PeerURLs: []string{"https://192.168.55.21:2380"}})
	}
	require.NotContains(t, names(planned(t, "{}", begun)), "backup")

	n, err := strictyaml.Parse("test.yml", []byte("{backup_dir: ~/x}"))
	require.NoError(t, err)
	_, err = Define().Decode(n, nil)
	require.ErrorContains(t, err, "write the whole path")
}

// IPv6 peers are proven, asked and told as others are: all that is only read is
// in the reader's table, and URLs have their brackets.
func TestIPv6(t *testing.T) {
	all := append(membertest.Cluster(1, "3.2.22"), membertest.Spare("etcd-3", "fd00::21", "3.2.22-1.el7"))
	in := &all[0].State.Instance
	six := func(urls []string) (out []string) {
		for _, u := range urls {
			out = append(out, strings.Replace(u, "192.168.55.10", "[fd00::10]", 1))
		}
		return out
	}
	in.PeerURLs, in.ClientURLs, in.ListenURLs = six(in.PeerURLs), six(in.ClientURLs), six(in.ListenURLs)
	in.Endpoint, in.Settings["ETCD_LISTEN_PEER_URLS"] = in.ClientURLs[0], in.PeerURLs[0]
	m := &all[0].State.Live.Members[0]
	m.PeerURLs, m.ClientURLs = in.PeerURLs, in.ClientURLs
	all[1].State.Room.Addresses = []string{"192.168.55.21/24", "fd00::21/64"}

	p := planned(t, "{flannel: no, inventory: no}", all)
	said := membertest.Show(p)
	for _, want := range []string{"wait for fd00::10:2380, member master-0", "IP:fd00::21,DNS:etcd-3", "+ETCD_LISTEN_PEER_URLS=https://[fd00::21]:2380",
		"+ETCD_INITIAL_CLUSTER=master-0=https://[fd00::10]:2380,etcd-3=https://[fd00::21]:2380", "master-0 to shake hands with etcd-3 at [fd00::21]:2380",
		"add voter etcd-3 at https://[fd00::21]:2380", "without firewalld dayops opens ports of IPv4 alone"} {
		require.Contains(t, said, want)
	}
	handshakes := 0
	for _, s := range p.Changes() {
		switch c := s.Change.(type) {
		case *change.Wait:
			if len(c.Argv) > 0 {
				require.NoError(t, reader.CheckProbe(c.Argv), "%q", c.Argv)
				if strings.Contains(c.What, "shake hands") {
					handshakes++
				}
			}
		case *change.Exec:
			if c.Done != nil && c.Done.Find != nil {
				require.NoError(t, reader.CheckProbe(c.Done.Find.Argv), "%q", c.Done.Find.Argv)
			}
		}
	}
	require.Equal(t, 1, handshakes)
	require.Contains(t, membertest.Show(planned(t, "{flannel: no, inventory: no, address: 'FD00:0::21'}", all)), "add voter etcd-3 at https://[fd00::21]:2380")
}

// A given authority of the control machine signs there, and its files come from there.
func TestGivenAuthority(t *testing.T) {
	all := append(membertest.Cluster(3, "3.4.23"), membertest.Spare("etcd-3", "192.168.55.21", "3.4.23-1.el7"))
	a := all[0].State.Authority
	a.Key, a.Cert.Path = "/root/ca.key", "/root/ca.crt"
	stages := func(host string) {
		t.Helper()
		p := planned(t, "{}", all)
		var signs, from []string
		for _, s := range p.Changes() {
			switch c := s.Change.(type) {
			case *change.Exec:
				if strings.HasPrefix(c.Purpose, "sign a ") {
					signs = append(signs, s.Host)
					require.Contains(t, c.Argv, "/root/ca.key")
				}
			case *change.Transfer:
				if c.FromPeer != "" {
					from = append(from, c.FromPeer)
				}
			}
		}
		require.Equal(t, []string{host, host}, signs)
		require.Equal(t, []string{host, host, host, host, host}, from)
		require.Equal(t, host, p.Finally[len(p.Finally)-1].Host)
	}
	all[0].State.Authority, all[1].State.Authority = etcdca.Authority{}, a
	stages("master-1")
	a.Local = true
	for i := range all {
		all[i].State.Authority = a
	}
	stages(task.ControlMachine)
	for i := range all {
		all[i].State.Authority.Lacks = []string{"/root/ca.key is not the key of /root/ca.crt"}
	}
	p := planned(t, "{}", all)
	require.Empty(t, p.Changes())
	require.Contains(t, membertest.Show(p), "FAIL  the given authority cannot sign: /root/ca.key is not the key of /root/ca.crt  -> name its certificate and key with ca_cert")
}

// A node whose flannel is told of the new member has not joined anything.
func TestResult(t *testing.T) {
	msg := func(params string, s State) string {
		return scaleup{}.Result(task.Input[Params, State]{Params: decode(t, params), State: s}, task.Outcome{Changed: true}).(Result).Msg
	}
	require.Equal(t, "joined", msg("{candidate: yes}", State{}))
	require.Empty(t, msg("{candidate: no}", State{}))
}
