package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/conn"
)

// maxHops ends chains of jump hosts that lead in a circle.
const maxHops = 8

// bastion is the one connection to a jump host that all targets behind it share.
type bastion struct {
	key, name string
	ready     chan struct{} // closed when link or err is set
	link      *link
	err       error
	failed    time.Time
	over      *bastion // the jump host before it
}

func (b *bastion) end() {
	<-b.ready
	if b.link != nil {
		b.link.close()
	}
}

// usable tells whether b serves another target, or must be made anew.
func (b *bastion) usable(limits limits) bool {
	select {
	case <-b.ready:
	default:
		return true // under way
	}
	if b.link != nil {
		return b.link.alive()
	}
	// What was refused is not tried again; what was not reached, later.
	var unreachable *conn.UnreachableError
	return !errors.As(b.err, &unreachable) || time.Since(b.failed) < limits.dial
}

// bastionFor returns the last jump host before r, connected; nil when there is none.
func (d *Dialer) bastionFor(ctx context.Context, t conn.Target, r *route) (*bastion, error) {
	// Before anything is connected: bastions of a circle would wait for each other.
	if err := d.checkJumps(t, r, 0); err != nil {
		return nil, &conn.UnreachableError{Host: t.Name, Addr: r.addr(), Stage: "config", Err: err}
	}
	var last *bastion
	for i, spec := range r.jumps {
		hop, hopRoute, err := d.hop(t, spec)
		if err != nil {
			return nil, &conn.UnreachableError{Host: t.Name, Addr: spec, Stage: "config", Err: fmt.Errorf("jump host: %w", err)}
		}
		if i > 0 { // reached through the one before, whatever its own settings say
			hopRoute.jumps, hopRoute.proxyCommand = nil, ""
		}
		last = d.shared(hop, hopRoute, last)
		select {
		case <-last.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if last.err != nil {
			return nil, forHost(t.Name, last.err)
		}
	}
	return last, nil
}

// checkJumps follows the jump hosts of r, and the ones before the first of them.
func (d *Dialer) checkJumps(t conn.Target, r *route, depth int) error {
	if len(r.jumps) == 0 {
		return nil
	}
	if depth += len(r.jumps); depth > maxHops {
		return fmt.Errorf("more than %d jump hosts; do they lead in a circle?", maxHops)
	}
	hop, first, err := d.hop(t, r.jumps[0])
	if err != nil {
		return fmt.Errorf("jump host %q: %w", r.jumps[0], err)
	}
	return d.checkJumps(hop, first, depth)
}

// hop reads one jump host: [user@]host[:port] or ssh://...
func (d *Dialer) hop(t conn.Target, spec string) (conn.Target, *route, error) {
	hop := conn.Target{HostKeys: t.HostKeys}
	_, file, err := parseArgs(t.CommonArgs)
	if err != nil {
		return hop, nil, err
	}
	if file != "" {
		hop.CommonArgs = []string{"-F", file}
	}
	rest := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(spec), "ssh://"), "/")
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		hop.User, rest = rest[:i], rest[i+1:]
	}
	hop.Name = rest
	if host, port, err := net.SplitHostPort(rest); err == nil {
		hop.Name = host
		if hop.Port, err = checkPort(port); err != nil {
			return hop, nil, err
		}
	}
	r, err := d.route(hop)
	return hop, r, err
}

// Jumps lists the jump hosts on the way to t in the order in which they are
// connected. Each is a target of its own, for Scan or Dial.
func (d *Dialer) Jumps(t conn.Target) ([]conn.Target, error) {
	r, err := d.route(t)
	if err == nil {
		err = d.checkJumps(t, r, 0) // also ends circles
	}
	var all []conn.Target
	if err == nil {
		all, err = d.jumps(t, r)
	}
	if err != nil {
		return nil, &conn.UnreachableError{Host: t.Name, Addr: cmp.Or(t.Address, t.Name), Stage: "config", Err: err}
	}
	return all, nil
}

func (d *Dialer) jumps(t conn.Target, r *route) (all []conn.Target, err error) {
	for i, spec := range r.jumps {
		hop, own, err := d.hop(t, spec)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			if all, err = d.jumps(hop, own); err != nil {
				return nil, err
			}
		} else {
			hop.CommonArgs = append(hop.CommonArgs, "-o", "ProxyJump="+strings.Join(r.jumps[:i], ","))
		}
		all = append(all, hop)
	}
	return all, nil
}

// shared returns the bastion of a hop, and begins to connect it when it is new.
func (d *Dialer) shared(hop conn.Target, r *route, over *bastion) *bastion {
	key := r.user + "@" + net.JoinHostPort(r.host, strconv.Itoa(r.port))
	if over != nil {
		key = over.key + "," + key
	}
	key = cmp.Or(strings.Join(r.jumps, ","), r.proxyCommand, "-") + " " + key
	d.mu.Lock()
	defer d.mu.Unlock()
	if b := d.bastions[key]; b != nil && b.usable(d.limits) {
		return b
	}
	b := &bastion{key: key, name: hop.Name, ready: make(chan struct{}), over: over}
	if d.closed {
		b.err = errors.New("the dialer is closed")
		close(b.ready)
		return b
	}
	d.bastions[key] = b
	go func() {
		defer close(b.ready)
		// Not the caller's context: others wait for this connection too. Its limits bound it.
		ctx := context.Background()
		if over != nil {
			b.link, b.err = d.connectVia(ctx, hop, r, over)
		} else {
			b.link, b.err = d.connect(ctx, hop, r)
		}
		b.failed = time.Now()
	}()
	return b
}

// forHost is err, met on the way to the host called name.
func forHost(name string, err error) error {
	switch e := err.(type) {
	case *conn.UnreachableError:
		c := *e
		c.Host = name
		return &c
	case *conn.AuthError:
		c := *e
		c.Host, c.Jump = name, true
		return &c
	case *conn.HostKeyError:
		c := *e
		c.Host, c.Jump = name, true
		return &c
	}
	return err
}
