package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
)

// Limit ends the probe. It is printed by --help; change it there too.
const Limit = 30 * time.Second

// maxAnswer bounds what a host can say about itself.
const maxAnswer = 256 << 10

// probe prints NUL separated pairs of key and value, then E. Whatever a host
// lacks is left out. It needs nothing but sh, coreutils and /proc. The clock is
// read first and last.
// A resolver that does not answer must not cost the whole limit.
const probe = `own=$PATH; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH LC_ALL=C
exec 2>/dev/null </dev/null
say() { printf '%s\0%s\0' "$1" "$2"; }
say clock "$(date +%s.%N)"
say zone "$(date '+%Z %z')"
say node "$(uname -n)"; say kernel "$(uname -r)"; say arch "$(uname -m)"
say fqdn "$(timeout 5 hostname -f)"
say login "$(id -un)"; say uid "$(id -u)"; say gid "$(id -g)"
for f in /etc/os-release /usr/lib/os-release; do
  [ -r "$f" ] && say os "$(head -c 16384 "$f")" && break
done
[ -r /etc/redhat-release ] && say release "$(head -c 500 /etc/redhat-release)"
[ -r /etc/debian_version ] && say debian "$(head -c 100 /etc/debian_version)"
[ -d /run/systemd/system ] && say systemd "$(systemctl --version | head -n 1)"
if [ -s /var/lib/dpkg/status ] && command -v apt-get >/dev/null; then say packager apt
elif command -v dnf >/dev/null; then say packager dnf
elif command -v yum >/dev/null; then say packager yum; fi
if [ -r /sys/fs/selinux/enforce ]; then
  if [ "$(cat /sys/fs/selinux/enforce)" = 1 ]; then say selinux enforcing; else say selinux permissive; fi
else say selinux disabled; fi
say virt "$(systemd-detect-virt)"
say init "$(cat /proc/1/comm)"
say cpus "$(getconf _NPROCESSORS_ONLN || grep -c ^processor /proc/cpuinfo)"
say memory "$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo)"
say bootid "$(cat /proc/sys/kernel/random/boot_id)"
say btime "$(sed -n 's/^btime //p' /proc/stat)"
say addrs "$(ip -o addr show scope global || hostname -I | tr ' ' '\n')"
say route "$(ip -4 route get 192.0.2.1)"; say route6 "$(ip -6 route get 2001:db8::1)"
say HOME "$HOME"; say PATH "$own"; say SHELL "$SHELL"; say LANG "$LANG"; say USER "$(id -un)"
say clockend "$(date +%s.%N)"
printf 'E\0'`

// Gather asks the host once, as the login account. now is our clock, for Skew.
func Gather(ctx context.Context, c conn.Conn, now func() time.Time) (Host, error) {
	out := &bounded{}
	start := now()
	res, err := c.Run(ctx, conn.Cmd{Argv: []string{"/bin/sh", "-c", probe, "dayops"}, Stdout: out, Limit: Limit})
	end := now()
	if err != nil {
		return Host{}, err
	}
	if res.Code != 0 {
		return Host{}, fmt.Errorf("the facts probe failed with exit code %d: %s", res.Code, reader.Printable(strings.TrimSpace(res.Stderr.String())))
	}
	h, took, err := parse(out.String())
	if err == nil && !h.Clock.IsZero() {
		// Middle against middle: the way there and the way back are taken as equally long.
		h.Skew = h.Clock.Add(took / 2).Sub(start.Add(end.Sub(start) / 2))
		h.SkewError = max(0, end.Sub(start)-took) / 2
		if h.Clock.Nanosecond() == 0 { // busybox prints whole seconds
			h.Skew, h.SkewError = h.Skew+time.Second/2, h.SkewError+time.Second/2
		}
	}
	return h, err
}

type bounded struct{ bytes.Buffer }

var errTooMuch = errors.New("the host says too much about itself")

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxAnswer {
		return 0, errTooMuch
	}
	return b.Buffer.Write(p)
}

// parse reads what probe prints, and how long the probe took by the host's
// clock. A value that makes no sense is an error: facts decide what is done to a host.
func parse(answer string) (Host, time.Duration, error) {
	fields := strings.Split(strings.TrimSuffix(answer, "\x00"), "\x00")
	if !strings.HasSuffix(answer, "\x00") || len(fields)%2 != 1 || fields[len(fields)-1] != "E" {
		return Host{}, 0, errors.New("the host's facts make no sense: the answer is cut")
	}
	said := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		said[fields[i]] = fields[i+1]
	}
	p := parser{said: said}
	h := Host{
		FQDN: p.word("fqdn"), Kernel: p.word("kernel"), Arch: p.word("arch"),
		Login: p.word("login"), UID: int(p.number("uid")), Packager: p.word("packager"), SELinux: p.word("selinux"),
		Virt: p.word("virt"), Init: p.word("init"), CPUs: int(p.number("cpus")), MemoryMiB: p.number("memory") / 1024,
		BootID: p.word("bootid"), Clock: p.clock("clock"), Systemd: p.systemd(), OS: osRelease(said["os"]),
	}
	h.Node = p.word("node")
	h.Hostname, _, _ = strings.Cut(h.Node, ".")
	h.Zone, h.ZoneOffset, _ = strings.Cut(reader.Printable(strings.TrimSpace(said["zone"])), " ")
	if b := p.number("btime"); b > 0 {
		h.Boot = time.Unix(b, 0).UTC()
	}
	if h.FQDN == "" {
		h.FQDN = h.Node
	}
	if h.OS.ID == "" {
		h.OS = oldRelease(said["release"], said["debian"])
	}
	h.OS.Debian = reader.Printable(strings.TrimSpace(said["debian"]))
	h.Addresses = addresses(said["addrs"])
	h.DefaultIPv4 = source(said["route"], netip.Addr.Is4)
	h.DefaultIPv6 = source(said["route6"], netip.Addr.Is6)
	h.Env = map[string]string{}
	for _, k := range []string{"HOME", "PATH", "SHELL", "LANG", "USER"} {
		if v := said[k]; v != "" {
			h.Env[k] = v
		}
	}
	var took time.Duration
	if said["clockend"] != "" {
		took = max(0, p.clock("clockend").Sub(h.Clock))
	}
	return h, took, p.err
}

