package ssh

import (
	"context"
	"slices"
	"sync"

	"github.com/dayops/dayops/engine/conn"
)

// slots bounds the handshakes under way, per address and per way to it.
type slots struct {
	mu   sync.Mutex
	free map[string]chan struct{}
}

// take waits for a slot of every key. Keys are taken in order of their names,
// so that two callers never wait for each other.
func (s *slots) take(ctx context.Context, keys ...string) (free func(), err error) {
	slices.Sort(keys)
	var held []chan struct{}
	free = func() {
		for _, c := range held {
			<-c
		}
	}
	for _, key := range slices.Compact(keys) {
		s.mu.Lock()
		c := s.free[key]
		if c == nil {
			c = make(chan struct{}, conn.MaxHandshakes)
			s.free[key] = c
		}
		s.mu.Unlock()
		select {
		case c <- struct{}{}:
			held = append(held, c)
		case <-ctx.Done():
			free()
			return nil, ctx.Err()
		}
	}
	return free, nil
}

// slotKeys are what a handshake with r loads: the address, and the way there.
func slotKeys(r *route, via *bastion) []string {
	keys := []string{"to " + r.addr()}
	if via != nil {
		keys = append(keys, "via "+via.key)
	} else if r.proxyCommand != "" {
		keys = append(keys, "by "+r.proxyCommand)
	}
	return keys
}
