// Package words splits a command line into words the way a POSIX shell
// does, and expands nothing.
package words

import (
	"errors"
	"strings"
)

// Split gives the words of s. Quotes and backslashes mean what they mean to a
// POSIX shell; variables, globs and operators are plain text. A line break
// separates words as a blank does.
func Split(s string) ([]string, error) {
	var out []string
	var word strings.Builder
	started := false
	for i := 0; i < len(s); {
		switch c := s[i]; c {
		case ' ', '\t', '\n', '\r':
			if started {
				out = append(out, word.String())
				word.Reset()
				started = false
			}
			i++
		case '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				return nil, errors.New("a single quote (') is not closed")
			}
			word.WriteString(s[i+1 : i+1+end])
			started = true
			i += end + 2
		case '"':
			n, err := double(&word, s[i+1:])
			if err != nil {
				return nil, err
			}
			started = true
			i += n + 1
		case '\\':
			if i+1 == len(s) {
				return nil, errors.New(`a backslash (\) stands at the end`)
			}
			if s[i+1] != '\n' {
				word.WriteByte(s[i+1])
				started = true
			}
			i += 2
		default:
			word.WriteByte(c)
			started = true
			i++
		}
	}
	if started {
		out = append(out, word.String())
	}
	return out, nil
}

// double reads up to the closing double quote and returns how many bytes it took.
func double(word *strings.Builder, s string) (int, error) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1, nil
		case '\\':
			if i+1 == len(s) {
				break
			}
			switch s[i+1] {
			case '"', '\\', '$', '`':
				word.WriteByte(s[i+1])
				i++
			case '\n':
				i++
			default:
				word.WriteByte('\\')
			}
		default:
			word.WriteByte(s[i])
		}
	}
	return 0, errors.New(`a double quote (") is not closed`)
}
