package change

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/dayops/dayops/engine/reader"
)

var _ Change = (*Unit)(nil)

// Kind is "unit".
func (u *Unit) Kind() string { return "unit" }

// verbs are what systemctl is asked to do, in order.
func (u *Unit) verbs() []string {
	var v []string
	add := func(want *bool, now bool, yes, no string) {
		if want != nil && *want != now {
			if *want {
				v = append(v, yes)
			} else {
				v = append(v, no)
			}
		}
	}
	if u.DaemonReload {
		v = append(v, "daemon-reload")
	}
	if u.Masked != nil && !*u.Masked {
		add(u.Masked, u.Before.Masked(), "mask", "unmask")
	}
	if u.Enabled != nil && *u.Enabled != enabledEnough(u.Before, *u.Enabled) {
		add(u.Enabled, !*u.Enabled, "enable", "disable")
	}
	switch {
	case u.Restart && (u.Active == nil || *u.Active):
		v = append(v, "restart")
	case u.Reload && (u.Active == nil || *u.Active):
		v = append(v, "reload")
	case u.Active != nil && !*u.Active:
		add(u.Active, u.Before.Up(), "start", "stop")
	default:
		add(u.Active, u.Before.Active(), "start", "stop")
	}
	if u.Masked != nil && *u.Masked {
		add(u.Masked, u.Before.Masked(), "mask", "unmask")
	}
	return v
}

// enabledEnough is what counts as enabled when want is asked for: a unit
// without an [Install] section of its own can neither be enabled nor disabled.
func enabledEnough(u reader.Unit, want bool) bool {
	switch u.UnitFileState {
	case "enabled":
		return true
	case "enabled-runtime":
		return !want
	case "static", "indirect", "generated", "transient", "alias":
		return want
	}
	return false
}

// Summary is one line for people.
func (u *Unit) Summary() string {
	verbs := u.verbs()
	if len(verbs) == 0 {
		return u.Name + " as it is"
	}
	if verbs[len(verbs)-1] == "daemon-reload" && u.Name == "" {
		return "daemon-reload"
	}
	text := strings.Join(verbs, ", ") + " " + reader.Printable(u.Name)
	if u.Unless != "" {
		text += ", unless there is " + reader.Printable(u.Unless)
	}
	return text
}

// Diff is "": the summary says it.
func (u *Unit) Diff() string { return "" }

// Risk is Disruptive when something that others rely on stops or restarts.
func (u *Unit) Risk() Risk {
	if !reliedOn(u.Name) && !mayBeEtcd(u.Name) {
		return Safe
	}
	stopped := u.Before.Exists() && !u.Before.Active()
	for _, v := range u.verbs() {
		if v == "stop" || v == "restart" && !stopped {
			return Disruptive
		}
	}
	return Safe
}

// mayBeEtcd tells services that may be a member by another name: an alias (etcd2
// of Debian's and Ubuntu's older packages), etcd-member, etcd@1. A gate looks closer.
func mayBeEtcd(unit string) bool {
	name, ok := strings.CutSuffix(unit, ".service")
	return (ok || path.Ext(unit) == "") && strings.Contains(name, "etcd")
}

