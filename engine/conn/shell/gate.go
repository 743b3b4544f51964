package shell

import (
	"bytes"
	"io"
	"sync"
)

// heldMost bounds what is kept of an output before the mark.
const heldMost = 16 << 10

// gate is the start of one output stream: it holds back everything up to the
// mark and passes on what follows. It counts the prompts that it sees before.
type gate struct {
	mark   []byte        // "" passes everything
	prompt []byte        // "" looks for none
	next   io.Writer     // receives what follows the mark
	opened chan struct{} // closed at the mark
	asked  chan struct{} // one receive per prompt, at most two

	mu      sync.Mutex
	held    []byte
	scanned int // held[:scanned] has no prompt that was not counted
	passing bool
}

func newGate(mark, prompt string, next io.Writer) *gate {
	return &gate{
		mark: []byte(mark + "\n"), prompt: []byte(prompt), next: next,
		opened: make(chan struct{}), asked: make(chan struct{}, 2),
	}
}

// Write never fails: a stream is drained whatever becomes of it.
func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.passing {
		_, _ = g.next.Write(p)
		return len(p), nil
	}
	g.held = append(g.held, p...)
	g.countPrompts()
	if i := bytes.Index(g.held, g.mark); i >= 0 {
		rest := g.held[i+len(g.mark):]
		g.held = g.held[:i]
		g.passing = true
		close(g.opened)
		if len(rest) > 0 {
			_, _ = g.next.Write(rest)
		}
		return len(p), nil
	}
	if over := len(g.held) - heldMost; over > heldMost {
		g.held = append(g.held[:0], g.held[over:]...)
		g.scanned = max(0, g.scanned-over)
	}
	return len(p), nil
}

func (g *gate) countPrompts() {
	if len(g.prompt) == 0 {
		return
	}
	for {
		i := bytes.Index(g.held[g.scanned:], g.prompt)
		if i < 0 {
			g.scanned = max(g.scanned, len(g.held)-len(g.prompt)+1)
			return
		}
		g.scanned += i + len(g.prompt)
		select {
		case g.asked <- struct{}{}:
		default: // two are enough to know
		}
	}
}

// before is what was held back.
func (g *gate) before() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return string(g.held)
}
