package view

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/dayops/dayops/engine/event"
)

// Bar shows on a terminal how many hosts have finished the step under way. It
// wraps the sink that prints lines, so that the two never write over each other.
type Bar struct {
	next  event.Sink
	w     io.Writer
	bar   *progressbar.ProgressBar
	hosts int // of the play, less those that are gone
	done  map[string]bool
	title string
}

// NewBar draws on w (standard error) and passes events on to next.
func NewBar(w io.Writer, next event.Sink) *Bar { return &Bar{next: next, w: w} }

// Emit takes the bar away, lets next print, and draws the bar again.
func (b *Bar) Emit(e event.Event) {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
	if e.Kind != event.Progress {
		b.next.Emit(e)
	}
	switch e.Kind {
	case event.Progress:
		b.ahead(e)
	case event.PlayStart:
		b.hosts = len(e.Hosts)
		b.start("connect")
	case event.Unreachable:
		b.mark(e.Host)
	case event.Connect:
		b.hosts = int(e.Done)
		b.bar = nil
	case event.StepStart:
		b.start(Line(e.Step))
	case event.Result, event.Forecast:
		b.mark(e.Host)
	case event.Recap, event.RunEnd:
		b.bar = nil
	}
	if b.bar != nil {
		_ = b.bar.RenderBlank()
	}
}

func (b *Bar) start(title string) {
	b.done, b.title = map[string]bool{}, title
	b.bar = progressbar.NewOptions(b.hosts,
		progressbar.OptionSetWriter(b.w),
		progressbar.OptionSetDescription(cut(title, 30)),
		progressbar.OptionSetWidth(20),
		progressbar.OptionShowCount(),
		progressbar.OptionSetItsString("hosts"),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(50*time.Millisecond),
		progressbar.OptionSetRenderBlankState(true),
	)
}

// ahead shows how far a forecast before a run has come.
func (b *Bar) ahead(e event.Event) {
	switch {
	case e.Text != event.LookingAhead:
	case e.Total > 0:
		b.hosts = int(e.Total)
		b.start(e.Text)
	case e.Host != "":
		b.mark(e.Host)
	case b.hosts > 0:
		b.start(e.Text + ": " + Line(e.Step))
	}
}

func (b *Bar) mark(host string) {
	if b.bar == nil || b.done[host] {
		return
	}
	b.done[host] = true
	if len(b.done) >= b.hosts {
		b.bar = nil
		return
	}
	_ = b.bar.Set(len(b.done))
}

func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