// reliedOn tells the units whose stop disturbs a cluster: the store, the
// container runtimes, the node, the control plane, the way in, the network; and
// what holds others.
func reliedOn(unit string) bool {
	switch path.Ext(unit) {
	case ".target", ".slice", ".scope", ".mount": // whatever is in them, or on them
		return true
	}
	name := strings.TrimSuffix(strings.TrimSuffix(unit, ".service"), ".socket")
	name, _, _ = strings.Cut(name, "@")
	switch name {
	case "etcd", "etcd_container", "docker", "crio", "cri-o", "containerd", "kubelet",
		"atomic-openshift-node", "origin-node", "atomic-openshift-master", "origin-master",
		"sshd", "ssh", "network", "networking", "NetworkManager", "systemd-networkd", "firewalld", "iptables", "ip6tables",
		"nftables", "flanneld", "dnsmasq", "haproxy", "openvswitch", "ovs-vswitchd", "ovsdb-server", "dbus", "systemd-resolved":
		return true
	}
	for _, prefix := range []string{"atomic-openshift-master-", "origin-master-", "kube-", "network-", "docker-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Reversal is Exact for states; a restart leaves another process behind.
func (u *Unit) Reversal() Reversal {
	if u.Restart || u.Reload {
		return Reversal{None, "a restart cannot be taken back"}
	}
	if u.DaemonReload && len(u.verbs()) == 1 {
		return Reversal{Exact, "nothing to take back"}
	}
	return Reversal{Exact, "the old state is set again"}
}

// Opaque is false.
func (u *Unit) Opaque() bool { return false }

func (u *Unit) isAction() bool { return u.Restart || u.Reload || u.DaemonReload }

// wants tells whether now is as wanted, actions aside.
func (u *Unit) wants(now reader.Unit) bool {
	return (u.Active == nil || *u.Active && now.Active() || !*u.Active && !now.Up()) &&
		(u.Enabled == nil || *u.Enabled == enabledEnough(now, *u.Enabled)) &&
		(u.Masked == nil || *u.Masked == now.Masked())
}

func (u *Unit) observe(ctx context.Context, h Host) (Where, error) {
	if u.Name == "" {
		return Before, nil
	}
	now, err := h.unit(ctx, u.Name)
	if err != nil {
		return Neither, err
	}
	if left, err := u.left(ctx, h); left || err != nil {
		return After, err
	}
	return side(!u.isAction() && u.wants(now), u.moved(now) == nil), nil
}

// left tells that the unit is left alone for the sake of Unless.
func (u *Unit) left(ctx context.Context, h Host) (bool, error) {
	if u.Unless == "" {
		return false, nil
	}
	f, err := h.read().Stat(ctx, u.Unless)
	return err == nil && f[0].Exists, err
}

func (h Host) unit(ctx context.Context, name string) (reader.Unit, error) {
	units, err := h.read().Units(ctx, name)
	if err != nil {
		return reader.Unit{}, err
	}
	return units[0], nil
}

// moved compares only what the change is about, and lets pass what is already
// as wanted. A unit that was not there when the plan was made may have come
// with a package of the same plan.
func (u *Unit) moved(now reader.Unit) error {
	b := u.Before
	if !b.Exists() || u.Force {
		return nil
	}
	differs := func(what string, want *bool, was, is bool, words [2]string) error {
		if was == is || (want != nil && *want == is) || (want == nil && what != "presence") {
			return nil
		}
		word := map[bool]string{true: words[0], false: words[1]}
		return &MovedError{Path: u.Name, What: what, Planned: word[was], Found: word[is]}
	}
	for _, err := range []error{
		differs("presence", nil, true, now.Exists(), [2]string{"known", "not found"}),
		differs("state", u.Active, b.Active(), now.Active(), [2]string{"active", "not active"}),
		differs("start at boot", u.Enabled, b.Enabled(), now.Enabled(), [2]string{"enabled", "not enabled"}),
		differs("mask", u.Masked, b.Masked(), now.Masked(), [2]string{"masked", "not masked"}),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// unitScript does the verbs one after the other. reload starts what does not
// run, as Ansible does. A verb that fails is named.
const unitScript = `unit=$1 block=$2; shift 2
[ -d /run/systemd/system ] && command -v systemctl >/dev/null || exit 113
for verb do
  case $verb in
    daemon-reload) systemctl daemon-reload </dev/null && continue;;
    reload) systemctl is-active --quiet -- "$unit" || verb=start;;
  esac
  case $verb in start) how=$block;; *) how=;; esac
  systemctl $how "$verb" -- "$unit" </dev/null && continue
  code=$?
  echo "$verb $unit: systemctl said $code"
  case $verb in start|restart|reload|stop) journalctl -u "$unit" -n 20 --no-pager -o short 2>/dev/null;; esac
  exit 1
done`

const unitJournal = `journalctl -u "$1" -n 20 --no-pager -o short 2>/dev/null`

func (u *Unit) apply(ctx context.Context, h Host) (Outcome, error) {
	name, now := "", reader.Unit{}
	var err error
	if u.Name != "" {
		if name, err = reader.UnitName(u.Name); err != nil {
			return Outcome{}, err
		}
		if now, err = h.unit(ctx, name); err != nil {
			return Outcome{}, err
		}
	}
	if !u.isAction() && u.wants(now) {
		return Outcome{}, nil
	}
	if left, err := u.left(ctx, h); err != nil {
		return Outcome{}, err
	} else if left {
		return Outcome{Notes: []string{"not done: " + u.Summary() + "; dayops resume goes on from there, dayops undo takes it back"}}, nil
	}
	if err := u.moved(now); err != nil {
		return Outcome{}, err
	}
	if name != "" && !now.Exists() && !u.DaemonReload {
		return Outcome{}, &StepError{Doing: u.Summary(), Output: "the host has no unit " + name}
	}
	todo := *u
	todo.Before = now // from where it stands, so that nothing is done twice
	verbs := todo.verbs()
	block := ""
	if u.NoBlock {
		block = "--no-block"
	}
	res, err := h.script(ctx, unitScript, nil, append([]string{name, block}, verbs...)...)
	switch {
	case err != nil:
		return Outcome{}, err
	case res.Code == codeMissing:
		return Outcome{}, reader.ErrNoSystemd
	case res.Code != 0:
		return Outcome{}, &StepError{Doing: todo.Summary(), Code: res.Code, Output: tail(res.Stderr.String()+res.Stdout.String(), 30)}
	}
	if name == "" {
		return Outcome{Changed: true}, nil
	}
	return Outcome{Changed: true}, u.verify(ctx, h, name)
}

// verify looks whether systemd agrees. A oneshot unit has done its work when
// it is inactive again without having failed.
func (u *Unit) verify(ctx context.Context, h Host, name string) error {
	now, err := h.unit(ctx, name)
	if err != nil {
		return err
	}
	wantActive := u.Restart || u.Reload || (u.Active != nil && *u.Active)
	if u.NoBlock && wantActive {
		return nil // who waits for it tells whether it came
	}
	if wantActive && (now.ActiveState == "failed" || now.ActiveState == "activating" && now.SubState == "auto-restart") {
		res, err := h.script(ctx, unitJournal, nil, name)
		if err != nil {
			return err
		}
		return &StepError{Doing: u.Summary(), Output: fmt.Sprintf("%s is %s (%s)\n%s", name, now.ActiveState, now.SubState, tail(res.Stdout.String(), 20))}
	}
	check := *u
	if wantActive {
		check.Active = nil
	}
	if !check.wants(now) {
		return &StepError{Doing: u.Summary(), Output: fmt.Sprintf("afterwards %s is %s, %s", name, now.ActiveState, now.UnitFileState)}
	}
	return nil
}

// key is the unit's own name, where name is an alias.
func (u *Unit) key(name string) string { return cmp.Or(u.Before.ID, name) }

func (u *Unit) effect(o *Overlay) {
	name, err := reader.UnitName(u.Name)
	if err != nil {
		return
	}
	name = u.key(name)
	f, ok := o.Units[name]
	if !ok {
		f = u.Before
	}
	f.Name, f.ID = name, ""
	if !f.Exists() {
		f.LoadState, f.ActiveState, f.SubState, f.UnitFileState = "loaded", "inactive", "dead", "disabled"
	}
	if u.DaemonReload {
		f.NeedReload = false
	}
	if u.Masked != nil && !*u.Masked && f.Masked() {
		f.LoadState, f.UnitFileState = "loaded", "disabled"
	}
	if u.Enabled != nil && *u.Enabled != enabledEnough(f, *u.Enabled) {
		f.UnitFileState = map[bool]string{true: "enabled", false: "disabled"}[*u.Enabled]
	}
	if u.Masked != nil && *u.Masked && !f.Masked() {
		f.LoadState, f.UnitFileState = "masked", "masked"
	}
	want := u.Active
	if want == nil && (u.Restart || u.Reload) {
		want = new(bool)
		*want = true
	}
	if want != nil && *want != f.Active() {
		f.ActiveState, f.SubState = "inactive", "dead"
		if *want {
			f.ActiveState, f.SubState = "active", "running"
		}
	}
	o.setUnit(f)
}
