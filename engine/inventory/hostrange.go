package inventory

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

var (
	bracketedPort = regexp.MustCompile(`^\[(.+)\]:([0-9]+)$`)
	plainPort     = regexp.MustCompile(`^((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)$`)
)

// nameError is something wrong in a host name or range, off characters into it.
type nameError struct {
	off, len   int
	text, hint string
}

func (e *nameError) Error() string { return e.text }

// expandHosts reads a host entry: a name, an address, a range such as
// node[01:20].example.com or db[a:f], with :PORT after it if need be ([::1]:22).
// Port 0 means none was given.
func expandHosts(text string) (names []string, port int, err *nameError) {
	host, off := text, 0
	if m := bracketedPort.FindStringSubmatch(text); m != nil {
		host, off = m[1], 1
		port, err = portOf(m[2], len([]rune(text))-len(m[2]))
	} else if m := plainPort.FindStringSubmatch(text); m != nil {
		host = m[1]
		port, err = portOf(m[2], len([]rune(text))-len(m[2]))
	}
	if err != nil {
		return nil, 0, err
	}
	if strings.HasSuffix(host, ":") && !isIP(host) {
		return nil, 0, &nameError{len([]rune(host)) - 1, 1, "a port is missing after the colon", ""}
	}
	names, err = expandRange(host)
	if err == nil {
		// One name stands for all: they differ only in letters and digits. Not
		// so of addresses: 0[1:10]::1 ends in what is none.
		some := names[:1]
		if strings.Contains(names[0], ":") {
			some = names
		}
		for i := 0; i < len(some) && err == nil; i++ {
			err = checkName(some[i])
		}
	}
	if err != nil {
		err.off += off
		return nil, 0, err
	}
	return names, port, nil
}

func portOf(digits string, off int) (int, *nameError) {
	port, err := strconv.Atoi(digits)
	if err != nil || port < 1 || port > 65535 {
		return 0, &nameError{off, len(digits), "a port is a number from 1 to 65535", ""}
	}
	return port, nil
}

// expandRange expands every [begin:end] and [begin:end:step] of a name; the
// last range counts fastest.
func expandRange(text string) ([]string, *nameError) {
	names, rest, off := []string{""}, text, 0
	for {
		head, tail, found := strings.Cut(rest, "[")
		if i := strings.IndexByte(head, ']'); i >= 0 {
			return nil, &nameError{off + len([]rune(head[:i])), 1, "there is no [ for this ]", ""}
		}
		if !found {
			for i := range names {
				names[i] += head
			}
			return names, nil
		}
		off += len([]rune(head))
		inside, after, closed := strings.Cut(tail, "]")
		if !closed {
			return nil, &nameError{off, 1, "this [ is never closed", "a range is written node[01:20]"}
		}
		width := len([]rune(inside)) + 2
		seq, err := sequence(inside, MaxHosts/len(names))
		if err != nil {
			return nil, &nameError{off, width, err.text, err.hint}
		}
		next := make([]string, 0, len(names)*len(seq))
		for _, n := range names {
			for _, s := range seq {
				next = append(next, n+head+s)
			}
		}
		names, rest, off = next, after, off+width
	}
}

const rangeHint = "write [begin:end] or [begin:end:step], for example [1:5], [01:20] or [a:f]"

// sequence lists the values of one range; limit is how many it may have.
func sequence(inside string, limit int) ([]string, *nameError) {
	parts := strings.Split(inside, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return nil, &nameError{text: "this is not a range", hint: rangeHint}
	}
	step := 1
	if len(parts) == 3 {
		var err error
		if step, err = strconv.Atoi(parts[2]); err != nil || step < 1 {
			return nil, &nameError{text: "the step of a range is a number from 1 up", hint: rangeHint}
		}
	}
	begin, end := parts[0], parts[1]
	if end == "" {
		return nil, &nameError{text: "this range has no end", hint: rangeHint}
	}
	if begin == "" {
		begin = "0"
	}
	if a, b := letterIndex(begin), letterIndex(end); a >= 0 && b >= 0 {
		return steps(a, b, step, limit, func(i int) string { return letters[i : i+1] })
	}
	a, errA := number(begin)
	b, errB := number(end)
	if errA != nil || errB != nil {
		return nil, &nameError{text: "a range goes from number to number or from letter to letter", hint: rangeHint}
	}
	pad := 0
	if len(begin) > 1 && begin[0] == '0' {
		if pad = len(begin); pad != len(end) {
			return nil, &nameError{text: "begin and end must have the same number of digits when begin starts with 0",
				hint: fmt.Sprintf("for example [%0*d:%0*d]", max(pad, len(end)), a, max(pad, len(end)), b)}
		}
	}
	return steps(a, b, step, limit, func(i int) string { return fmt.Sprintf("%0*d", pad, i) })
}

func steps(a, b, step, limit int, name func(int) string) ([]string, *nameError) {
	if a > b {
		return nil, &nameError{text: "the end of this range comes before its begin"}
	}
	if (b-a)/step+1 > limit {
		return nil, &nameError{text: fmt.Sprintf("this range gives more than %d hosts", MaxHosts)}
	}
	out := make([]string, 0, (b-a)/step+1)
	for i := a; i <= b; i += step {
		out = append(out, name(i))
	}
	return out, nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func letterIndex(s string) int {
	if len(s) != 1 {
		return -1
	}
	return strings.Index(letters, s)
}

// number reads digits only, and no more than fit without overflow.
func number(s string) (int, error) {
	if len(s) > 9 || strings.Trim(s, "0123456789") != "" {
		return 0, strconv.ErrRange
	}
	return strconv.Atoi(s)
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// checkName refuses host names that could not be selected by a pattern or
// would mean something to a shell, to ssh or as the name of a folder.
func checkName(name string) *nameError {
	if isIP(name) && !strings.Contains(name, "%") {
		return nil
	}
	switch {
	case name == "":
		return &nameError{0, 1, "a host name is missing", ""}
	case name == "---":
		return &nameError{0, 3, `"---" is no host`, "this looks like a YAML file: give it the extension .yml"}
	case len(name) > 253:
		return &nameError{0, len([]rune(name)), "a host name has at most 253 characters", ""}
	case strings.Trim(name, ".") == "":
		return &nameError{0, len(name), "a host name is missing", ""}
	}
	for i, r := range []rune(name) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || (r == '-' || r == '.') && i > 0 {
			continue
		}
		e := &nameError{i, 1, fmt.Sprintf("a host name cannot have %q here", r), ""}
		switch r {
		case '@':
			e.hint = "name the account with ansible_user"
		case '=':
			e.hint = "a line of variables belongs into a section [GROUP:vars], or behind a host name"
		case '*', '?', '!', '&', '~':
			e.hint = "patterns select hosts, an inventory names them; ranges are written node[1:5]"
		case ':':
			e.hint = "an IPv6 address with a port is written [::1]:22"
		case '/':
			e.hint = "a host name is used as the name of a folder"
		}
		return e
	}
	return nil
}
