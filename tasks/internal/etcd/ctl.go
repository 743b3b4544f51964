package etcd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/reader"
)

// Ctl builds the argv of programs that ask a member. Every one of them is a
// row of the reader's table of probes.
type Ctl struct {
	Wrap          []string // what stands before etcdctl where it is only in a container
	NoEnv         bool     // the container has no env; its etcdctl is 3.4 or later
	CA, Cert, Key string   // client's; "" without TLS
	User          string   // whose password etcdctl asks for; "" without one
}

// Login is the service whose password a command of c reads, for change.Exec; ""
// for none.
func (c Ctl) Login() string {
	if c.User == "" {
		return ""
	}
	return reader.EtcdService
}

// Nameless asks without a password: as whoever the certificate names.
func (c Ctl) Nameless() Ctl {
	c.User = ""
	return c
}

// Unfed says why etcdctl cannot be given the password that it would ask for; ""
// where it can, or asks for none.
func (c Ctl) Unfed() string {
	if c.User == "" || len(c.Wrap) == 0 || c.Wrap[0] == "docker" {
		return ""
	}
	return fmt.Sprintf("a password cannot be given to an etcdctl that is only reached by %s: put etcdctl on the host, or use a certificate whose name is a user's", c.Wrap[0])
}

// enter is what stands before etcdctl; with a password docker must pass it on.
func (c Ctl) enter() []string {
	argv := slices.Clone(c.Wrap)
	if c.User != "" && len(argv) > 1 && argv[0] == "docker" {
		argv = slices.Insert(argv, 2, "-i") // behind exec
	}
	return argv
}

// v3 asks with API 3 and JSON.
func (c Ctl) v3(endpoints, limit string, verb ...string) []string {
	argv := c.enter()
	if !c.NoEnv {
		argv = append(argv, "env", "ETCDCTL_API=3")
	}
	argv = append(argv, "etcdctl", "--dial-timeout", "3s", "--command-timeout", limit, "--endpoints", endpoints)
	if c.CA != "" {
		argv = append(argv, "--cacert", c.CA)
	}
	if c.Cert != "" {
		argv = append(argv, "--cert", c.Cert, "--key", c.Key)
	}
	if c.User != "" {
		argv = append(argv, "--user", c.User)
	}
	return append(append(argv, "--write-out", "json"), verb...)
}

const (
	quick = "5s"
	slow  = "50s" // of hashing a whole database
)

// MemberList, and those below, are what etcdctl is asked.
func (c Ctl) MemberList(endpoint string) []string { return c.v3(endpoint, quick, "member", "list") }

// Status asks each endpoint for its own state.
func (c Ctl) Status(endpoints ...string) []string {
	return c.v3(strings.Join(endpoints, ","), quick, "endpoint", "status")
}

// Health does a read that a quorum must agree to.
func (c Ctl) Health(endpoint string) []string { return c.v3(endpoint, quick, "endpoint", "health") }

// Alarms lists what the cluster is alarmed about.
func (c Ctl) Alarms(endpoint string) []string { return c.v3(endpoint, quick, "alarm", "list") }

// Users asks for the names of users: with authentication on, only who has the
// role root is told.
func (c Ctl) Users(endpoint string) []string { return c.v3(endpoint, quick, "user", "list") }

// HashKV hashes one member's keys up to a revision (3.3).
func (c Ctl) HashKV(endpoint string, rev int64) []string {
	return c.v3(endpoint, slow, "endpoint", "hashkv", "--rev", strconv.FormatInt(rev, 10))
}

// Keys counts all v3 keys: the answer's count does not end at its limit.
func (c Ctl) Keys(endpoint string) []string {
	return c.v3(endpoint, quick, "get", "", "--prefix", "--keys-only", "--limit", "1")
}

// Version asks the tool for its own.
func (c Ctl) Version() []string {
	argv := append([]string{}, c.Wrap...)
	if !c.NoEnv {
		argv = append(argv, "env", "ETCDCTL_API=3")
	}
	return append(argv, "etcdctl", "version")
}

// UtlVersion asks etcdutl, which is there from 3.5 on.
func (c Ctl) UtlVersion() []string {
	return append(append([]string{}, c.Wrap...), "etcdutl", "version")
}

// File is a command of the program that works on files (etcdctl or etcdutl) in
// the place where the member's own is.
func (c Ctl) File(program string, words ...string) []string {
	argv := append([]string{}, c.Wrap...)
	if program == "etcdctl" && !c.NoEnv {
		argv = append(argv, "env", "ETCDCTL_API=3")
	}
	return append(append(argv, program), words...)
}

// FileStatus asks what is in a database that no member uses.
func (c Ctl) FileStatus(program, path string) []string {
	return c.File(program, "snapshot", "status", path, "--write-out", "json")
}

func (c Ctl) v2(endpoint string, verb ...string) []string {
	argv := append(append([]string{}, c.Wrap...), "env", "ETCDCTL_API=2", "etcdctl")
	if c.CA != "" {
		argv = append(argv, "--ca-file", c.CA)
	}
	if c.Cert != "" {
		argv = append(argv, "--cert-file", c.Cert, "--key-file", c.Key)
	}
	return append(append(argv, "--endpoints", endpoint), verb...)
}

// V2Health asks for all members' health over the v2 API.
func (c Ctl) V2Health(endpoint string) []string { return c.v2(endpoint, "cluster-health") }

// V2Words is a v2 command, for a change: no probe.
func (c Ctl) V2Words(endpoint string, words ...string) []string { return c.v2(endpoint, words...) }

// V2Root lists the v2 store's uppermost folder; it fails where v2 is not served.
func (c Ctl) V2Root(endpoint string) []string { return c.v2(endpoint, "ls", "/") }
