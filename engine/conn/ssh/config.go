package ssh

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
)

// route is how one host is reached, with everything decided.
type route struct {
	name         string // as asked for; %n
	host         string
	port         int
	user         string
	alias        string // HostKeyAlias
	keyFile      string // of the inventory; must be usable
	identities   []string
	certificates []string
	onlyThese    bool // IdentitiesOnly
	agent        string
	jumps        []string
	proxyCommand string // with its % tokens
	userKnown    []string
	globalKnown  []string
	policy       conn.HostKeyPolicy
	dialLimit    time.Duration
	noKeys       bool
	noPassword   bool
	noAsking     bool
}

func (r *route) addr() string { return net.JoinHostPort(r.host, strconv.Itoa(r.port)) }

// knownAs is the address to look up in known_hosts.
func (r *route) knownAs() string {
	if r.alias != "" {
		return net.JoinHostPort(strings.ToLower(r.alias), "22")
	}
	return net.JoinHostPort(strings.ToLower(r.host), strconv.Itoa(r.port))
}

// route decides how t is reached: t's own fields, then its CommonArgs, then
// the configuration files, then OpenSSH's defaults.
func (d *Dialer) route(t conn.Target) (*route, error) {
	args, file, err := parseArgs(t.CommonArgs)
	if err != nil {
		return nil, err
	}
	var own []option
	if t.User != "" {
		own = append(own, option{"user", t.User})
	}
	if t.Port != 0 {
		own = append(own, option{"port", strconv.Itoa(t.Port)})
	}
	name := cmp.Or(t.Address, t.Name)
	if err := checkHost(name); err != nil {
		return nil, err
	}
	if t.User != "" {
		if err := checkUser(t.User); err != nil {
			return nil, err
		}
	}
	base, err := d.lookup(name, slices.Concat(own, args), file)
	if err != nil {
		return nil, err
	}
	r, err := d.settle(name, slices.Concat(own, args, base))
	if err != nil {
		return nil, err
	}
	if t.HostKeys != "" {
		r.policy = t.HostKeys
	}
	r.keyFile = d.expandHome(t.KeyFile)
	return r, nil
}

// settle turns options into a route: the first value of an option counts,
// files of keys add up.
func (d *Dialer) settle(name string, opts []option) (*route, error) {
	r := &route{name: name, host: name, port: 22, policy: conn.Strict, dialLimit: d.limits.dial}
	seen := map[string]bool{}
	var err error
	for _, o := range opts {
		if seen[o.name] && o.name != "identityfile" && o.name != "certificatefile" {
			continue
		}
		seen[o.name] = true
		// The first of ProxyJump and ProxyCommand wins over the other.
		if o.name == "proxyjump" || o.name == "proxycommand" {
			seen["proxyjump"], seen["proxycommand"] = true, true
		}
		if err = r.set(o); err != nil {
			return nil, err
		}
	}
	if r.user == "" {
		if r.user, err = d.localUser(); err != nil {
			return nil, err
		}
	}
	if len(r.identities) == 0 && !seen["identityfile"] {
		for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
			r.identities = append(r.identities, "~/.ssh/id_"+kind)
		}
	}
	if !seen["userknownhostsfile"] {
		r.userKnown = []string{"~/.ssh/known_hosts", "~/.ssh/known_hosts2"}
	}
	if !seen["globalknownhostsfile"] {
		r.globalKnown = []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"}
	}
	if !seen["identityagent"] {
		r.agent = d.opts.Agent
	}
	return r, d.finish(r)
}

