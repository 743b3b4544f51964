package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/source"
)

// Match lists the hosts that p selects, each once, in the order of the pattern
// and, within a group, of the inventory. unmatched has a mistake, with the
// nearest name, for each term that names nothing at all: no host, no group, no
// host with that number. A term that names an empty group is not a mistake.
// "localhost" gives this machine also when no source lists it.
func (inv *Inventory) Match(p *Pattern) (hosts []string, unmatched []*source.Mistake) {
	chosen, plain := newHostSet(), false
	for _, op := range []rune{0, '&', '!'} {
		if op == '&' && !plain {
			chosen.add(inv.members["all"]) // only & and ! were given
		}
		for i := range p.terms {
			t := &p.terms[i]
			if t.op != op {
				continue
			}
			plain = plain || op == 0
			names, m := inv.term(t)
			if m != nil {
				unmatched = append(unmatched, m)
			}
			switch op {
			case 0:
				chosen.add(names)
			case '&':
				chosen.filter(names, true)
			case '!':
				chosen.filter(names, false)
			}
		}
	}
	return chosen.names, unmatched
}

// Limit keeps of hosts those that are also in limit, in the order of hosts.
func Limit(hosts, limit []string) []string {
	s := hostSet{names: slices.Clone(hosts)}
	s.filter(limit, true)
	return s.names
}

type hostSet struct {
	names []string
	has   map[string]bool
}

func newHostSet() *hostSet { return &hostSet{has: map[string]bool{}} }

func (s *hostSet) add(names []string) {
	for _, n := range names {
		if !s.has[n] {
			s.has[n] = true
			s.names = append(s.names, n)
		}
	}
}

func (s *hostSet) filter(names []string, keep bool) {
	in := make(map[string]bool, len(names))
	for _, n := range names {
		in[n] = true
	}
	s.names = slices.DeleteFunc(s.names, func(n string) bool { return in[n] != keep })
}

// term gives the hosts of one term without its ! or &.
func (inv *Inventory) term(t *term) ([]string, *source.Mistake) {
	if inv.hosts[t.name] != nil && !t.index && t.match == nil {
		return []string{t.name}, nil
	}
	set, found := newHostSet(), false
	if t.match == nil {
		if g := inv.groups[t.name]; g != nil {
			set.add(inv.members[t.name])
			found = true
		} else if inv.Has(t.name) {
			set.add([]string{t.name})
			found = true
		}
	} else {
		found = inv.glob(t, set)
	}
	if !found {
		return nil, t.mistake(inv.nothing(t), cmp.Or(source.DidYouMean(strings.Trim(t.name, "*?~^$"), inv.near(t)), whoThereIs))
	}
	if !t.index || len(set.names) == 0 {
		return set.names, nil
	}
	return t.slice(set.names)
}

// glob adds the hosts of matching groups, then matching hosts.
func (inv *Inventory) glob(t *term, set *hostSet) (found bool) {
	for _, g := range inv.groupOrder {
		if t.match.MatchString(g.Name) {
			set.add(inv.members[g.Name])
			found = true
		}
	}
	for _, name := range inv.members["all"] {
		if t.match.MatchString(name) {
			set.add([]string{name})
			found = true
		}
	}
	return found
}

func (t *term) slice(hosts []string) ([]string, *source.Mistake) {
	n := len(hosts)
	from, to := t.from, t.to+1
	if t.single {
		if from < 0 {
			from += n
		}
		if from < 0 || from >= n {
			return nil, t.mistake(fmt.Sprintf("there is no host number %d: %q has %d, counted from 0", t.from, t.name, n), "")
		}
		return hosts[from : from+1], nil
	}
	if t.toEnd || to > n {
		to = n
	}
	if from >= to {
		return nil, t.mistake(fmt.Sprintf("this range selects no host: %q has %d, counted from 0", t.name, n), "")
	}
	return hosts[from:to], nil
}

func (inv *Inventory) nothing(t *term) string {
	if t.match != nil {
		return fmt.Sprintf("no host or group matches %q", t.name)
	}
	return fmt.Sprintf("there is no host or group %q", t.name)
}

const whoThereIs = "dayops inventory --graph shows who there is"

// near lists the names that a person may have meant. With very
// many hosts only the groups are compared.
func (inv *Inventory) near(t *term) []string {
	names := inv.Groups()
	if hosts := inv.members["all"]; len(hosts) <= 20_000 {
		names = append(names, hosts...)
	}
	return names
}
