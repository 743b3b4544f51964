package etcdrestore

import (
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/tasks/internal/etcd"
)

// dressScript makes what lies in $1/part look like the old data and gives it its
// name in one step. $2 owner, $3 group, $4 mode of member, $5 whose SELinux label,
// $6 the name of the mark, $7 says that the WAL has a folder of its own.
const dressScript = `m=$s/part/member
: >"$m/$mark"
chmod -- "$mode" "$m"
chown -R -- "$own:$grp" "$m"
[ -z "$like" ] || chcon -R "--reference=$like" -- "$m"
[ -z "$wal" ] || mv -T -- "$m/wal" "$s/part/wal"
sync -f "$s/part" 2>/dev/null || sync
mv -T -- "$s/part" "$s/data"`

const dressWords = `set -e
s=$1 own=$2 grp=$3 mode=$4 like=$5 mark=$6 wal=$7; shift 7
umask 077
rm -rf -- "$s/part"
`

// restoreScript restores into $1/part; behind the words of dressScript comes the tool's command.
const restoreScript = dressWords + `"$@" >"$s/log" 2>&1 </dev/null || { code=$?; tail -n 20 -- "$s/log" >&2; exit $code; }
[ -s "$s/part/member/snap/db" ]
` + dressScript

// placeScript puts what was restored in the old data's place, which keep a name
// beside it. $1 data folder, $2 staging folder, $3 name of the restore, $4 the
// WAL's folder, or nothing. Ended anywhere it can be done again; member comes last.
const placeScript = `set -e
d=$1 s=$2 tag=$3 w=$4
[ -d "$s/data/member" ]
if [ -e "$d/member" ]; then mv -nT -- "$d/member" "$d/member.` + asideMark + `$tag"; fi
if [ -n "$w" ] && [ -d "$s/data/wal" ]; then
  if [ -e "$w" ]; then mv -nT -- "$w" "$w.` + asideMark + `$tag"; fi
  mv -nT -- "$s/data/wal" "$w"
fi
mv -nT -- "$s/data/member" "$d/member"
[ -e "$d/member/` + restoredMark + `$tag" ]
sync -f "$d" 2>/dev/null || sync`

// backScript takes placeScript back, whole or half done. What was restored goes
// into the staging folder, or beside the old data where that is gone. $5 says that
// there were old data: without them nothing is moved.
const backScript = `set -e
d=$1 s=$2 tag=$3 w=$4 had=$5
if [ -n "$had" ] && [ -e "$d/member/` + restoredMark + `$tag" ] && [ ! -e "$d/member.` + asideMark + `$tag" ]; then
  echo "the old data are not in $d/member.` + asideMark + `$tag any more: the restored stay" >&2; exit 1
fi
away=$s/undone.$$
[ -d "$s" ] || away=$d/undone-` + restoredMark + `$tag.$$
umask 077
mkdir -- "$away"
if [ -e "$d/member/` + restoredMark + `$tag" ]; then mv -nT -- "$d/member" "$away/member"; fi
if [ -n "$w" ] && [ -e "$w.` + asideMark + `$tag" ]; then
  if [ -e "$w" ]; then mv -nT -- "$w" "$away/wal"; fi
  mv -nT -- "$w.` + asideMark + `$tag" "$w"
fi
if [ -e "$d/member.` + asideMark + `$tag" ] && [ ! -e "$d/member" ]; then mv -nT -- "$d/member.` + asideMark + `$tag" "$d/member"; fi
rmdir -- "$away" 2>/dev/null || :
if [ -e "$d/member.` + asideMark + `$tag" ]; then
  echo "the old data stay in $d/member.` + asideMark + `$tag: $d/member is neither theirs nor the restored one, etcd was started in between; stop it, move that away and rename the old" >&2; exit 1
fi
sync -f "$d" 2>/dev/null || sync`

func shell(script string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", script, "sh"}, args...)
}

// dressed are the words of dressScript.
func (m *member) dressed(p *planner) []string {
	wal, like := "", ""
	if m.wal() != "" {
		wal = "yes"
	}
	if m.attr.label != "" {
		like = m.attr.path
	}
	return []string{m.staging, m.attr.owner, m.attr.group, m.attr.mode, like, restoredMark + p.tag, wal}
}

// rehearse restores into the staging folder.
func (m *member) rehearse(p *planner) *change.Exec {
	return &change.Exec{
		Argv: shell(restoreScript, append(m.dressed(p), m.restoreArgv(p)...)...), Limit: restoreLimit, Staging: true, Done: &change.Probe{Path: m.staging + "/data"},
		Purpose: "restore the snapshot in " + m.staging + " with " + m.tool + " " + m.toolVersion().String() + " as " + m.in.Name + " " + strings.Join(m.peers, ","),
	}
}

// restoreArgv is the tool's command.
func (m *member) restoreArgv(p *planner) []string {
	words := []string{
		"snapshot", "restore", m.staging + "/" + snapshotName, "--data-dir", m.staging + "/part", "--name", m.in.Name, "--initial-cluster", p.cluster,
		"--initial-cluster-token", p.token, "--initial-advertise-peer-urls", strings.Join(m.peers, ","),
	}
	if !p.src.Sealed {
		words = append(words, "--skip-hash-check=true")
	}
	if p.bump(m) > 0 {
		words = append(words, "--bump-revision", strconv.FormatInt(p.bump(m), 10), "--mark-compacted")
	}
	return m.in.Ctl.File(m.tool, words...)
}

// place puts the restored data where the member reads them; Undo takes that back.
func (m *member) place(p *planner) *change.Exec {
	d := m.in.DataDir
	mark, aside := m.mark(p), d+"/member."+asideMark+p.tag
	what := "put the restored data in place in " + d
	if m.State.Places.Member.Exists {
		what += "; the old stay as " + aside
	}
	// Old data that are back: neither deleted where they lay aside, nor still there
	// beside what an etcd began that was started without any.
	undone, had := &change.Probe{Path: mark, Absent: true}, ""
	if m.State.Places.Member.Exists {
		undone.Argv, had = []string{"test", "-d", d + "/member", "-a", "!", "-e", aside}, "yes"
	}
	return &change.Exec{
		Argv: shell(placeScript, d, m.staging, p.tag, m.wal()), Limit: restoreLimit, Class: change.Destructive, Done: &change.Probe{Path: mark}, Purpose: what,
		Undo: []*change.Exec{{
			Argv: shell(backScript, d, m.staging, p.tag, m.wal(), had), Limit: restoreLimit, Class: change.Destructive, Done: undone,
			Purpose: "put the old data back in place in " + d + ", and what was restored aside",
		}},
	}
}

// mend undoes half of place, which a host that went down meanwhile may have left:
// a member without data would begin a cluster of its own.
func (m *member) mend(p *planner) *change.Exec {
	d := m.in.DataDir
	return &change.Exec{
		Argv: shell(backScript, d, m.staging, p.tag, m.wal(), ""), Limit: restoreLimit, Class: change.Disruptive, Done: &change.Probe{Path: d + "/member"},
		Purpose: "make sure that " + d + " has data, or put the old back", Undo: []*change.Exec{{
			Argv: []string{"true"}, Done: &change.Probe{Path: d + "/member"}, Purpose: "nothing: the old data stay in place",
		}},
	}
}

func (m *member) wal() string { return strings.TrimSuffix(m.in.WALDir, "/") }

func (m *member) toolVersion() etcd.Version {
	if m.tool == "etcdutl" {
		return m.State.Tool.Utl
	}
	return m.State.Tool.Ctl
}
