package change

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"

	"github.com/dayops/dayops/engine/secret"
)

// maxDiff is the size up to which texts are compared line by line.
const maxDiff = 1 << 20

// unified is the diff of two texts under Ansible's labels. What secret.Text masks
// in either of them is masked in it: records, reviews and logs hold diffs.
func unified(path, old, new string) string {
	diff := udiff.Unified("before: "+path, "after: "+path, old, new)
	was, maskedWas := secret.Text(old)
	is, maskedIs := secret.Text(new)
	if !maskedWas && !maskedIs {
		return diff
	}
	return masked(diff, was, is)
}

var hunk = regexp.MustCompile(`^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@`)

// masked is a diff with the lines was and is, by their numbers, in place of its own.
func masked(diff string, was, is []string) string {
	var b strings.Builder
	from, to, within := 0, 0, false
	for line := range strings.Lines(diff) {
		if m := hunk.FindStringSubmatch(line); m != nil {
			from, _ = strconv.Atoi(m[1])
			to, _ = strconv.Atoi(m[2])
			within = true
		}
		switch {
		case !within:
		case line[0] == '-':
			line = shown(line, was, from)
			from++
		case line[0] == '+':
			line = shown(line, is, to)
			to++
		case line[0] == ' ':
			other := shown(line, is, to)
			if line = shown(line, was, from); !strings.Contains(line, secret.Mask) {
				line = other
			}
			from, to = from+1, to+1
		}
		b.WriteString(line)
	}
	return b.String()
}

// shown is a line of a diff with the text of line n, from 1; the diff ends each.
func shown(line string, lines []string, n int) string {
	text := lines[n-1]
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return line[:1] + text
}

// Secretive tells whether what c does holds something that Diff or Summary
// masks: who has a sum of it could try guesses.
func Secretive(c Change) bool {
	switch c := c.(type) {
	case *Write:
		return textual(c.Was) || textual(c.After.Bytes)
	case *Exec:
		return textual(c.Stdin) || !slices.Equal(secret.Args(c.Argv), c.Argv) || envSecretive(c.Env) ||
			slices.ContainsFunc(c.Undo, func(u *Exec) bool { return u != nil && Secretive(u) })
	case *Bracket:
		return slices.ContainsFunc(slices.Concat(c.Do, c.Then), Secretive)
	}
	return false
}

func textual(content []byte) bool {
	if !isText(content) {
		return false
	}
	_, masked := secret.Text(string(content))
	return masked
}

func envSecretive(env map[string]string) bool {
	for k, v := range env {
		if secret.String(k+"="+v) != k+"="+v {
			return true
		}
	}
	return false
}

func isText(b []byte) bool {
	return len(b) <= maxDiff && utf8.Valid(b) && bytes.IndexByte(b, 0) < 0
}

// sizes stands for a diff of what is not text or too large.
func sizes(what string, exists bool, old, new int64) string {
	if !exists {
		return fmt.Sprintf("%s, %d bytes\n", what, new)
	}
	return fmt.Sprintf("%s, %d bytes -> %d bytes\n", what, old, new)
}
