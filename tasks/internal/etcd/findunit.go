package etcd

import (
	"context"
	"path"
	"strings"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

// otherUnit finds a running service of another name whose program is etcd. It is
// looked for where nothing runs under the usual names, or the stopped service of
// a package would be taken for the host's member.
func (in *Instance) otherUnit(ctx context.Context, r task.Reader, p Places, settings map[string]string) (bool, error) {
	if p.Unit != "" || p.Config != "" || p.Endpoint != "" {
		return false, nil
	}
	res, err := r.Probe(ctx, "systemctl", "list-units", "--no-legend", "--no-pager", "--all")
	if err != nil || res.Code != 0 {
		return false, err
	}
	for _, name := range runningEtcds(res.Stdout.String()) {
		res, err := r.Probe(ctx, "systemctl", "show", name)
		if err != nil {
			return false, err
		}
		if argv := parseShow(res.Stdout.String()).argv; len(argv) == 0 || path.Base(argv[0]) != "etcd" {
			continue // one that has to do with etcd, as a backup
		}
		if ok, err := in.unit(ctx, r, Places{Unit: name}, settings, true); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// runningEtcds are the services in what list-units says that run and have etcd in their name.
func runningEtcds(answer string) (out []string) {
	const most = 5
	for line := range strings.Lines(answer) {
		f := strings.Fields(strings.TrimLeft(line, " ●*\t")) // UNIT LOAD ACTIVE SUB ...
		if len(f) < 4 || f[2] == "inactive" || f[2] == "failed" || !strings.HasSuffix(f[0], ".service") || !strings.Contains(f[0], "etcd") {
			continue
		}
		if _, err := reader.UnitName(f[0]); err == nil && len(out) < most {
			out = append(out, f[0])
		}
	}
	return out
}
