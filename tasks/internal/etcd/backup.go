package etcd

import (
	"path"
	"time"
)

// Save is the argv that writes a snapshot of this member to a file of its host;
// of a member in a container the file must lie where Inside says. It is no
// probe: it writes.
func (in Instance) Save(file string, limit time.Duration) []string {
	return in.Ctl.v3(in.Endpoint, limit.String(), "snapshot", "save", file)
}

// SaveV2 is the argv that copies the v2 store of a member, running or not, into
// a new folder; ok is false where the tool has no v2. v3 is never in it: on a
// running member that hangs.
func (in Instance) SaveV2(tool Version, folder string) (argv []string, ok bool) {
	argv, ok = tool.V2BackupArgv(in.DataDir, folder)
	if in.WALDir != "" {
		argv = append(argv, "--wal-dir", in.WALDir, "--backup-wal-dir", path.Join(folder, "member", "wal"))
	}
	return append(append([]string{}, in.Ctl.Wrap...), argv...), ok && !in.Ctl.NoEnv
}

// Inside is the folder that a member in a container shares with its host; "" of
// a member whose tools see the whole host.
func (in Instance) Inside() string {
	if len(in.Ctl.Wrap) == 0 {
		return ""
	}
	return in.DataDir
}
