package labtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// Write is one put that a member has acknowledged.
type Write struct {
	Key, Value string
	Acked      time.Time
	Revision   int64
	Via        string // host
}

// Writer puts a new key every few milliseconds, through any member that answers.
type Writer struct {
	e      *Etcd
	prefix string
	stop   context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	writes []Write
	begun  time.Time
	done   time.Time
	failed map[string]int // what went wrong, how often
}

// WriterPrefix stands before every key of a Writer.
const WriterPrefix = "/writer/"

// writeEvery leaves most of a small machine to the cluster itself.
const writeEvery = 20 * time.Millisecond

// StartWriter begins to write; Stop, or the test's end, ends it. It returns
// after the first acknowledged write.
func (e *Etcd) StartWriter(t testing.TB) *Writer {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	w := &Writer{e: e, prefix: fmt.Sprintf("%s%d/", WriterPrefix, time.Now().UnixNano()), stop: stop, ended: make(chan struct{}), begun: time.Now(), failed: map[string]int{}}
	go w.run(ctx)
	t.Cleanup(func() { w.end() })
	for end := time.Now().Add(retryLimit); w.Count() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no write is acknowledged: %v", w.failures())
		}
	}
	return w
}

func (w *Writer) run(ctx context.Context) {
	defer close(w.ended)
	for n := 0; ctx.Err() == nil; n++ {
		h := w.e.current()
		key, value := fmt.Sprintf("%s%08d", w.prefix, n), fmt.Sprintf("%d via %s", n, h.Name)
		once, cancel := context.WithTimeout(ctx, askLimit)
		var got struct {
			Header struct {
				Revision int64 `json:",string"`
			}
		}
		err := w.e.ask(once, h, "/v3/kv/put", map[string][]byte{"key": []byte(key), "value": []byte(value)}, &got)
		cancel()
		w.mu.Lock()
		if err == nil {
			w.writes = append(w.writes, Write{key, value, time.Now(), got.Header.Revision, h.Name})
		} else if ctx.Err() == nil {
			w.failed[h.Name+": "+err.Error()]++
		}
		w.mu.Unlock()
		if err != nil {
			w.e.loginAgain(ctx, err)
			w.e.next(h)
		}
		select {
		case <-ctx.Done():
		case <-time.After(writeEvery):
		}
	}
}

// Count is how many writes were acknowledged so far.
func (w *Writer) Count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.writes)
}

func (w *Writer) failures() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]int{}
	for k, v := range w.failed {
		out[k] = v
	}
	return out
}

func (w *Writer) end() {
	w.stop()
	<-w.ended
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done.IsZero() {
		w.done = time.Now()
	}
}

// Stop ends the writing. It returns what was acknowledged, the longest time
// without an acknowledgement, and when that began.
func (w *Writer) Stop() (writes []Write, pause time.Duration, since time.Time) {
	w.end()
	last := w.begun
	see := func(at time.Time) {
		if d := at.Sub(last); d > pause {
			pause, since = d, last
		}
		last = at
	}
	for _, x := range w.writes {
		see(x.Acked)
	}
	see(w.done)
	return w.writes, pause, since
}

// MustKeep stops the writer and fails unless every acknowledged write is in the
// cluster with its value, and the longest pause was no longer than most (0 asks
// for nothing).
func (w *Writer) MustKeep(t testing.TB, most time.Duration) {
	t.Helper()
	w.end()
	w.compare(t, w.e.V3(t, w.prefix), most)
	_, pause, since := w.Stop()
	t.Logf("%d writes acknowledged, longest pause %s at %s; failures: %v", w.Count(), pause.Round(time.Millisecond), since.Format(time.StampMilli), w.failures())
}

func (w *Writer) compare(t interface{ Errorf(string, ...any) }, have map[string]KV, most time.Duration) {
	writes, pause, _ := w.Stop()
	lost := 0
	for _, x := range writes {
		if have[x.Key].Value != x.Value {
			if lost++; lost <= 5 {
				t.Errorf("lost: %s, acknowledged at %s by %s at revision %d", x.Key, x.Acked.Format(time.StampMilli), x.Via, x.Revision)
			}
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged writes are lost", lost, len(writes))
	}
	if most > 0 && pause > most {
		t.Errorf("nothing was acknowledged for %s, at most %s is allowed", pause, most)
	}
}

// LongestPause is what issue 4 allows a cluster of three or more to pause.
const LongestPause = 2*ElectionTimeout + time.Second
