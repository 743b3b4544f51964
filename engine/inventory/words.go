package inventory

import "strings"

// word is one word of a line, unquoted, with the column that each of its
// characters came from.
type word struct {
	text []rune
	cols []int
	cut  int // column of a # that ended the word, 0 when none
}

func (w word) String() string { return string(w.text) }

// wordError is a quote or backslash that is never finished.
type wordError struct {
	col  int
	text string
}

func (e *wordError) Error() string { return e.text }

// SplitWords splits text as a POSIX shell would split words and take quotes
// away, without expanding anything: what Ansible does with ansible_ssh_common_args.
func SplitWords(text string) ([]string, error) {
	words, err := splitWords([]rune(text), 1, false)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.String()
	}
	return out, nil
}

// splitWords follows Python's shlex.split. With comments, a # outside quotes
// ends the line, also in the middle of a word. The first character of line
// stands in column col.
func splitWords(line []rune, col int, comments bool) ([]word, error) {
	var words []word
	var cur *word
	put := func(i int) {
		if cur == nil {
			cur = &word{}
		}
		if i >= 0 {
			cur.text, cur.cols = append(cur.text, line[i]), append(cur.cols, col+i)
		}
	}
	flush := func() {
		if cur != nil {
			words = append(words, *cur)
			cur = nil
		}
	}
	for i := 0; i < len(line); i++ {
		switch r := line[i]; {
		case strings.ContainsRune(" \t\r\n", r):
			flush()
		case r == '#' && comments:
			if cur != nil {
				cur.cut = col + i
			}
			flush()
			return words, nil
		case r == '\\':
			if i+1 == len(line) {
				return nil, &wordError{col + i, `a backslash at the end of the line escapes nothing`}
			}
			i++
			put(i)
		case r == '\'' || r == '"':
			put(-1) // "" is a word too
			end := quoted(line, i, put)
			if end < 0 {
				return nil, &wordError{col + i, "this quote is never closed"}
			}
			i = end
		default:
			put(i)
		}
	}
	flush()
	return words, nil
}

// quoted puts the text of the quotation that opens at i and returns the index
// of its end, or -1. In double quotes a backslash escapes itself and the quote.
func quoted(line []rune, i int, put func(int)) int {
	quote := line[i]
	for i++; i < len(line); i++ {
		switch {
		case line[i] == quote:
			return i
		case quote == '"' && line[i] == '\\' && i+1 < len(line) && (line[i+1] == '"' || line[i+1] == '\\'):
			i++
		}
		put(i)
	}
	return -1
}
