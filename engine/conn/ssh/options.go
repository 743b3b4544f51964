package ssh

import (
	"fmt"
	"slices"
	"strings"
)

// option is one setting as ssh_config writes it, the name in lower case.
type option struct{ name, value string }

// honoured are the options that dayops acts on, in its way of connecting.
func honoured() []string {
	return []string{
		"hostname", "user", "port", "identityfile", "certificatefile", "identitiesonly", "identityagent",
		"proxyjump", "proxycommand", "userknownhostsfile", "globalknownhostsfile", "hostkeyalias",
		"stricthostkeychecking", "connecttimeout", "pubkeyauthentication", "passwordauthentication",
		"kbdinteractiveauthentication", "proxyusefdpass",
	}
}

// pointless are options that ask for what dayops does anyway or has no use
// for: one connection per host is kept, no terminal, no forwarding. They are
// accepted, because people's ssh arguments are full of them.
func pointless() []string {
	return []string{
		"addkeystoagent", "batchmode", "checkhostip", "clearallforwardings", "compression", "connectionattempts",
		"controlmaster", "controlpath", "controlpersist", "forwardagent", "forwardx11", "forwardx11trusted",
		"gssapiauthentication", "gssapidelegatecredentials", "hashknownhosts", "loglevel", "logverbose",
		"numberofpasswordprompts", "permitlocalcommand", "preferredauthentications", "requesttty", "sendenv",
		"serveralivecountmax", "serveraliveinterval", "tcpkeepalive", "updatehostkeys", "visualhostkey", "ipqos",
	}
}

// parseArgs reads the words of ansible_ssh_common_args. A word that would
// change how we connect and that we do not understand is an error.
func parseArgs(words []string) (opts []option, configFile string, err error) {
	short := map[byte]string{'i': "identityfile", 'p': "port", 'l': "user", 'J': "proxyjump"}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if len(word) < 2 || word[0] != '-' {
			return nil, "", fmt.Errorf("ssh argument %q: not an option", word)
		}
		letter, value := word[1], word[2:]
		if strings.IndexByte("qvCTxa4", letter) >= 0 && strings.Trim(word[1:], string(letter)) == "" {
			continue // quiet, verbose, compression, no terminal, no X11, no agent forwarding
		}
		if _, known := short[letter]; !known && letter != 'o' && letter != 'F' {
			return nil, "", fmt.Errorf("ssh argument %q is not supported", word)
		}
		if value == "" {
			if i++; i == len(words) {
				return nil, "", fmt.Errorf("ssh argument %q lacks its value", word)
			}
			value = words[i]
		}
		switch letter {
		case 'F':
			configFile = value
		case 'o':
			o, keep, err := parseOption(value)
			if err != nil {
				return nil, "", err
			}
			if keep {
				opts = append(opts, o)
			}
		default:
			opts = append(opts, option{short[letter], value})
		}
	}
	return opts, configFile, nil
}

func parseOption(text string) (o option, keep bool, err error) {
	name, value, found := strings.Cut(text, "=")
	if !found {
		name, value, found = strings.Cut(strings.TrimSpace(text), " ")
	}
	name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
	// The quotes of shell text are the shell's to take off, those in a list of files the list's.
	ownQuotes := name == "proxycommand" || strings.HasSuffix(name, "knownhostsfile")
	if !ownQuotes && len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	switch {
	case !found || value == "":
		return o, false, fmt.Errorf("ssh option %q lacks its value", text)
	case strings.ContainsAny(value, "\x00\r\n"):
		return o, false, fmt.Errorf("ssh option %s: control characters in the value", name)
	case name == "stricthostkeychecking" && (strings.EqualFold(value, "no") || strings.EqualFold(value, "off")):
		return o, false, fmt.Errorf("ssh option StrictHostKeyChecking=%s is refused: without host keys anyone on the way can be the host; "+
			"use accept-new, or add the keys with: dayops trust", value)
	case slices.Contains(honoured(), name):
		return option{name, value}, true, nil
	case slices.Contains(pointless(), name):
		return o, false, nil
	}
	return o, false, fmt.Errorf("ssh option %q is not supported", name)
}

// CheckArgs tells whether words can serve as a Target's CommonArgs.
func CheckArgs(words []string) error {
	_, _, err := parseArgs(words)
	return err
}
