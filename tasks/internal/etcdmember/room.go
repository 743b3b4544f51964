package etcdmember

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Room is what a new member would find on its host.
type Room struct {
	NoSystemd bool
	Manager   string              // apt, dnf, yum; "" where none was found
	Installed []reader.Package    // of etcd's packages
	Offers    map[string][]string // versions in the repositories' lists, by package
	Version   string              // of the etcd program that is there; "" for none
	Tool      bool                // etcdctl is there
	Units     []reader.Unit       // etcd, iptables, firewalld, in this order
	Data      []string            // files that lie where the data and the WAL would go, a few of them
	DataDir   reader.File
	Dir       reader.File   // ConfDir
	Conf      File          // ConfFile
	Files     []reader.File // the certificates and keys, with their sums
	Drop      File          // dropFile
	Free      int64         `plan:"volatile"` // bytes; -1 where not known
	Addresses []string      // "10.0.0.3/24"
	Listening []string      `plan:"volatile"` // addresses of the peer and client ports that are taken
	Names     []string      // addresses that the host's own name has there
	Rules     Rules
}

// Rules are the host's packet filter.
type Rules struct {
	Tool    bool            // iptables can be asked
	Input   []string        // iptables -S INPUT
	Chain   []string        // iptables -S OS_FIREWALL_ALLOW; nil where there is no such chain
	Saved   File            // /etc/sysconfig/iptables
	Ports   map[string]bool // of firewalld, now: "2379/tcp"
	Forever map[string]bool // and after the next boot
}

func certFiles() []string {
	var out []string
	for _, f := range []string{"ca.crt", "server.crt", "server.key", "peer.crt", "peer.key"} {
		out = append(out, path.Join(ConfDir, f))
	}
	return out
}

const (
	clientPort = "2379"
	peerPort   = "2380"
	chain      = "OS_FIREWALL_ALLOW"
	savedRules = "/etc/sysconfig/iptables"
)

// packages are what etcd comes in: Debian's two, Red Hat's one.
func packages() []string { return []string{"etcd-server", "etcd-client", "etcd"} }

// prober keeps the connection's error, so that many questions can be put.
type prober struct {
	ctx context.Context
	r   task.Reader
	err error
}

// ask gives what a program prints; false where it fails or is not there.
func (p *prober) ask(argv ...string) (string, bool) {
	res := p.run(argv...)
	return res.Stdout.String(), p.err == nil && res.Code == 0
}

func (p *prober) run(argv ...string) conn.Result {
	if p.err != nil {
		return conn.Result{Code: -1}
	}
	res, err := p.r.Probe(p.ctx, argv...)
	if errors.Is(err, context.DeadlineExceeded) && p.ctx.Err() == nil {
		return conn.Result{Code: -1}
	}
	p.err = err
	return res
}

func look(ctx context.Context, r task.Reader, dataDir, walDir string) (Room, error) {
	m := Room{Free: -1, Offers: map[string][]string{}}
	p := &prober{ctx: ctx, r: r}
	var err error
	m.Units, err = r.Units(ctx, unitName, "iptables.service", "firewalld.service")
	if errors.Is(err, reader.ErrNoSystemd) {
		m.NoSystemd, err = true, nil
	}
	if err != nil {
		return m, err
	}
	m.software(p)
	if err := m.files(ctx, r, dataDir, walDir); err != nil {
		return m, err
	}
	m.network(p)
	if err := m.rules(ctx, p); err != nil {
		return m, err
	}
	if p.err != nil {
		return m, p.err
	}
	at, err := etcd.RoomOf(ctx, r, existing(dataDir, m))
	m.Free = at.Free
	return m, err
}

// existing is the folder whose file system the data will be on.
func existing(dataDir string, m Room) string {
	if m.DataDir.Exists {
		return dataDir
	}
	return "/var"
}

func (m *Room) software(p *prober) {
	names := packages()
	if m.Installed, p.err = p.r.Packages(p.ctx, names...); p.err != nil {
		return
	}
	if out, ok := p.ask("etcd", "--version"); ok {
		m.Version = out
	}
	_, m.Tool = p.ask("command", "-v", "etcdctl")
	apt := append([]string{"apt-cache", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "policy"}, names...)
	if out, ok := p.ask(apt...); ok {
		m.Manager, m.Offers = "apt", parsePolicy(out)
		return
	}
	for _, manager := range []string{"dnf", "yum"} {
		res := p.run(manager, "-q", "-C", "list", "--showduplicates", "etcd")
		if res.Code != missingProgram && res.Code >= 0 {
			m.Manager, m.Offers = manager, parseList(res.Stdout.String())
			return
		}
	}
}

const missingProgram = 127

var (
	policyName    = regexp.MustCompile(`^([a-z0-9][a-z0-9.+-]*):$`)
	policyVersion = regexp.MustCompile(`^ (?:\*\*\*|   ) ([^ ]+) -?[0-9]+$`)
	listed        = regexp.MustCompile(`^(etcd)\.[a-z0-9_]+ +([^ ]+) +[^ ]+ *$`)
)

