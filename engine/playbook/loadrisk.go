package playbook

import (
	"strconv"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/vars"
)

// maxThrottle is more hosts than any play has.
const maxThrottle = 65535

// throttle reads how many hosts are in a step at once; 0 when it is not said.
func (l *loader) throttle(n *strictyaml.Node) int {
	if n == nil {
		return 0
	}
	i, err := strconv.Atoi(n.Raw)
	_, text := n.Value.(string)
	switch {
	case n.Kind == strictyaml.Scalar && vars.IsTemplate(n):
		l.ms.Add(n.Mistake("throttle cannot be a template", "write the number: it must be known before the first host is touched"))
		return 0
	case n.Kind != strictyaml.Scalar || text || err != nil || i < 1 || i > maxThrottle:
		l.ms.Add(n.Mistake("throttle must be a whole number of hosts from 1", "a share of the hosts is serial: 30% at the play"))
		return 0
	}
	return i
}

// approve reads the author's approval. It covers disruptive changes alone: a
// playbook that could approve the loss of data for itself would give that right
// to everyone who starts it, a cron job too.
func (l *loader) approve(n *strictyaml.Node) change.Risk {
	if n == nil {
		return change.Safe
	}
	switch {
	case n.Kind == strictyaml.Scalar && vars.IsTemplate(n):
		l.ms.Add(n.Mistake("approve cannot be a template", "write approve: disruptive; what a host or a variable says must not approve anything"))
	case n.Kind == strictyaml.Scalar && n.Raw == change.Disruptive.String():
		return change.Disruptive
	case n.Kind == strictyaml.Scalar && n.Raw == change.Destructive.String():
		l.ms.Add(n.Mistake("a playbook cannot approve destructive changes",
			"remove it; whoever runs the playbook gives --approve destructive, or types the number of hosts"))
	default:
		l.ms.Add(n.Mistake("approve can only be disruptive", "safe changes need no approval, destructive ones are approved by whoever runs the playbook"))
	}
	return change.Safe
}
