package etcdrestore

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// Tool is what restores on the host.
type Tool struct {
	Ctl  etcd.Version // etcdctl's; zero where there is none
	Utl  etcd.Version // etcdutl's
	Etcd etcd.Version `plan:"volatile"` // of a unit's program, where the member does not run and say so itself
}

// containerLimit is how long the container of a member that is to run may take to
// come: a kubelet looks every 20 s, and a resume looks at the hosts right after it
// has given the manifest back.
const containerLimit = 45 * time.Second

// awaitTool finds the tool, and waits for the container that has it where one is
// on its way.
func awaitTool(ctx context.Context, r task.Reader, in etcd.Instance, limit time.Duration) (Tool, error) {
	const between = time.Second
	until, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		t, err := findTool(ctx, r, in)
		coming := len(in.Ctl.Wrap) > 0 && (in.Runtime == etcd.PodRuntime && !in.Down() || in.Service.Up())
		if err != nil || t.Ctl.Known() || t.Utl.Known() || !coming {
			return t, err
		}
		select {
		case <-until.Done():
			return t, ctx.Err()
		case <-time.After(between):
		}
	}
}

func findTool(ctx context.Context, r task.Reader, in etcd.Instance) (t Tool, err error) {
	for _, ask := range []struct {
		argv []string
		into *etcd.Version
	}{{in.Ctl.Version(), &t.Ctl}, {in.Ctl.UtlVersion(), &t.Utl}} {
		res, err := r.Probe(ctx, ask.argv...)
		if err != nil {
			return t, err
		}
		if res.Code == 0 {
			*ask.into, _ = etcd.ParseVersion(res.Stdout.String())
		}
	}
	return t, nil
}

// programVersion asks the unit's own program, where that is the one of the name.
func programVersion(ctx context.Context, r task.Reader, in etcd.Instance) (v etcd.Version, err error) {
	if in.Runtime != etcd.UnitRuntime || !path.IsAbs(in.Program) {
		return v, nil
	}
	where, err := r.Probe(ctx, "command", "-v", "etcd")
	if err != nil || strings.TrimSpace(where.Stdout.String()) != in.Program {
		return v, err
	}
	res, err := r.Probe(ctx, "etcd", "--version")
	if err == nil && res.Code == 0 {
		v, _ = etcd.ParseVersion(res.Stdout.String())
	}
	return v, err
}
