package words

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what is looked into.
const (
	maxText  = 256 << 10
	maxDepth = 8
)

// Commands are the simple commands that argv would run, as far as its literal
// words say so: a shell's text is taken apart, and what stands before a
// command (sudo, env, timeout, variables) is taken off. A word that only a
// shell could expand keeps its $, ` or *. A lone & stands for what the shell
// leaves in the background.
func Commands(argv []string) [][]string { return unwrap(argv, 0) }

// valued are the options that take a word of their own, of those programs that
// run another: single letters, and whole words.
func valued(program string) (letters string, long []string, ok bool) {
	switch program {
	case "sudo", "doas":
		return "ugphCTrtUDRa", []string{"--user", "--group", "--prompt", "--host", "--chdir", "--chroot", "--role", "--type", "--other-user"}, true
	case "env":
		return "uCS", []string{"--unset", "--chdir"}, true
	case "timeout":
		return "ks", []string{"--kill-after", "--signal"}, true
	case "nice":
		return "n", []string{"--adjustment"}, true
	case "ionice":
		return "cn", []string{"--class", "--classdata"}, true
	case "xargs":
		return "aEIdLnPs", []string{"--arg-file", "--delimiter", "--max-lines", "--max-args", "--max-procs", "--max-chars", "--replace"}, true
	case "systemd-run":
		return "upEHMt", []string{"--unit", "--property", "--description", "--slice", "--uid", "--gid", "--nice", "--setenv", "--working-directory", "--on-active", "--on-calendar"}, true
	case "runuser":
		return "ugGw", []string{"--user", "--group", "--supp-group", "--whitelist-environment"}, true
	case "flock":
		return "wE", []string{"--wait", "--timeout", "--conflict-exit-code"}, true
	case "nsenter":
		return "tSG", []string{"--target", "--setuid", "--setgid"}, true
	case "taskset", "chrt":
		return "TPD", nil, true
	case "nohup", "setsid", "stdbuf", "exec", "time", "chroot", "busybox", "builtin":
		return "ioefa", nil, true
	}
	return "", nil, false
}

// background is a command of its own in the list where a shell does not wait for all.
const background = "&"

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*\+?=`)

// unwrap takes off what stands before the command and looks into shells.
func unwrap(argv []string, depth int) [][]string {
	for len(argv) > 0 && depth < maxDepth {
		first := argv[0]
		name := path.Base(first)
		switch {
		case assignment.MatchString(first), isKeyword(first):
			argv = argv[1:]
			continue
		case isShell(name):
			if text, ok := shellText(argv[1:]); ok {
				return append(InShell(text, depth+1), positional(text, argv[1:], depth+1)...)
			}
			return [][]string{argv}
		case name == "eval":
			return InShell(strings.Join(argv[1:], " "), depth+1)
		case name == "su", name == "runuser", name == "flock":
			if text, ok := shellText(argv[1:]); ok {
				return InShell(text, depth+1)
			}
			if name == "su" {
				return [][]string{argv}
			}
		case name == "command":
			if len(argv) > 1 && strings.HasPrefix(argv[1], "-") && strings.ContainsAny(argv[1], "vV") {
				return nil // asks where it is
			}
			argv = options(argv[1:], "", nil)
			continue
		}
		letters, long, ok := valued(name)
		if !ok {
			return [][]string{argv}
		}
		rest := options(argv[1:], letters, long)
		for len(rest) > 0 && name == "env" && assignment.MatchString(rest[0]) {
			rest = rest[1:]
		}
		if len(rest) > 0 && slices.Contains([]string{"timeout", "chroot", "flock", "taskset", "chrt"}, name) {
			rest = rest[1:]
		}
		if name == "xargs" && len(rest) > 0 {
			rest = append(slices.Clone(rest), "$") // and what it reads
		}
		if argv, depth = rest, depth+1; name == "systemd-run" {
			return append(unwrap(argv, depth), []string{background})
		}
	}
	return nil
}

// options skips options, with the words that they take.
func options(argv []string, letters string, long []string) []string {
	for len(argv) > 0 && strings.HasPrefix(argv[0], "-") && argv[0] != "-" {
		w := argv[0]
		argv = argv[1:]
		switch {
		case w == "--":
			return argv
		case len(argv) == 0:
		case slices.Contains(long, w), !strings.HasPrefix(w, "--") && strings.IndexAny(w[1:], letters) == len(w)-2:
			argv = argv[1:] // of -nu, the u; behind a letter that takes one the rest is its word
		}
	}
	return argv
}

func isKeyword(w string) bool {
	return slices.Contains([]string{"if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "fi", "done"}, w)
}

func isShell(name string) bool {
	return slices.Contains([]string{"sh", "bash", "dash", "ksh", "zsh", "ash"}, name)
}

// shellText is what stands behind -c.
func shellText(argv []string) (string, bool) {
	for i, w := range argv {
		if strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.HasSuffix(w, "c") && i+1 < len(argv) {
			return argv[i+1], true
		}
		if v, ok := strings.CutPrefix(w, "--command="); ok {
			return v, true
		}
	}
	return "", false
}

var shifts = regexp.MustCompile(`(?:^|[;\s])shift(?:[ \t]+([0-9]+))?(?:[;\s]|$)`)

// positional are the commands that a shell is given behind its text, which runs
// them as "$@", after the words that it takes off with its first shift.
func positional(text string, argv []string, depth int) [][]string {
	i := slices.Index(argv, text)
	if !strings.Contains(text, `"$@"`) || i < 0 || i+2 > len(argv) {
		return nil
	}
	argv = argv[i+2:] // $0 is behind the text
	if m := shifts.FindStringSubmatch(text); m != nil {
		n := 1
		if m[1] != "" {
			n, _ = strconv.Atoi(m[1])
		}
		argv = argv[min(n, len(argv)):]
	}
	return unwrap(argv, depth)
}

// InShell takes a shell's text apart; depth is how deep it stands in others.
func InShell(text string, depth int) [][]string {
	if len(text) > maxText || depth > maxDepth {
		return nil
	}
	l := &lexer{s: text, depth: depth}
	l.run()
	return l.out
}

// lexer finds words and the operators between commands. It expands nothing.
type lexer struct {
	s       string
	i       int
	depth   int
	word    strings.Builder
	started bool
	argv    []string
	drop    bool // the next word is a redirection's
	out     [][]string
}

func (l *lexer) run() {
	for l.i < len(l.s) {
		c := l.s[l.i]
		switch {
		case c == '\\' && l.i+1 < len(l.s):
			if l.s[l.i+1] != '\n' {
				l.put(l.s[l.i+1])
			}
			l.i += 2
		case c == '\'':
			l.single()
		case c == '"':
			l.double()
		case c == '$' || c == '`':
			l.expansion()
		case c == '#' && !l.started:
			l.comment()
		case c == ' ' || c == '\t' || c == '\r':
			l.endWord()
			l.i++
		case c == '>' || c == '<':
			l.redirect()
		case strings.HasPrefix(l.s[l.i:], "&&"), strings.HasPrefix(l.s[l.i:], "|&"):
			l.endCommand()
			l.i += 2
		case strings.HasPrefix(l.s[l.i:], "&>"): // both streams to bash, the background to others
			l.i++
			l.redirect()
			l.out = append(l.out, []string{background})
		case strings.IndexByte(";&|()\n", c) >= 0:
			l.endCommand()
			if l.i++; c == '&' {
				l.out = append(l.out, []string{background})
			}
		default:
			l.put(c)
			l.i++
		}
	}
	l.endCommand()
}

