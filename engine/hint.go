package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/guard"
	"github.com/dayops/dayops/engine/journal"
	"github.com/dayops/dayops/engine/store"
)

// explain says of an error what it is, in a form that is equal for hosts that
// failed for the same reason, and what to type next.
func explain(host string, err error) (cause, hint string) {
	var one *MemberError
	if errors.As(err, &one) {
		host = one.Host
	}
	var (
		key     *conn.HostKeyError
		auth    *conn.AuthError
		become  *conn.BecomeError
		lost    *conn.LostError
		unreach *conn.UnreachableError
		nobody  *NotInInventoryError
		gate    *GateError
	)
	switch {
	case errors.As(err, &gate):
		return err.Error(), gate.Hint
	case errors.As(err, &key):
		return explainKey(cmp.Or(key.Host, host), key)
	case errors.As(err, &auth):
		host = cmp.Or(auth.Host, host) // it may be another one, with delegate_to
		if auth.Jump {
			return "login refused by the jump host", fmt.Sprintf("dayops ping %s   (after a look at ProxyJump=USER@HOST and ~/.ssh/config: "+
				"-u and --private-key do not count for a jump host)", host)
		}
		return "login refused", fmt.Sprintf("dayops ping %s -v   (shows what was tried; check -u and --private-key)", host)
	case errors.As(err, &become):
		return "sudo: " + string(become.Reason), becomeHint(cmp.Or(become.Host, host), become)
	case errors.As(err, &lost):
		host = cmp.Or(lost.Host, host)
		return "connection lost", fmt.Sprintf("dayops ping %s   (what the last step did there is in doubt: look before running it again)", host)
	case errors.As(err, &unreach):
		return unreachableCause(unreach), unreachableHint(cmp.Or(unreach.Host, host), unreach)
	case errors.As(err, &nobody):
		return err.Error(), fmt.Sprintf("-i with the inventory that has it, or -l 'all:!%s' to leave it out", nobody.Name)
	case errors.Is(err, context.Canceled):
		return "aborted", "what the step had done by then is in doubt: look before running it again"
	case errors.Is(err, context.DeadlineExceeded):
		return "took too long", "raise `timeout:` of the task, or find out what it waits for"
	}
	if cause, hint := explainLock(host, err); cause != "" {
		return cause, hint
	}
	return err.Error(), cmp.Or(fileHint(host, err), waitHint(err))
}

// waitHint knows what keeps a port shut.
func waitHint(err error) string {
	var w *change.WaitError
	if errors.As(err, &w) && w.Last == change.NothingAccepts {
		return "see why nothing listens there (journalctl on that host), or which firewall on the way keeps the port shut"
	}
	return ""
}

// explainLock knows who keeps whom out, and what nobody can know.
func explainLock(host string, err error) (cause, hint string) {
	var (
		locked *guard.LockedError
		here   *InventoryLockedError
		lost   *conn.LockLostError
		doubt  *InDoubtError
	)
	switch {
	case errors.As(err, &locked):
		return "locked by run " + locked.Holder.Run, fmt.Sprintf("dayops unlock %s   (shows who has it; it frees itself when it expires)", host)
	case errors.As(err, &here):
		return here.Error(), "wait for it; what only reads needs no lock: dayops plan, dayops exec --read-only"
	case errors.As(err, &lost):
		return "the lock is lost", "another run has taken the host over; afterwards: dayops resume " + lost.Run
	case errors.As(err, &doubt):
		return doubt.Error(), fmt.Sprintf("look at %s; then dayops resume %s --done %d   (it was made) or --again %d   (make it again)", doubt.Host, doubt.Run, doubt.ID, doubt.ID)
	}
	return "", ""
}

func unreachableCause(e *conn.UnreachableError) string {
	if e.Limit > 0 {
		return fmt.Sprintf("no answer in %s (%s)", e.Limit, e.Stage)
	}
	return "no connection: " + e.Stage
}

// fileHint knows what full and broken file systems say.
func fileHint(host string, err error) string {
	var here *store.FullError
	var kept *journal.WriteError
	var p *fs.PathError
	switch {
	case errors.As(err, &here):
		return "df -h " + here.Location + "   (on this machine)"
	case errors.As(err, &kept):
		return "df -h, on this machine, of the state folder   (make room; dayops history prune --keep 50)"
	case !errors.As(err, &p):
	case errors.Is(p.Err, syscall.ENOSPC), errors.Is(p.Err, syscall.EDQUOT):
		return fmt.Sprintf("dayops exec %s --read-only -- df -h   (and df -i; a full disk takes no lock)", host)
	case errors.Is(p.Err, syscall.EROFS):
		return fmt.Sprintf("dayops exec %s --read-only -- mount   (was it remounted after an error?)", host)
	}
	return ""
}

func unreachableHint(host string, e *conn.UnreachableError) string {
	switch e.Stage {
	case "resolve":
		return "check the name, or set ansible_host"
	case "connect":
		return fmt.Sprintf("is it up, and is the address right (%s)? then: dayops ping %s", e.Addr, host)
	case "proxy":
		return "check ProxyJump or ProxyCommand (ansible_ssh_common_args, ~/.ssh/config)"
	case "handshake":
		if e.Limit > 0 {
			return fmt.Sprintf("dayops ping %s   (it takes connections and then says nothing: look at its console)", host)
		}
	case "settings":
		return "dayops inventory --host " + host
	}
	return "dayops ping " + host
}

func explainKey(host string, e *conn.HostKeyError) (cause, hint string) {
	switch {
	case e.Revoked:
		return "host key revoked", "do not connect; ask who revoked the key"
	case e.Unknown():
		return "host key unknown", "dayops trust " + host + "   (shows the fingerprints and adds them)"
	}
	return "host key changed", fmt.Sprintf("someone may be in between. If the host was reinstalled: ssh-keygen -R '%s' -f '%s' && dayops trust %s",
		knownAs(e.Addr), e.Want[0].File, host)
}

// knownAs is an address as known_hosts has it: [host]:port, or the host alone on port 22 (sshd(8)).
func knownAs(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	switch {
	case err != nil:
		return addr
	case port == "22":
		return host
	}
	return "[" + host + "]:" + port
}

func becomeHint(host string, e *conn.BecomeError) string {
	switch e.Reason {
	case conn.NeedsPassword:
		return fmt.Sprintf("dayops ping %s -b -K   (asks for it; or set ansible_become_password)", host)
	case conn.WrongPassword:
		return fmt.Sprintf("dayops ping %s -b -K   (tried once only; ansible_become_password, where set, wins over -K)", host)
	case conn.NotAllowed:
		return fmt.Sprintf("allow %s to run sudo, or set become_user or ansible_user", e.Login)
	case conn.RequiresTTY:
		return "in sudoers: Defaults:" + e.Login + " !requiretty"
	case conn.NoSudo:
		return "install sudo, or connect as the account itself (-u)"
	case conn.NoSuchUser:
		return "check become_user"
	}
	return ""
}
