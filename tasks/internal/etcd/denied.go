package etcd

import (
	"fmt"
	"slices"
	"strings"
)

// denied is problem where it is authentication's; "" of any other.
func denied(problem string) string {
	of := []string{"permission denied", "user name is empty", "user name not found", "authentication failed", "invalid auth token"}
	if slices.ContainsFunc(of, func(s string) bool { return strings.Contains(problem, s) }) {
		return problem
	}
	return ""
}

// Unwelcome tells people, in one line and with what to do about it, that
// authentication keeps this instance's etcdctl out; "" where it does not.
func (in Instance) Unwelcome(l Live) (text, hint string) {
	const role = "; etcdctl user grant-role NAME root"
	switch {
	case l.Denied == "":
		return "", ""
	case in.Ctl.User != "":
		return fmt.Sprintf("authentication is on, and user %s may not do all that is needed: %s", in.Ctl.User, l.Denied),
			"correct etcd_user and etcd_password; the user needs the role root: etcdctl user grant-role " + in.Ctl.User + " root"
	case in.Ctl.Cert != "":
		return fmt.Sprintf("authentication is on, and the common name of %s is no user's with the role root: %s", in.Ctl.Cert, l.Denied),
			"set the variables etcd_user and etcd_password, or make a user of that name: etcdctl user add NAME --no-password" + role
	}
	return "authentication is on, and nobody is named to ask as: " + l.Denied, "set the variables etcd_user and etcd_password of a user with the role root"
}
