package ssh

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// checkHost refuses host names and addresses that a shell, ssh or a
// known_hosts file would read as something else.
func checkHost(s string) error {
	if s == "" {
		return fmt.Errorf("the host name is empty")
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if ip, _, _ := strings.Cut(bare, "%"); net.ParseIP(ip) != nil && onlyWord(strings.Replace(bare, "%", "", 1), ".:-_") {
		return nil
	}
	if strings.HasPrefix(s, "-") || !onlyWord(s, ".-_") {
		return fmt.Errorf("%q is no host name or address", s)
	}
	return nil
}

// checkUser allows what account names are made of, also Windows domains and Kerberos names.
func checkUser(s string) error {
	if s == "" || strings.HasPrefix(s, "-") || !onlyWord(s, `.-_@+\`) {
		return fmt.Errorf("%q is no account name", s)
	}
	return nil
}

func checkPort(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != s {
		return 0, fmt.Errorf("%q is no port number", s)
	}
	return n, nil
}

// onlyWord tells whether s has only letters, digits and runes of others.
// Letters of all scripts are letters: a name may be written in any.
func onlyWord(s, others string) bool {
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune(others, r):
		case r > 0x9f && strconv.IsPrint(r) && r != 0xfffd:
		default:
			return false
		}
	}
	return s != ""
}
