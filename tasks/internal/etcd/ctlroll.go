package etcd

import (
	"strconv"
	"time"

	"github.com/dayops/dayops/engine/change"
)

// DefragLimit is for one member to write its database anew: about a second for
// each 100 MiB on a good disk.
const DefragLimit = 10 * time.Minute

// Defrag writes one member's database anew; it answers nobody meanwhile.
func (c Ctl) Defrag(endpoint string) []string {
	return c.write(endpoint, strconv.Itoa(int(DefragLimit/time.Second))+"s", "defrag")
}

// Compact forgets what was before a revision, and waits until it is done.
func (c Ctl) Compact(endpoint string, rev int64) []string {
	return c.write(endpoint, strconv.Itoa(int(DefragLimit/time.Second))+"s", "compaction", "--physical", strconv.FormatInt(rev, 10))
}

// Disarm takes all alarms of the cluster back.
func (c Ctl) Disarm(endpoint string) []string { return c.write(endpoint, slow, "alarm", "disarm") }

// Leads asks whether the member itself leads.
func (in Instance) Leads(id uint64) change.Query {
	return change.Query{Argv: in.Ctl.Status(in.Endpoint), Key: "Status.leader", Value: strconv.FormatUint(id, 10), What: "whether " + in.label() + " leads"}
}
