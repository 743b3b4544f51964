package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/guard"
)

// limits tells how long dayops waits for what, from the constants that hold.
func limits() string {
	var b strings.Builder
	for _, l := range []struct {
		what string
		how  string
	}{
		{"connect", short(conn.DialLimit)},
		{"handshake and login", short(conn.HandshakeLimit)},
		{"keepalive", fmt.Sprintf("every %s, gone after %d unanswered", short(conn.KeepaliveEvery), conn.KeepaliveMiss)},
		{"facts", short(engine.FactsLimit)},
		{"one look at a host", short(engine.ProbeLimit)},
		{"one change", short(engine.ChangeLimit) + " (`timeout:` of a task)"},
		{"a gate's judgement", short(engine.GateLimit)},
		{"health after a change", short(engine.ReleaseLimit) + " (a gate decides)"},
		{"lock of a host", fmt.Sprintf("expires %s after the last sign of its run", short(guard.Expiry))},
		{"after a second Ctrl-C", short(engine.AbortGrace)},
	} {
		fmt.Fprintf(&b, "  %-22s %s\n", l.what, l.how)
	}
	fmt.Fprintf(&b, "At most %d handshakes at once per address and per jump host, %d sessions per connection.\n", conn.MaxHandshakes, conn.MaxSessions)
	return b.String()
}

// short drops the zero parts of a duration: 30m, not 30m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
