package etcd

import (
	"cmp"
	"net/url"
	"path"
	"strconv"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
)

// Limits on a member's coming and going.
const (
	// GoneLimit is for a kubelet to stop a pod: it looks every 20 s, and the pod
	// has 30 s to end.
	GoneLimit = 3 * time.Minute
	// HealthyLimit is for a member to start, read its data and catch up.
	HealthyLimit = 5 * time.Minute
)

// shelf is the folder beside the kubelet's where manifests of stopped pods lie:
// in the kubelet's own any name would be a pod.
func shelf(manifest string) string { return path.Dir(manifest) + "-stopped" }

func shelved(manifest string) string { return path.Join(shelf(manifest), path.Base(manifest)) }

// Powerless says why dayops cannot stop and start the member; "" where it can.
func (in Instance) Powerless() string {
	if in.Runtime == Given {
		return "it was found by the parameters alone: neither a unit nor a static pod is known that could be stopped and started"
	}
	return ""
}

// Down tells a member that is certainly stopped: its unit does not run, or its
// manifest is on the shelf.
func (in Instance) Down() bool {
	if in.Runtime == PodRuntime {
		return in.Pod.Path == shelved(in.Manifest)
	}
	return in.Runtime != Given && !in.Active
}

// Stop is what stops the member, to be done one after the other; at the end it
// does not accept connections. What Powerless refuses has none.
//
// Stop, Start and Restart are all undone exactly but a unit's restart, and do
// nothing where it has been done already: Start belongs into Finally of a plan
// that stops.
func (in Instance) Stop() []change.Change {
	switch in.Runtime {
	case UnitRuntime, Container:
		return []change.Change{in.unitTo(true, false)}
	case PodRuntime:
		return append(in.manifest().Stop(), in.Gone(GoneLimit))
	}
	return nil
}

// Start is what starts the stopped member, planned from where Stop leaves it.
// It does not wait; Healthy does.
func (in Instance) Start() []change.Change {
	switch in.Runtime {
	case UnitRuntime, Container:
		return []change.Change{in.unitTo(false, true)}
	case PodRuntime:
		return in.manifest().Start()
	}
	return nil
}

// StopTogether and StartTogether are Stop and Start of members that come up only
// with others, none of which runs: nobody waits for one before the next is
// started, also where the stop is taken back. Healthy tells when they are there.
func (in Instance) StopTogether() []change.Change { return together(in.Stop()) }

// StartTogether is the other half of StopTogether.
func (in Instance) StartTogether() []change.Change { return together(in.Start()) }

func together(list []change.Change) []change.Change {
	for _, c := range list {
		if u, ok := c.(*change.Unit); ok {
			u.NoBlock = true
		}
	}
	return list
}

func (in Instance) manifest() Manifest {
	return Manifest{Path: in.Manifest, File: in.Pod, Shelf: in.Shelf, Stale: in.Stale}
}

// Restart is what stops and starts the member, in one step where the host can.
func (in Instance) Restart() []change.Change {
	switch in.Runtime {
	case UnitRuntime, Container:
		// Planned as from a running one, so that a plan made again after an
		// interrupt is the same.
		return []change.Change{&change.Unit{Name: in.Unit, Restart: true, Before: in.service(true)}}
	case PodRuntime:
		return append(in.Stop(), in.Start()...)
	}
	return nil
}

func (in Instance) unitTo(was, want bool) *change.Unit {
	return &change.Unit{Name: in.Unit, Active: &want, Before: in.service(was)}
}

// service is the unit as found, running or not.
func (in Instance) service(active bool) reader.Unit {
	u := in.Service
	u.Name, u.LoadState = in.Unit, cmp.Or(u.LoadState, "loaded")
	if active {
		u.ActiveState, u.SubState = "active", "running"
	} else {
		u.ActiveState, u.SubState = "inactive", "dead"
	}
	return u
}

// Healthy waits until a read through this member is confirmed by the quorum:
// it runs, has a leader and has caught up. Where etcdctl is only in a container
// without a lasting name (crictl), it waits for the port alone.
func (in Instance) Healthy(limit time.Duration) *change.Wait {
	what := in.label() + " to be healthy"
	if in.Ctl.NoEnv {
		w := in.port(limit)
		w.What = in.label() + " to accept connections"
		return w
	}
	// 3.2 exits with 0 whatever it found.
	return &change.Wait{Argv: in.Ctl.Health(in.Endpoint), Match: `"health":true| is healthy: `, What: what, Limit: limit}
}

// Answers waits until the member says that it has a leader. It asks for less
// than Healthy, which an alarm keeps from 3.5 on from ever coming true.
func (in Instance) Answers(limit time.Duration) *change.Wait {
	w := in.Healthy(limit)
	if len(w.Argv) > 0 {
		w.Argv, w.Match, w.What = in.Ctl.Status(in.Endpoint), `"leader":[1-9]`, in.label()+" to have a leader"
	}
	return w
}

// Gone waits until nothing accepts connections where the member answered.
func (in Instance) Gone(limit time.Duration) *change.Wait {
	w := in.port(limit)
	w.Gone, w.What = true, in.label()+" to be gone"
	return w
}

func (in Instance) port(limit time.Duration) *change.Wait {
	const usual = 2379
	w := &change.Wait{Port: usual, Limit: limit}
	if u, err := url.Parse(in.Endpoint); err == nil && u.Port() != "" {
		w.Address = u.Hostname()
		if n, err := strconv.Atoi(u.Port()); err == nil {
			w.Port = n
		}
	}
	return w
}

func (in Instance) label() string {
	if in.Name == "" {
		return "etcd"
	}
	return "etcd member " + in.Name
}