// parsePolicy reads the version tables of apt-cache policy; only those that a
// repository has, not what is only in the database of installed packages.
func parsePolicy(out string) map[string][]string {
	const most = 200
	offers, name, version := map[string][]string{}, "", ""
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\n")
		if m := policyName.FindStringSubmatch(line); m != nil {
			name, version = m[1], ""
			continue
		}
		if m := policyVersion.FindStringSubmatch(line); m != nil {
			version = m[1]
			continue
		}
		if name == "" || version == "" || strings.Contains(line, "/var/lib/dpkg/status") || len(offers[name]) >= most {
			continue
		}
		if !slices.Contains(offers[name], version) && reader.CheckPackageName(version) == nil {
			offers[name] = append(offers[name], version)
		}
	}
	return offers
}

// parseList reads what dnf and yum list.
func parseList(out string) map[string][]string {
	const most = 200
	offers := map[string][]string{}
	for line := range strings.Lines(out) {
		m := listed.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil || len(offers[m[1]]) >= most || reader.CheckPackageName(m[2]) != nil {
			continue
		}
		offers[m[1]] = append(offers[m[1]], m[2])
	}
	return offers
}

func (m *Room) files(ctx context.Context, r task.Reader, dataDir, walDir string) error {
	stat, err := r.Stat(ctx, dataDir, ConfDir)
	if err != nil {
		return err
	}
	m.DataDir, m.Dir = stat[0], stat[1]
	if m.Files, err = r.Hash(ctx, certFiles()...); err != nil {
		return err
	}
	if m.Conf, err = text(ctx, r, ConfFile); err != nil {
		return err
	}
	if m.Drop, err = text(ctx, r, dropFile); err != nil {
		return err
	}
	roots := []string{reader.Literal(path.Join(dataDir, "member"))}
	if walDir != "" {
		roots = append(roots, reader.Literal(walDir))
	}
	roots = append(roots, reader.Literal(path.Join(dataDir, "proxy")))
	all, err := r.List(ctx, roots...)
	if err != nil {
		return err
	}
	const most = 3
	for _, f := range all {
		if f.Exists && f.Type != reader.Directory && len(m.Data) < most {
			m.Data = append(m.Data, f.Path)
		}
	}
	return nil
}

func (m *Room) network(p *prober) {
	if out, ok := p.ask("ip", "-o", "addr", "show"); ok {
		m.Addresses = addresses(out)
	}
	if out, ok := p.ask("ss", "-H", "-ltn"); ok {
		m.Listening = listening(out)
	}
	name, ok := p.ask("hostname")
	if !ok {
		return
	}
	if out, ok := p.ask("getent", "ahosts", strings.TrimSpace(name)); ok {
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) > 0 && !slices.Contains(m.Names, f[0]) {
				m.Names = append(m.Names, f[0])
			}
		}
	}
}

var inet = regexp.MustCompile(`\binet6? ([0-9a-f.:]+/[0-9]+) .*\bscope global\b`)

// addresses are those of global scope.
func addresses(out string) (all []string) {
	for line := range strings.Lines(out) {
		if m := inet.FindStringSubmatch(line); m != nil {
			all = append(all, m[1])
		}
	}
	return all
}

// listening are the local addresses of ss's lines with one of etcd's ports.
func listening(out string) (all []string) {
	for line := range strings.Lines(out) {
		const local = 3
		f := strings.Fields(line)
		if len(f) > local && (strings.HasSuffix(f[local], ":"+clientPort) || strings.HasSuffix(f[local], ":"+peerPort)) {
			all = append(all, reader.Printable(f[local]))
		}
	}
	return all
}

func (m *Room) rules(ctx context.Context, p *prober) (err error) {
	q := &m.Rules
	if m.unit("firewalld.service").Active() {
		q.Ports, q.Forever = map[string]bool{}, map[string]bool{}
		for _, port := range []string{clientPort, peerPort} {
			open := fmt.Sprintf("--query-port=%s/tcp", port)
			_, q.Ports[port] = p.ask("firewall-cmd", open)
			_, q.Forever[port] = p.ask("firewall-cmd", "--permanent", open)
		}
		return p.err
	}
	var out string
	if out, q.Tool = p.ask("iptables", "-w", "-S", "INPUT"); q.Tool {
		q.Input = lines(out)
	}
	if out, ok := p.ask("iptables", "-w", "-S", chain); ok {
		q.Chain = lines(out)
	}
	if p.err != nil {
		return p.err
	}
	if m.unit("iptables.service").Exists() {
		q.Saved, err = text(ctx, p.r, savedRules)
	}
	return err
}

func lines(out string) (all []string) {
	const most = 1000
	for line := range strings.Lines(out) {
		if all = append(all, reader.Printable(strings.TrimRight(line, "\n"))); len(all) == most {
			break
		}
	}
	return all
}

// unit is what is known of a unit; one that was not looked at does not exist.
func (m Room) unit(name string) reader.Unit {
	for _, u := range m.Units {
		if u.Name == name {
			return u
		}
	}
	return reader.Unit{Name: name, LoadState: "not-found"}
}
