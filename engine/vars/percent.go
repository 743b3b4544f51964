package vars

import (
	"fmt"
	"strconv"
	"strings"
)

// percent is Python's % formatting for s, d, i, f, x, o, r, e, g and %%.
func (m *machine) percent(format string, args []any) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		end := i + 1
		for end < len(format) && strings.IndexByte("#0- +.123456789", format[end]) >= 0 {
			end++
		}
		if end >= len(format) || end-i > 12 {
			panic(fmt.Errorf("incomplete %% in the format"))
		}
		spec, verb := format[i:end], format[end]
		i = end
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		if len(args) == 0 {
			panic(fmt.Errorf("too few values for the format"))
		}
		b.WriteString(m.percentOne(spec, verb, m.use(args[0])))
		m.charge(1)
		args = args[1:]
	}
	if len(args) > 0 {
		panic(fmt.Errorf("too many values for the format"))
	}
	return b.String()
}

func (m *machine) percentOne(spec string, verb byte, v any) string {
	for _, part := range strings.FieldsFunc(spec, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(part); err != nil || n > 10_000 {
			panic(fmt.Errorf("a width in the format is too large"))
		}
	}
	f, isInt, ok := number(v)
	switch verb {
	case 's':
		return fmt.Sprintf(spec+"s", m.str(v))
	case 'r':
		return fmt.Sprintf(spec+"s", pyQuote(m.str(v)))
	case 'd', 'i', 'x', 'X', 'o':
		if !ok || verb != 'd' && verb != 'i' && !isInt {
			panic(fmt.Errorf("%%%c takes a number, not %s", verb, typeName(v)))
		}
		i, isI := integer(v)
		if !isI {
			i = int64(f)
		}
		if verb == 'i' {
			verb = 'd'
		}
		return fmt.Sprintf(spec+string(verb), i)
	case 'f', 'e', 'g':
		if !ok {
			panic(fmt.Errorf("%%%c takes a number, not %s", verb, typeName(v)))
		}
		return fmt.Sprintf(spec+string(verb), f)
	}
	panic(fmt.Errorf("unknown format %%%c", verb))
}
