package strictyaml

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/source"
)

// Mode is a file mode as a person writes it: octal ("0644") or symbolic
// ("u=rw,go=r", "+x"). The zero Mode is "not given". It holds checked text, so
// it can be compared and stored.
type Mode string

// TypeName is the word in documentation.
func (Mode) TypeName() string { return "file mode" }

var (
	octalMode  = regexp.MustCompile(`^0?[0-7]{3,4}$`)
	modeClause = regexp.MustCompile(`^([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)$`)
	modeAction = regexp.MustCompile(`[-+=](?:[ugo]|[rwxXst]*)`)
)

// ParseMode checks a mode given as text; "644" and "0644" are both octal.
func ParseMode(s string) (Mode, error) {
	s = strings.TrimSpace(s)
	if o, ok := strings.CutPrefix(s, "0o"); ok {
		s = "0" + o
	}
	if v, err := strconv.ParseUint(s, 8, 32); err == nil {
		if v > 0o7777 {
			return "", fmt.Errorf("%s is larger than 07777", s)
		}
		if !octalMode.MatchString(s) && s != "0" {
			return "", &source.Mistake{Text: strconv.Quote(s) + " is not a file mode", Hint: `write all digits: "0644"`}
		}
		return Mode(fmt.Sprintf("%04o", v)), nil
	}
	for clause := range strings.SplitSeq(s, ",") {
		if !modeClause.MatchString(clause) {
			return "", &source.Mistake{Text: strconv.Quote(s) + " is not a file mode", Hint: `write it like "0644" or "u=rw,go=r"`}
		}
	}
	return Mode(s), nil
}

// DecodeScalar takes 0644, 0o644, "0644", "644" and symbolic modes. A number
// that is not written in octal is refused: 644 would mean 01204.
func (m *Mode) DecodeScalar(n *Node) error {
	switch v := n.Value.(type) {
	case string:
		parsed, err := ParseMode(v)
		*m = parsed
		return err
	case int64:
		if octal := strings.HasPrefix(n.Raw, "0") && !strings.HasPrefix(n.Raw, "0x") && !strings.HasPrefix(n.Raw, "0b"); octal && !strings.Contains(n.Raw, "_") {
			parsed, err := ParseMode(n.Raw)
			*m = parsed
			return err
		}
		return decimalMode(n, v)
	}
	return &source.Mistake{Text: "must be a file mode, got " + describe(n), Hint: `write it like "0644" or "u=rw,go=r"`}
}

func decimalMode(n *Node, v int64) error {
	m := &source.Mistake{Text: fmt.Sprintf("%s is decimal here and not a file mode", n.Raw)}
	if v >= 0 && v <= 0o7777 {
		m.Text = fmt.Sprintf("%s is decimal here and means 0%o", n.Raw, v)
	}
	switch {
	case !n.literal():
		m.Hint = `the template gives a number; put quotes around the mode where it is defined: "0644"`
	case octalMode.MatchString(n.Raw) && v <= 0o777:
		m.Hint = fmt.Sprintf(`write 0%s, or 0%o if the number is meant`, n.Raw, v)
	case octalMode.MatchString(n.Raw):
		m.Hint = fmt.Sprintf(`write 0%s or "0%s"`, n.Raw, n.Raw)
	default:
		m.Hint = `write it in octal: 0644 or "0644"`
	}
	return m
}

// Set tells that a mode was given.
func (m Mode) Set() bool { return m != "" }

// Apply gives the permission bits (07777) that m makes of base. A symbolic
// clause without u, g, o or a means all of them, whatever the umask; X adds x
// for a directory or where somebody has x already. An unset Mode gives base.
func (m Mode) Apply(base uint32, dir bool) uint32 {
	if m == "" {
		return base & 0o7777
	}
	if v, err := strconv.ParseUint(string(m), 8, 32); err == nil {
		return uint32(v) & 0o7777
	}
	bits := base & 0o7777
	for clause := range strings.SplitSeq(string(m), ",") {
		parts := modeClause.FindStringSubmatch(clause)
		if parts == nil {
			continue
		}
		for _, action := range modeAction.FindAllString(parts[2], -1) {
			bits = applyClause(bits, parts[1], action, dir)
		}
	}
	return bits
}

func applyClause(bits uint32, who, action string, dir bool) uint32 {
	if who == "" || strings.Contains(who, "a") {
		who = "ugo"
	}
	perms := action[1:]
	var rwx uint32
	switch perms {
	case "u":
		rwx = bits >> 6 & 7
	case "g":
		rwx = bits >> 3 & 7
	case "o":
		rwx = bits & 7
	default:
		rwx = bitsOf(perms, "r", 4) | bitsOf(perms, "w", 2) | bitsOf(perms, "x", 1)
		if strings.Contains(perms, "X") && (dir || bits&0o111 != 0) {
			rwx |= 1
		}
	}
	var set, mask uint32
	for i, class := range []string{"o", "g", "u"} {
		if strings.Contains(who, class) {
			set |= rwx << (3 * i)
			mask |= 7 << (3 * i)
		}
	}
	if strings.Contains(who, "u") {
		set |= bitsOf(perms, "s", 0o4000)
		mask |= 0o4000
	}
	if strings.Contains(who, "g") {
		set |= bitsOf(perms, "s", 0o2000)
		mask |= 0o2000
	}
	if strings.Contains(who, "o") {
		set |= bitsOf(perms, "t", 0o1000)
		mask |= 0o1000
	}
	switch action[0] {
	case '+':
		return bits | set
	case '-':
		return bits &^ set
	}
	// As with chmod, "=" leaves alone the special bits of a directory that it does not name.
	if dir && !strings.Contains(perms, "s") {
		mask &^= 0o6000
	}
	return bits&^mask | set
}

func bitsOf(perms, letter string, bit uint32) uint32 {
	if len(perms) > 0 && strings.Contains(perms, letter) {
		return bit
	}
	return 0
}