type parser struct {
	said map[string]string
	err  error
}

// word is a value without blanks: a name, a version.
func (p *parser) word(key string) string {
	v := strings.TrimSpace(p.said[key])
	if v != reader.Printable(v) || strings.ContainsAny(v, " \t") || len(v) > 255 {
		p.fail(key, v)
		return ""
	}
	return v
}

func (p *parser) number(key string) int64 {
	v := strings.TrimSpace(p.said[key])
	if v == "" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 63)
	if err != nil || n < 0 || n > 1<<50 {
		p.fail(key, v)
		return 0
	}
	return n
}

// clock reads seconds with a fraction; date of busybox prints no fraction.
func (p *parser) clock(key string) time.Time {
	whole, frac, _ := strings.Cut(strings.TrimSpace(p.said[key]), ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || sec < 0 || sec > 1<<40 {
		p.fail(key, whole)
		return time.Time{}
	}
	nano, err := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
	if err != nil || nano < 0 || nano >= 1e9 {
		nano = 0
	}
	return time.Unix(sec, nano).UTC()
}

// systemd is the number in "systemd 252 (252.39-1~deb12u1)".
func (p *parser) systemd() int {
	f := strings.Fields(p.said["systemd"])
	if len(f) < 2 {
		return 0
	}
	digits, _, _ := strings.Cut(f[1], ".")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 {
		p.fail("systemd", p.said["systemd"])
	}
	return max(n, 0)
}

func (p *parser) fail(key, value string) {
	const most = 100
	if p.err == nil {
		p.err = fmt.Errorf("the host's facts make no sense: %s is %q", key, value[:min(len(value), most)])
	}
}

// osRelease reads the file of that name: KEY=value, quoted as in a shell.
func osRelease(text string) OS {
	var o OS
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = reader.Printable(unquote(value))
		switch key {
		case "ID":
			o.ID = value
		case "ID_LIKE":
			o.IDLike = strings.Fields(value)
		case "VERSION_ID":
			o.VersionID = value
		case "VERSION_CODENAME":
			o.Codename = value
		case "PRETTY_NAME":
			o.Name = value
		}
	}
	return o
}

func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		quote := s[0]
		if s = s[1 : len(s)-1]; quote == '"' {
			s = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\$`, `$`, "\\`", "`").Replace(s)
		}
	}
	return s
}

// oldRelease is for hosts before /etc/os-release: "Red Hat Enterprise Linux
// Server release 6.10 (Santiago)", "CentOS release 6.10 (Final)".
func oldRelease(redhat, debian string) OS {
	redhat, debian = reader.Printable(strings.TrimSpace(redhat)), reader.Printable(strings.TrimSpace(debian))
	name, version, ok := strings.Cut(redhat, " release ")
	switch {
	case ok && strings.HasPrefix(name, "Red Hat"):
		return OS{ID: "rhel", IDLike: []string{"fedora"}, VersionID: firstWord(version), Name: redhat}
	case ok && strings.HasPrefix(name, "CentOS"):
		return OS{ID: "centos", IDLike: []string{"rhel", "fedora"}, VersionID: firstWord(version), Name: redhat}
	case debian != "":
		return OS{ID: "debian", VersionID: debian, Name: "Debian " + debian}
	}
	return OS{}
}

func firstWord(s string) string {
	w, _, _ := strings.Cut(strings.TrimSpace(s), " ")
	return w
}

// addresses are the words of `ip -o addr` or `hostname -I` that are addresses, v4 first.
func addresses(text string) []string {
	var all []netip.Addr
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		at := 0
		if i := slices.IndexFunc(f, func(s string) bool { return s == "inet" || s == "inet6" }); i >= 0 {
			at = i + 1
		}
		if at >= len(f) {
			continue
		}
		bare, _, _ := strings.Cut(f[at], "/")
		if a, err := netip.ParseAddr(bare); err == nil && a.Zone() == "" && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	slices.SortStableFunc(all, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	var out []string
	for _, a := range all {
		out = append(out, a.String())
	}
	return out
}

// source is the address after "src" in `ip route get`.
func source(text string, want func(netip.Addr) bool) string {
	f := strings.Fields(text)
	if i := slices.Index(f, "src"); i >= 0 && i+1 < len(f) {
		if a, err := netip.ParseAddr(f[i+1]); err == nil && want(a) {
			return a.String()
		}
	}
	return ""
}
