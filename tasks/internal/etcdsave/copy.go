package etcdsave

import (
	"path"
	"strconv"
	"time"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// limitSlack is what a program gets beyond its own limit to tell about it.
const limitSlack = 30 * time.Second

// v2Script runs the program that is its words from $4 on, which copies the v2
// store into the folder $2, and packs that into $3. One step: there is no
// archive of half a copy.
const v2Script = `limit=$1 copy=$2 to=$3; shift 3
rm -rf -- "$copy" "$to.part"
timeout -k 10 "$limit" "$@" >&2 || exit
[ -d "$copy" ] || { echo "etcdctl backup made nothing" >&2; exit 1; }
tar -C "$copy" -czf "$to.part" . && rm -rf -- "$copy" && mv -T -- "$to.part" "$to"`

func v2Words(h host, to, dir string) ([]string, bool) {
	copied := path.Join(dir, "v2")
	argv, ok := h.State.Instance.SaveV2(h.State.Live.Tool, copied)
	if !ok || !h.State.Live.V2.Data {
		return nil, false
	}
	limit := strconv.Itoa(int(h.Params.Timeout.Std() / time.Second))
	return append([]string{"/bin/sh", "-c", v2Script, "dayops", limit, copied, to}, argv...), true
}

// v2Copy is nil where the v2 store holds nothing.
func v2Copy(h host, to, dir string) change.Change {
	argv, ok := v2Words(h, to, dir)
	if !ok {
		return nil
	}
	return &change.Exec{Argv: argv, Limit: h.Params.Timeout.Std() + limitSlack, Staging: true, Done: &change.Probe{Path: to}, Purpose: "copy the v2 store of " + label(h)}
}

// coldCopy stops the member, copies, and starts it, whatever becomes of us.
func coldCopy(h host, file, v2, dir string) []change.Change {
	in := h.State.Instance
	b := &change.Bracket{Do: in.Stop(), Then: in.Start()}
	if argv, ok := v2Words(h, v2, dir); ok {
		b.Do = append(b.Do, &change.Exec{Argv: argv, Staging: true, Done: &change.Probe{Path: v2}, Purpose: "copy the v2 store of " + label(h)})
	}
	db := path.Join(in.DataDir, "member", "snap", "db")
	b.Do = append(b.Do, &change.Exec{Argv: []string{"/bin/sh", "-c", `cp -- "$1" "$2.part" && mv -T -- "$2.part" "$2"`, "dayops", db, file},
		Limit: h.Params.Timeout.Std(), Staging: true, Done: &change.Probe{Path: file}, Purpose: "copy the database of " + label(h)})
	return []change.Change{b, in.Healthy(etcd.HealthyLimit)}
}