func (r *route) set(o option) (err error) {
	no := strings.EqualFold(o.value, "no") || strings.EqualFold(o.value, "false")
	switch o.name {
	case "hostname":
		r.host = strings.ReplaceAll(strings.ReplaceAll(o.value, "%h", r.name), "%%", "%")
	case "user":
		r.user = o.value
	case "port":
		r.port, err = checkPort(o.value)
	case "hostkeyalias":
		r.alias = o.value
	case "identityfile":
		if !strings.EqualFold(o.value, "none") {
			r.identities = append(r.identities, o.value)
		}
	case "certificatefile":
		r.certificates = append(r.certificates, o.value)
	case "identitiesonly":
		r.onlyThese = !no
	case "identityagent":
		r.agent = o.value
	case "proxyjump":
		if !strings.EqualFold(o.value, "none") {
			r.jumps = strings.Split(o.value, ",")
		}
	case "proxycommand":
		if !strings.EqualFold(o.value, "none") {
			r.proxyCommand = o.value
		}
	case "userknownhostsfile":
		r.userKnown, err = splitWords(o.value)
	case "globalknownhostsfile":
		r.globalKnown, err = splitWords(o.value)
	case "stricthostkeychecking":
		if strings.EqualFold(o.value, "accept-new") {
			r.policy = conn.AcceptNew
		}
	case "connecttimeout":
		if n, e := strconv.Atoi(o.value); e == nil && n > 0 {
			r.dialLimit = min(r.dialLimit, time.Duration(n)*time.Second)
		}
	case "pubkeyauthentication":
		r.noKeys = no
	case "passwordauthentication":
		r.noPassword = no
	case "kbdinteractiveauthentication":
		r.noAsking = no
	case "proxyusefdpass":
		if !no {
			err = fmt.Errorf("ssh option ProxyUseFdpass is not supported")
		}
	}
	return err
}

// finish checks what goes into shells and files, and expands names of files.
func (d *Dialer) finish(r *route) error {
	if err := checkHost(r.host); err != nil {
		return err
	}
	r.host = strings.TrimSuffix(strings.TrimPrefix(r.host, "["), "]")
	if err := checkUser(r.user); err != nil {
		return err
	}
	if r.alias != "" {
		if err := checkHost(r.alias); err != nil {
			return fmt.Errorf("HostKeyAlias: %w", err)
		}
	}
	for _, list := range []*[]string{&r.identities, &r.certificates, &r.userKnown, &r.globalKnown} {
		var files []string
		for _, f := range *list {
			if strings.EqualFold(f, "none") {
				continue
			}
			f, err := d.expand(f, r)
			if err != nil {
				return err
			}
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
		*list = files
	}
	switch r.agent {
	case "none":
		r.agent = ""
	case "SSH_AUTH_SOCK":
		r.agent = d.opts.Agent
	default:
		r.agent = os.Expand(r.agent, func(name string) string {
			if name == "SSH_AUTH_SOCK" {
				return d.opts.Agent
			}
			return os.Getenv(name)
		})
		agent, err := d.expand(r.agent, r)
		if err != nil {
			return err
		}
		r.agent = agent
	}
	return nil
}

// expand replaces ~ and the % tokens that ssh_config allows in names of files.
func (d *Dialer) expand(text string, r *route) (string, error) {
	text, err := expandTokens(text, map[byte]string{
		'%': "%", 'h': r.host, 'n': r.name, 'p': strconv.Itoa(r.port), 'r': r.user, 'd': d.opts.Home,
		'i': strconv.Itoa(os.Getuid()), 'k': cmp.Or(r.alias, r.host),
	})
	return d.expandHome(text), err
}

func expandTokens(text string, tokens map[byte]string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			b.WriteByte(text[i])
			continue
		}
		i++
		if i == len(text) {
			return "", fmt.Errorf("%q ends with a lone %%", text)
		}
		value, known := tokens[text[i]]
		if !known {
			return "", fmt.Errorf("token %%%c in %q is not supported", text[i], text)
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

func (d *Dialer) expandHome(file string) string {
	if file == "~" || strings.HasPrefix(file, "~/") {
		return filepath.Join(d.opts.Home, file[1:])
	}
	return file
}

// splitWords splits a list of files as ssh_config quotes them.
func splitWords(s string) (words []string, err error) {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if s[0] == '"' {
			word, rest, found := strings.Cut(s[1:], `"`)
			if !found {
				return nil, fmt.Errorf("%q: the quote is not closed", s)
			}
			words, s = append(words, word), rest
			continue
		}
		word, rest, _ := strings.Cut(s, " ")
		words, s = append(words, word), rest
	}
	return words, nil
}
