// Package etcd is what the etcd tasks share: finding a member on a host, the
// verbs of etcd's versions, their answers, and the arithmetic of a quorum. It
// reads hosts through a task.Reader and changes nothing.
package etcd

import (
	"fmt"
	"regexp"
	"strconv"
)

// Version is an etcd release. The zero Version is one that is not known.
type Version struct{ Major, Minor, Patch int }

var release = regexp.MustCompile(`\b([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,4})\b`)

// ParseVersion finds the first x.y.z in what `etcdctl version`, `etcd
// --version` or a status answer says.
func ParseVersion(s string) (Version, bool) {
	const most = 4096
	if len(s) > most {
		s = s[:most]
	}
	m := release.FindStringSubmatch(s)
	if m == nil {
		return Version{}, false
	}
	var v Version
	v.Major, _ = strconv.Atoi(m[1])
	v.Minor, _ = strconv.Atoi(m[2])
	v.Patch, _ = strconv.Atoi(m[3])
	return v, true
}

func (v Version) String() string {
	if v == (Version{}) {
		return "unknown"
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
}

// Known tells a version that was read from one that was not.
func (v Version) Known() bool { return v != Version{} }

// AtLeast compares with a release.
func (v Version) AtLeast(major, minor, patch int) bool {
	if v.Major != major {
		return v.Major > major
	}
	if v.Minor != minor {
		return v.Minor > minor
	}
	return v.Patch >= patch
}

// Line is the release line, which all members of a cluster should share.
func (v Version) Line() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// DefaultAPI is what etcdctl speaks without ETCDCTL_API.
func (v Version) DefaultAPI() int {
	if v.AtLeast(3, 4, 0) {
		return 3
	}
	return 2
}

// ServesV2 tells whether a server answers the v2 API: always before 3.4, with
// enable-v2 in 3.4 and 3.5, never from 3.6 on.
func (v Version) ServesV2(enabled bool) bool {
	switch {
	case v.AtLeast(3, 6, 0):
		return false
	case v.AtLeast(3, 4, 0):
		return enabled
	}
	return true
}

// HasV2Tool tells whether etcdctl still has the v2 commands.
func (v Version) HasV2Tool() bool { return !v.AtLeast(3, 6, 0) }

// HasHashKV tells whether `endpoint hashkv` exists (3.3).
func (v Version) HasHashKV() bool { return v.AtLeast(3, 3, 0) }

// HasClusterFlag tells whether endpoint commands know --cluster (3.3).
func (v Version) HasClusterFlag() bool { return v.AtLeast(3, 3, 0) }

// HasRestoreWAL tells whether `snapshot restore` knows --wal-dir (3.3).
func (v Version) HasRestoreWAL() bool { return v.AtLeast(3, 3, 0) }

// HasHealthJSON tells whether `endpoint health -w json` gives JSON (3.4).
func (v Version) HasHealthJSON() bool { return v.AtLeast(3, 4, 0) }

// HasLearners tells whether a member can be added without a vote (3.4).
func (v Version) HasLearners() bool { return v.AtLeast(3, 4, 0) }

// HasBump tells whether restore knows --bump-revision and --mark-compacted.
func (v Version) HasBump() bool {
	return v.AtLeast(3, 6, 0) || v.Minor == 5 && v.AtLeast(3, 5, 10) || v.Minor == 4 && v.AtLeast(3, 4, 27)
}

// SnapshotsLearner tells whether a learner gives a snapshot.
func (v Version) SnapshotsLearner() bool {
	return v.AtLeast(3, 5, 0) || v.Minor == 4 && v.AtLeast(3, 4, 28)
}

// StatusHarms tells of a `snapshot status` that writes to the file it reads,
// so that a restore then fails on the hash (before 3.2.27).
func (v Version) StatusHarms() bool { return v.Known() && !v.AtLeast(3, 2, 27) }

// OfflineTool is the program for `snapshot status` and `snapshot restore`:
// etcdutl from 3.5 on, where it is preferred, and from 3.6 on, where it alone has them.
func (v Version) OfflineTool() string {
	if v.AtLeast(3, 5, 0) {
		return "etcdutl"
	}
	return "etcdctl"
}

// V2BackupArgv copies the v2 store of a member. etcdutl's default would
// include v3, which hangs while the member runs; ok is false where there is no v2.
func (v Version) V2BackupArgv(dataDir, backupDir string) (argv []string, ok bool) {
	if !v.HasV2Tool() {
		return nil, false
	}
	argv = []string{"env", "ETCDCTL_API=2", "etcdctl", "backup", "--data-dir", dataDir, "--backup-dir", backupDir}
	if v.AtLeast(3, 3, 0) { // the flag came with 3.3, its default there is false
		argv = append(argv, "--with-v3=false")
	}
	return argv, true
}
