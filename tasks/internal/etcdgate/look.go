package etcdgate

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/words"
)

// look finds the member of the claim's own host.
func look(ctx context.Context, c engine.Claim) (t target, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	r, err := c.Live(ctx, c.Host)
	if err != nil {
		return t, err
	}
	if t.Instance, t.found, err = etcd.Find(ctx, r, etcd.Places{}); err != nil || !t.found || t.Unit == "" {
		t.boots = true // a kubelet's or a container's matter
		return t, err
	}
	t.boots = t.Service.UnitFileState != "disabled" && t.Service.UnitFileState != "masked"
	if t.names, t.holds, err = holders(ctx, r, t.Unit); err != nil {
		return t, err
	}
	// Old versions of systemd know an alias only once they are asked for it.
	for _, u := range unitsOf(&change.Bracket{Do: []change.Change{c.Change}, Then: c.Next}) {
		if t.own(u) || !strings.Contains(u, "etcd") {
			continue
		}
		res, err := r.Probe(ctx, "systemctl", "show", "-p", "Id", u)
		if err != nil {
			return t, err
		}
		if strings.TrimSpace(res.Stdout.String()) == "Id="+t.Unit {
			t.names = append(t.names, u)
		}
	}
	return t, nil
}

// holders are the names of a unit, and the units that take it with them when they stop.
func holders(ctx context.Context, r task.Reader, unit string) (names, out []string, err error) {
	res, err := r.Probe(ctx, "systemctl", "show", "-p", "Names,Slice,Requires,Requisite,BindsTo,PartOf,ConsistsOf", unit)
	if err != nil || res.Code != 0 {
		return nil, nil, err
	}
	for line := range strings.Lines(res.Stdout.String()) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key == "Names" {
			names = strings.Fields(value)
			continue
		}
		for _, u := range strings.Fields(value) {
			out = append(out, u)
			if slice, ok := strings.CutSuffix(u, ".slice"); ok { // a-b.slice is in a.slice, all are in -.slice
				for i := strings.LastIndexByte(slice, '-'); i > 0; i = strings.LastIndexByte(slice[:i], '-') {
					out = append(out, slice[:i]+".slice")
				}
				out = append(out, "-.slice")
			}
		}
	}
	return names, out, nil
}

// taken tells that somebody listens where the member of this host would: one that
// runs in a way that was not found, behind a unit that does not.
func taken(ctx context.Context, c engine.Claim, endpoint string) bool {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	u, err := url.Parse(endpoint)
	if err != nil || u.Port() == "" {
		return false
	}
	r, err := c.Live(ctx, c.Host)
	if err != nil {
		return true
	}
	res, err := r.Probe(ctx, "ss", "-ltn")
	return err != nil || listens(res.Stdout.String(), u.Port())
}

// listens looks for a port in what ss -ltn says.
func listens(answer, port string) bool {
	for line := range strings.Lines(answer) {
		const local = 3 // State Recv-Q Send-Q Local:Port Peer:Port
		if f := strings.Fields(line); len(f) > local && strings.HasSuffix(f[local], ":"+port) {
			return true
		}
	}
	return false
}

// unitsOf are the units that a change starts or stops, by name.
func unitsOf(c change.Change) (out []string) {
	var names []string
	switch c := c.(type) {
	case *change.Unit:
		names = []string{c.Name}
	case *change.Exec:
		for _, d := range words.Deeds(c.Argv, c.Dir) {
			if d.Object == words.Unit {
				names = append(names, d.Names...)
			}
		}
	case *change.Bracket:
		for _, part := range slices.Concat(c.Do, c.Then) {
			names = append(names, unitsOf(part)...)
		}
	}
	for _, n := range names {
		if full, err := reader.UnitName(n); err == nil && !words.Vague(n) && !slices.Contains(out, full) {
			out = append(out, full)
		}
	}
	return out
}
