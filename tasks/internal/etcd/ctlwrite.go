package etcd

import (
	"fmt"
	"strings"
)

// The verbs below change a cluster. They are for change.Exec alone: none is a
// row of the reader's table.

// write asks for a change with API 3; etcdctl's prose answer is for people.
func (c Ctl) write(endpoints, limit string, verb ...string) []string {
	argv := c.v3(endpoints, limit)
	return append(argv[:len(argv)-2], verb...) // without --write-out json, which old versions do not give here
}

// MemberAdd takes a member in. The answer is not read: the member is found by its peer URL.
func (c Ctl) MemberAdd(endpoint, name, peerURL string, learner bool) []string {
	argv := c.write(endpoint, slow, "member", "add", name, "--peer-urls", peerURL)
	if learner {
		argv = append(argv, "--learner")
	}
	return argv
}

// MemberRemove takes one out; id is hexadecimal.
func (c Ctl) MemberRemove(endpoint, id string) []string {
	return c.write(endpoint, slow, "member", "remove", id)
}

// MemberPromote gives a learner its vote (3.4). A follower to which that is
// forbidden does not say so for long: the limit is short.
func (c Ctl) MemberPromote(endpoint, id string) []string {
	return c.write(endpoint, quick, "member", "promote", id)
}

// MemberUpdate gives a member other peer URLs.
func (c Ctl) MemberUpdate(endpoint, id string, peerURLs ...string) []string {
	return c.write(endpoint, slow, "member", "update", id, "--peer-urls", strings.Join(peerURLs, ","))
}

// MoveLeader makes another voter lead (3.3); etcdctl finds the leader among the endpoints.
func (c Ctl) MoveLeader(to string, endpoints ...string) []string {
	return c.write(strings.Join(endpoints, ","), slow, "move-leader", to)
}

// Hex is a member's ID as etcdctl takes it.
func Hex(id uint64) string { return fmt.Sprintf("%x", id) }

// HasMoveLeader tells whether etcdctl can move the leadership (3.3).
func (v Version) HasMoveLeader() bool { return v.AtLeast(3, 3, 0) }
