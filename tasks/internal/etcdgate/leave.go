package etcdgate

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine"
)

// mark is what a host, or its member, was like when it was told to go: until it
// is another, it may still go.
type mark struct {
	boot     string // of a host: the id of its boot
	port     string // of a member: where it listens
	listener string // and who does
}

func (g *Gate) mark(host string, m mark) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaving[host] = m
}

func (g *Gate) unmark(host string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.leaving, host)
}

// leaves tells a host that was told to go down and has not started anew since, or
// whose member was told to stop and still is the same.
func (g *Gate) leaves(ctx context.Context, c engine.Claim, host string) bool {
	g.mu.Lock()
	was, leaving := g.leaving[host]
	g.mu.Unlock()
	if !leaving {
		return false
	}
	c.Host = host
	if was.port != "" {
		if now, err := listener(ctx, c, was.port); err == nil && now != was.listener && now != unknown {
			g.unmark(host)
			return false
		}
		return true
	}
	if now := bootID(ctx, c); now != "" && now != was.boot {
		g.unmark(host)
		return false
	}
	return true
}

// expect notes who listens for a member that is about to go. Where that cannot
// be told, a restart by the kubelet is not waited for: it may be over by then.
func (w *watch) expect(ctx context.Context, t target) {
	u, err := url.Parse(t.Endpoint)
	if err == nil && u.Port() != "" {
		w.was.port = u.Port()
		w.was.listener, err = listener(ctx, w.c, u.Port())
	}
	known := err == nil && w.was.port != "" && w.was.listener != unknown
	if w.within = w.e.within; !known && !w.e.later && w.e.power == bounces {
		w.within = 0
	}
	if known {
		w.g.mark(w.c.Host, w.was)
	}
}

// goes waits until the member was seen to go.
func (w *watch) goes(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, w.within)
	defer cancel()
	for {
		if w.gone(ctx) {
			w.g.unmark(w.c.Host)
			return true
		}
		if !pause(ctx, pulse) {
			return false
		}
	}
}

// gone tells that nobody, or somebody else, listens where the member did; where
// that cannot be seen, that its unit or its pod is gone.
func (w *watch) gone(ctx context.Context) bool {
	if w.was.port != "" {
		now, err := listener(ctx, w.c, w.was.port)
		if err == nil {
			return now == "" || now != w.was.listener && now != unknown && w.was.listener != unknown
		}
	}
	in, ok, err := find(ctx, w.c, w.c.Host)
	return err == nil && (!ok || in.Down() && !waking(in))
}

// unknown is a listener whose processes are not told, for want of root's rights.
const unknown = "somebody"

// listener is who listens at a port of the claim's host, by the numbers of its
// processes; "" for nobody.
func listener(ctx context.Context, c engine.Claim, port string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	r, err := c.Live(ctx, c.Host)
	if err != nil {
		return "", err
	}
	res, err := r.Probe(ctx, "ss", "-ltnp")
	if err != nil {
		return "", err
	}
	return listenerIn(res.Stdout.String(), port), nil
}

var processes = regexp.MustCompile(`\bpid=([0-9]+)`)

// listenerIn looks for a port in what ss -ltnp says.
func listenerIn(answer, port string) string {
	var pids []string
	found := false
	for line := range strings.Lines(answer) {
		if !listens(line, port) {
			continue
		}
		found = true
		for _, m := range processes.FindAllStringSubmatch(line, -1) {
			pids = append(pids, m[1])
		}
	}
	switch slices.Sort(pids); {
	case len(pids) > 0:
		return strings.Join(slices.Compact(pids), " ")
	case found:
		return unknown
	}
	return ""
}
