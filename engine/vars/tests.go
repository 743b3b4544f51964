package vars

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// test is one entry of the table; a lax one also takes undefined values.
type test struct {
	do  testFunc
	lax bool
}

func allTests() map[string]test {
	isDefined := func(_ *machine, in any, _ *arguments) bool { _, u := in.(*undefined); return !u }
	t := map[string]test{
		"defined":   {isDefined, true},
		"undefined": {func(m *machine, in any, a *arguments) bool { return !isDefined(m, in, a) }, true},
	}
	for _, group := range []map[string]testFunc{typeTests(), valueTests(), textTests(), resultTests()} {
		for name, f := range group {
			t[name] = test{f, false}
		}
	}
	return t
}

func typeTests() map[string]testFunc {
	is := func(names ...string) testFunc {
		return func(_ *machine, in any, _ *arguments) bool { return slices.Contains(names, typeName(in)) }
	}
	return map[string]testFunc{
		"none": is("none"), "string": is("a string"), "boolean": is("a boolean"), "integer": is("an integer"), "float": is("a float"),
		"number": is("an integer", "a float", "a boolean"), "mapping": is("a dictionary"),
		"sequence": is("a list", "a string", "a dictionary"), "iterable": is("a list", "a string", "a dictionary"), "list": is("a list"),
		"true":   func(_ *machine, in any, _ *arguments) bool { return in == true },
		"false":  func(_ *machine, in any, _ *arguments) bool { return in == false },
		"truthy": func(m *machine, in any, a *arguments) bool { return isTrue(truth(m, in, a)) },
		"falsy":  func(m *machine, in any, a *arguments) bool { return !isTrue(truth(m, in, a)) },
	}
}

// truth reads texts like "yes" when convert_bool is asked for.
func truth(m *machine, in any, a *arguments) any {
	if s, ok := in.(string); a.bool("convert_bool", false) && ok {
		return filterBool(m, s, a)
	}
	return in
}

func valueTests() map[string]testFunc {
	cmp := func(ok func(c int) bool) testFunc {
		return func(m *machine, in any, a *arguments) bool {
			other := a.must("other")
			c, can := compare(in, other)
			if !can {
				panic(fmt.Errorf("cannot order %s and %s", typeName(in), typeName(other)))
			}
			return ok(c)
		}
	}
	eq := func(m *machine, in any, a *arguments) bool { return m.equal(in, a.must("other")) }
	ne := func(m *machine, in any, a *arguments) bool { return !eq(m, in, a) }
	lt, le := cmp(func(c int) bool { return c < 0 }), cmp(func(c int) bool { return c <= 0 })
	gt, ge := cmp(func(c int) bool { return c > 0 }), cmp(func(c int) bool { return c >= 0 })
	return map[string]testFunc{
		"eq": eq, "equalto": eq, "sameas": eq, "ne": ne,
		"lt": lt, "lessthan": lt, "le": le, "gt": gt, "greaterthan": gt, "ge": ge,
		"in":       func(m *machine, in any, a *arguments) bool { return m.contains(a.must("seq"), in) },
		"contains": func(m *machine, in any, a *arguments) bool { return m.contains(in, a.must("value")) },
		"even":     func(_ *machine, in any, _ *arguments) bool { return mustInt(in)%2 == 0 },
		"odd":      func(_ *machine, in any, _ *arguments) bool { return mustInt(in)%2 != 0 },
		"divisibleby": func(_ *machine, in any, a *arguments) bool {
			d := a.int("num", 0)
			if d == 0 {
				panic(fmt.Errorf("division by zero"))
			}
			return mustInt(in)%d == 0
		},
		"all": func(m *machine, in any, _ *arguments) bool {
			return !slices.ContainsFunc(m.items(in), func(v any) bool { return !isTrue(m.use(v)) })
		},
		"any": func(m *machine, in any, _ *arguments) bool {
			return slices.ContainsFunc(m.items(in), func(v any) bool { return isTrue(m.use(v)) })
		},
		"subset":   func(m *machine, in any, a *arguments) bool { return m.holdsAll(a.must("superset"), in) },
		"superset": func(m *machine, in any, a *arguments) bool { return m.holdsAll(in, a.must("subset")) },
	}
}

