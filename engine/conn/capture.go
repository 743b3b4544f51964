package conn

import "fmt"

// Capture is an output stream as kept: all of it, or its start and its end.
type Capture struct {
	Head    []byte
	Tail    []byte // what follows Head, after Dropped bytes
	Dropped int64
}

// Bytes is the stream, with a line that counts the dropped bytes where there are any.
func (c Capture) Bytes() []byte {
	if c.Dropped == 0 {
		return append(c.Head[:len(c.Head):len(c.Head)], c.Tail...)
	}
	note := fmt.Sprintf("\n[%d bytes dropped]\n", c.Dropped)
	return append(append(c.Head[:len(c.Head):len(c.Head)], note...), c.Tail...)
}

// String is Bytes as text.
func (c Capture) String() string { return string(c.Bytes()) }

// Recorder is an io.Writer that makes a Capture. It never fails and never
// holds more than CaptureHead + 2*CaptureTail bytes.
type Recorder struct {
	head, tail []byte
	dropped    int64
}

// Write keeps p's bytes within the bounds.
func (r *Recorder) Write(p []byte) (int, error) {
	n := len(p)
	if room := CaptureHead - len(r.head); room > 0 {
		k := min(room, len(p))
		r.head = append(r.head, p[:k]...)
		p = p[k:]
	}
	if over := len(p) - CaptureTail; over > 0 {
		r.dropped += int64(len(r.tail) + over)
		r.tail, p = r.tail[:0], p[over:]
	}
	r.tail = append(r.tail, p...)
	// Cut only when twice full, so that small writes do not copy the tail each time.
	if over := len(r.tail) - CaptureTail; over > CaptureTail {
		r.dropped += int64(over)
		r.tail = append(r.tail[:0], r.tail[over:]...)
	}
	return n, nil
}

// Capture is what was kept so far.
func (r *Recorder) Capture() Capture {
	tail, dropped := r.tail, r.dropped
	if over := len(tail) - CaptureTail; over > 0 {
		tail, dropped = tail[over:], dropped+int64(over)
	}
	return Capture{Head: r.head, Tail: tail, Dropped: dropped}
}