func (l *lexer) put(c byte) {
	l.word.WriteByte(c)
	l.started = true
}

func (l *lexer) endWord() {
	if l.started {
		if !l.drop {
			l.argv = append(l.argv, l.word.String())
		}
		l.drop = false
	}
	l.word.Reset()
	l.started = false
}

func (l *lexer) endCommand() {
	l.endWord()
	l.drop = false
	if len(l.argv) > 0 {
		l.out = append(l.out, unwrap(l.argv, l.depth)...)
	}
	l.argv = nil
}

func (l *lexer) single() {
	end := strings.IndexByte(l.s[l.i+1:], '\'')
	if end < 0 {
		end = len(l.s) - l.i - 1
	}
	l.word.WriteString(l.s[l.i+1 : l.i+1+end])
	l.started = true
	l.i += end + 2
}

func (l *lexer) double() {
	l.started = true
	for l.i++; l.i < len(l.s); {
		switch c := l.s[l.i]; {
		case c == '"':
			l.i++
			return
		case c == '\\' && l.i+1 < len(l.s):
			l.put(l.s[l.i+1])
			l.i += 2
		case c == '$' || c == '`':
			l.expansion()
		default:
			l.put(c)
			l.i++
		}
	}
}

// expansion keeps the sign in the word, and looks into the commands of a substitution.
func (l *lexer) expansion() {
	c := l.s[l.i]
	l.put('$')
	l.i++
	switch {
	case c == '`':
		end := strings.IndexByte(l.s[l.i:], '`')
		if end < 0 {
			end = len(l.s) - l.i
		}
		l.inner(l.s[l.i : l.i+end])
		l.i = min(len(l.s), l.i+end+1)
	case l.i < len(l.s) && l.s[l.i] == '(':
		depth, from := 0, l.i+1
		for ; l.i < len(l.s); l.i++ {
			if l.s[l.i] == '(' {
				depth++
			} else if l.s[l.i] == ')' {
				if depth--; depth == 0 {
					break
				}
			}
		}
		l.inner(l.s[from:min(l.i, len(l.s))])
		l.i = min(len(l.s), l.i+1)
	}
}

func (l *lexer) inner(text string) {
	l.word.WriteByte('(')
	l.word.WriteString(text)
	l.word.WriteByte(')')
	l.out = append(l.out, InShell(text, l.depth+1)...)
}

func (l *lexer) comment() {
	if end := strings.IndexByte(l.s[l.i:], '\n'); end >= 0 {
		l.i += end
		return
	}
	l.i = len(l.s)
}

// redirect skips the operator; the word behind it is no word of the command.
func (l *lexer) redirect() {
	if l.started && strings.Trim(l.word.String(), "0123456789") == "" { // the 2 of 2>
		l.word.Reset()
		l.started = false
	}
	l.endWord()
	from := l.i
	for l.i < len(l.s) && strings.IndexByte("<>&|-", l.s[l.i]) >= 0 {
		l.i++
	}
	l.drop = !strings.HasSuffix(l.s[from:l.i], "&-") // which closes, and takes no word
}
