// Package etcdhealth judges an etcd cluster.
package etcdhealth

import (
	"context"
	"errors"
	"fmt"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
)

// Params are the parameters of etcd_health. A limit of 0 is never reached.
type Params struct {
	etcd.Places `yaml:",inline"`
	WarnLag     int                 `yaml:"warn_lag" default:"500" doc:"raft entries behind the leader that are a warning; 0 is never"`
	MaxLag      int                 `yaml:"max_lag" default:"5000" doc:"raft entries behind the leader that are a failure; 0 is never"`
	WarnSize    int                 `yaml:"warn_db_percent" default:"75" doc:"per cent of the quota that a database may have; more is a warning; 0 is never"`
	MaxSize     int                 `yaml:"max_db_percent" default:"90" doc:"per cent of the quota; more is a failure; 0 is never"`
	WarnUnused  int                 `yaml:"warn_unused_percent" default:"50" doc:"per cent of a database above 100 MiB that a defragmentation would free; more is a warning; 0 is never"`
	WarnLatency strictyaml.Duration `yaml:"warn_latency" default:"250ms" doc:"a read confirmed by the quorum that takes longer is a warning; 0 is never"`
	MaxLatency  strictyaml.Duration `yaml:"max_latency" default:"2s" doc:"one that takes longer is a failure; 0 is never"`
	WarnExpiry  strictyaml.Duration `yaml:"warn_expiry" default:"30d" doc:"certificates that expire sooner are a warning; 0 is never"`
	MaxExpiry   strictyaml.Duration `yaml:"max_expiry" default:"7d" doc:"certificates that expire sooner are a failure, as are expired ones; 0 is only expired ones"`
	WarnSpread  strictyaml.Duration `yaml:"warn_spread" default:"100ms" doc:"members' clocks further apart are a warning; 0 is never"`
	MaxSpread   strictyaml.Duration `yaml:"max_spread" default:"1s" doc:"members' clocks further apart are a failure; 0 is never"`
	MinVoters   int                 `yaml:"min_voters" default:"1" doc:"fewer voting members are a failure"`
	Hash        bool                `yaml:"hash" default:"true" doc:"compare the members' hashes at one revision; each reads its whole database for it"`
}

// Validate checks that the limits are in order.
func (p *Params) Validate() error {
	for _, l := range []struct {
		name       string
		warn, fail int64
	}{
		{"lag", int64(p.WarnLag), int64(p.MaxLag)}, {"db_percent", int64(p.WarnSize), int64(p.MaxSize)},
		{"latency", int64(p.WarnLatency), int64(p.MaxLatency)}, {"spread", int64(p.WarnSpread), int64(p.MaxSpread)},
	} {
		if l.warn < 0 || l.fail < 0 {
			return fmt.Errorf("a limit of %s is below 0", l.name)
		}
		if l.fail > 0 && l.warn > l.fail {
			return fmt.Errorf("warn_%s is more than max_%s", l.name, l.name)
		}
	}
	if p.WarnExpiry > 0 && p.WarnExpiry < p.MaxExpiry {
		return errors.New("warn_expiry is less than max_expiry")
	}
	return p.Places.Validate()
}

// State is what one host says about its member.
type State struct {
	Found        bool
	Instance     etcd.Instance
	Certificates []etcdca.File
	Live         etcd.Live `plan:"volatile"`
	View         etcd.View `plan:"volatile"` // of the leader's host alone
}

// Define is the task.
func Define() *task.Definition {
	return task.DefineCluster(task.Spec[Params]{
		Name: "etcd_health",
		Doc:  "Judges an etcd cluster: members, quorum, leader, lag, sizes, alarms, hashes, latency, certificates, clocks.",
		Long: `Every host's member is found from its unit (environment, files, options), its static pod's manifest (OpenShift 3.10, kubeadm) or the parameters, and asked with the host's own etcdctl (API 3, JSON; in the container where it is only there). All hosts of the group etcd are read, whatever the play's hosts and --limit are. The leader's host also asks all members at one time: how far they are behind, and their hashes (hashkv, from 3.3 on) at one revision.
A lost quorum, a member that is down, no leader, an alarm (NOSPACE, CORRUPT), hashes that differ and expired certificates are failures; each other value has its limits. Where the v2 API is served (before 3.4, or enable-v2), its cluster-health counts too. Needs an account that may read the client's key: become: yes.
Before 3.3 there is no hashkv: hashes are then not compared. With authentication on, the client's certificate has the common name of a user with the role root, or the variables etcd_user and etcd_password (group_vars, -e @FILE) name such a user: that password is given to etcdctl on its input, and stands in no argument, plan or journal; dayops resume and undo find it in the same variables. It does not reach an etcdctl that is only behind master-exec or crictl. Who etcd does not let in is told so.`,
		Example: `- name: The cluster is healthy
  etcd_health:
    max_latency: 1s
    min_voters: 3
  become: yes
`,
		Kind:   func(Params) task.Kind { return task.Assert },
		Facts:  true,
		Reach:  []string{"etcd"},
		Result: Result{},
	}, health{})
}

type health struct{}

// Check finds the member and asks it.
func (health) Check(ctx context.Context, r task.Reader, p Params) (s State, err error) {
	if s.Instance, s.Found, err = etcd.Find(ctx, r, p.Places); err != nil || !s.Found {
		return s, err
	}
	if s.Certificates, err = etcdca.ReadMember(ctx, r, s.Instance); err != nil {
		return s, err
	}
	if s.Live, err = etcd.Look(ctx, r, s.Instance); err != nil {
		return s, err
	}
	if st := s.Live.Status; st != nil && st.Leader == st.MemberID && st.Leader != 0 {
		version, _ := etcd.ParseVersion(st.Version)
		s.View, err = etcd.Survey(ctx, r, s.Instance, s.Live, p.Hash && version.HasHashKV() && s.Live.Tool.HasHashKV())
	}
	return s, err
}
