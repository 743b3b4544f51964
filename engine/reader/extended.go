package reader

import (
	"context"
	"strings"
)

// extendedScript tells whether $1 has attributes beside those of stat. Without
// getfattr, tar's header tells: it stands before the content. A label is kept
// by who writes the file anew, but only where the kernel knows of labels.
const extendedScript = `p=$1
names=$(stat -c %h -- "$p") || exit 1
[ "$names" -le 1 ] || { echo linked; exit 0; }
[ ! -e /sys/fs/selinux/enforce ] || echo labelled
if command -v getfattr >/dev/null; then
  getfattr --absolute-names -h -m - -- "$p" || exit 1
  exit 0
fi
command -v tar >/dev/null || exit 104
tar --xattrs --acls --format=pax -P -C / --no-recursion -cf - -- "$p" 2>/dev/null | head -c 65536 | grep -a -o 'SCHILY\.[a-z]*'
exit 0`

// Extended tells whether what is at path has extended attributes, an ACL or
// another name, which a file that is written anew has not. SELinux labels do not count where
// SELinux is on. True is also the answer where the host has no way to tell.
func (r *Reader) Extended(ctx context.Context, path string) (bool, error) {
	if err := checkPath("getxattr", path); err != nil {
		return false, err
	}
	answer, res, err := r.ask(ctx, question{script: extendedScript, args: []string{path}, max: 1 << 20})
	switch {
	case err != nil:
		return false, err
	case res.Code == codeMissing:
		return true, nil
	case res.Code != 0:
		if strings.Contains(res.Stderr.String(), "not supported") {
			return false, nil
		}
		return false, failed("getfattr", res)
	}
	list, labelled := strings.CutPrefix(string(answer), "labelled\n")
	for line := range strings.Lines(list) {
		switch line = strings.TrimSpace(line); {
		case line == "", strings.HasPrefix(line, "# file: "):
		case line == "security.selinux" && labelled, line == "security.ima", line == "security.evm":
		default:
			return true, nil
		}
	}
	return false, nil
}
