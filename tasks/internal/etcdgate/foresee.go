package etcdgate

import (
	"slices"

	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/words"
)

// foresee remembers what a dry run has agreed to.
func (g *Gate) foresee(host string, e effect, cl *cluster) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e.power == halts {
		g.halted[host] = true
	}
	for _, s := range e.members {
		if m, ok := cl.named(s); ok && s.verb == words.Remove {
			g.removed[m.ID] = true
		}
	}
}

// without leaves out what the dry run has removed: to stop it costs nothing.
func (g *Gate) without(cl *cluster) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if cl.own != nil && g.removed[cl.own.ID] {
		cl.own = nil
	}
	cl.members = slices.DeleteFunc(slices.Clone(cl.members), func(m etcd.Member) bool { return g.removed[m.ID] }) // own points into it
}
