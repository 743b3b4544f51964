package etcdmember

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
)

// GrowParams are the parameters of tasks that add members.
type GrowParams struct {
	etcd.Places  `yaml:",inline"`
	SaveParams   `yaml:",inline"`
	Address      string `yaml:"address" doc:"address of the new host for its URLs and certificates; when not given, its one in a network of the members, else its default one"`
	DataDir      string `yaml:"data_dir" default:"/var/lib/etcd" doc:"folder of the new member's data"`
	WALDir       string `yaml:"wal_dir" doc:"folder of the new member's write-ahead log; within the data when not given"`
	CAHost       string `yaml:"ca_host" doc:"host of the group etcd that has the authority; the first that has one when not given"`
	etcdca.Given `yaml:",inline"`
	CADir        string              `yaml:"ca_dir" default:"/etc/etcd/ca" doc:"folder of the authority there, as openshift-ansible lays it out"`
	Firewall     string              `yaml:"firewall" default:"auto" enum:"auto,none" doc:"auto: open ports 2379 and 2380 where firewalld runs or the iptables service is used; none: leave the packet filter alone"`
	Learner      bool                `yaml:"learner" default:"true" doc:"add as a learner and promote where the version has learners (3.4); no: as a voter at once, after its peer port was proven"`
	Promote      strictyaml.Duration `yaml:"promote_limit" default:"5m" doc:"time for a learner to catch up; then it is removed again"`
	Health       strictyaml.Duration `yaml:"health_limit" default:"2m" doc:"time for a new member to be healthy"`
	MaxSpread    strictyaml.Duration `yaml:"max_spread" default:"1s" doc:"clocks further apart are refused; 0 is never"`
	MinExpiry    strictyaml.Duration `yaml:"min_expiry" default:"1d" doc:"certificates of members that end sooner are refused"`
	Candidate    bool                `yaml:"candidate" default:"true" doc:"look at what a new member would find on this host (packages, room, packet filter); not needed on hosts outside of new_etcd, where it only takes time"`
	Masters      bool                `yaml:"masters" default:"true" doc:"bring etcdClientInfo.urls (or --etcd-servers) of all masters up to date and restart their API servers, one after the other"`
	Flannel      bool                `yaml:"flannel" default:"true" doc:"bring FLANNEL_ETCD_ENDPOINTS up to date on all hosts that have it"`
	Inventory    bool                `yaml:"inventory" default:"true" doc:"bring the groups etcd and new_etcd up to date in the inventory's file, the old file is kept"`
}

// Validate checks what the tags cannot say.
func (p *GrowParams) Validate() error {
	for name, dir := range map[string]string{"data_dir": p.DataDir, "wal_dir": p.WALDir, "ca_dir": p.CADir} {
		if dir != "" && (!path.IsAbs(dir) || strings.Trim(dir, "/") == "") {
			return fmt.Errorf("%s is an absolute path on the host, not %q", name, dir)
		}
	}
	if p.Address != "" && net.ParseIP(p.Address) == nil {
		return fmt.Errorf("address is an IP address, not %q", p.Address)
	}
	if p.Promote <= 0 || p.Health <= 0 {
		return errors.New("promote_limit and health_limit are more than 0")
	}
	if err := p.SaveParams.Validate(); err != nil {
		return err
	}
	if err := p.Given.Validate(); err != nil {
		return err
	}
	if p.CAHost != "" && p.Local() {
		return errors.New("local_ca_cert is on the control machine, ca_host names another")
	}
	return p.Places.Validate()
}

// Growth says how members are added.
func (p GrowParams) Growth() Growth {
	return Growth{CAHost: p.CAHost, CA: cmp.Or(p.CAKey, p.CADir), DataDir: path.Clean(p.DataDir), WALDir: cleaned(p.WALDir), Firewall: p.Firewall, Learner: p.Learner,
		Promote: time.Duration(p.Promote), Health: time.Duration(p.Health)}
}

// Limits are those of the preconditions.
func (p GrowParams) Limits() Limits {
	return Limits{Spread: time.Duration(p.MaxSpread), Expiry: time.Duration(p.MinExpiry)}
}

// Looking says what a Check looks for.
func (p GrowParams) Looking() Looking {
	return Looking{Places: p.Places, Room: p.Candidate, DataDir: path.Clean(p.DataDir), WALDir: cleaned(p.WALDir), CADir: path.Clean(p.CADir), Given: p.Given, Home: p.BackupDir}
}

func cleaned(p string) string {
	if p == "" {
		return ""
	}
	return path.Clean(p)
}