func (m *machine) holdsAll(whole, part any) bool {
	return len(m.setOp(part, m.again([]any{whole}, nil), "difference").([]any)) == 0
}

func mustInt(v any) int64 {
	i, ok := integer(v)
	if !ok {
		panic(fmt.Errorf("expected an integer, not %s", typeName(v)))
	}
	return i
}

func textTests() map[string]testFunc {
	re := func(anchor func(pattern string) string) testFunc {
		return func(m *machine, in any, a *arguments) bool {
			s := m.str(in)
			r := m.regex(anchor(a.str("pattern", "")), a.bool("ignorecase", false), a.bool("multiline", false))
			m.chargeMatch(r, s)
			return r.MatchString(s)
		}
	}
	search := re(func(p string) string { return p })
	return map[string]testFunc{
		"match":  re(func(p string) string { return `\A(?:` + p + `)` }),
		"search": search,
		"regex":  search,
		"lower": func(m *machine, in any, _ *arguments) bool {
			s := m.str(in)
			return s == strings.ToLower(s) && s != strings.ToUpper(s)
		},
		"upper": func(m *machine, in any, _ *arguments) bool {
			s := m.str(in)
			return s == strings.ToUpper(s) && s != strings.ToLower(s)
		},
		"version": testVersion, "version_compare": testVersion,
	}
}

// resultTests ask a registered result.
func resultTests() map[string]testFunc {
	flag := func(name string) testFunc {
		return func(m *machine, in any, _ *arguments) bool {
			d, ok := in.(*dict)
			if !ok {
				panic(fmt.Errorf("this test takes a registered result, not %s", typeName(in)))
			}
			return isTrue(m.use(d.vals[name]))
		}
	}
	not := func(f testFunc) testFunc {
		return func(m *machine, in any, a *arguments) bool { return !f(m, in, a) }
	}
	failed, changed, skipped, unreachable := flag("failed"), flag("changed"), flag("skipped"), flag("unreachable")
	return map[string]testFunc{
		"failed": failed, "failure": failed, "succeeded": not(failed), "success": not(failed), "successful": not(failed),
		"changed": changed, "change": changed, "skipped": skipped, "skip": skipped, "unreachable": unreachable, "reachable": not(unreachable),
	}
}

// testVersion compares as Ansible's default (LooseVersion): numbers by value,
// other parts as text.
func testVersion(m *machine, in any, a *arguments) bool {
	other, op := m.str(a.must("version")), a.str("operator", "eq")
	a.bool("strict", false)
	kind := a.str("version_type", "loose")
	if kind != "loose" {
		panic(fmt.Errorf("version_type %q is not supported, only loose", kind))
	}
	left, right := m.str(in), other
	switch {
	case left == "" || right == "":
		panic(fmt.Errorf("a version is empty"))
	case len(left) > maxVersion || len(right) > maxVersion:
		panic(fmt.Errorf("this is too long for a version"))
	}
	m.charge(len(left) + len(right))
	c := compareVersions(left, right)
	switch op {
	case "==", "=", "eq":
		return c == 0
	case "!=", "<>", "ne":
		return c != 0
	case "<", "lt":
		return c < 0
	case "<=", "le":
		return c <= 0
	case ">", "gt":
		return c > 0
	case ">=", "ge":
		return c >= 0
	}
	panic(fmt.Errorf("unknown operator %q", op))
}

const maxVersion = 200

var versionParts = regexp.MustCompile(`\d+|[a-z]+|[^\da-z.]+`)

func compareVersions(a, b string) int {
	x, y := versionParts.FindAllString(a, -1), versionParts.FindAllString(b, -1)
	for i := 0; i < len(x) && i < len(y); i++ {
		n, err1 := strconv.ParseUint(x[i], 10, 64)
		k, err2 := strconv.ParseUint(y[i], 10, 64)
		switch {
		case err1 == nil && err2 == nil && n != k:
			if n < k {
				return -1
			}
			return 1
		case err1 == nil && err2 == nil:
		case err1 == nil: // Python refuses to order these; a number counts as newer (1.0 > 1.rc)
			return 1
		case err2 == nil:
			return -1
		case x[i] != y[i]:
			return strings.Compare(x[i], y[i])
		}
	}
	return cmpOrdered(len(x), len(y))
}
