// Package clock compares hosts' clocks as they were measured from here.
package clock

import (
	"fmt"
	"time"
)

// Reading is one host's clock: Skew before ours, right within Error.
type Reading struct {
	Host        string
	Skew, Error time.Duration
}

// Spread is how far clocks are apart.
type Spread struct {
	Sure        time.Duration // beyond what the errors of measuring explain
	Seen, Error time.Duration // the largest difference as measured, and its error
	Early, Late string        // hosts of Sure
}

// Compare looks at every pair.
func Compare(all []Reading) (s Spread) {
	for _, a := range all {
		for _, b := range all {
			d, e := a.Skew-b.Skew, a.Error+b.Error
			if d-e > s.Sure {
				s.Sure, s.Early, s.Late = d-e, b.Host, a.Host
			}
			if d > s.Seen {
				s.Seen, s.Error = d, e
			}
		}
	}
	return s
}

// Span prints a time with two or three digits that count.
func Span(d time.Duration) string {
	switch d = d.Abs(); {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d)
	case d < 100*time.Microsecond:
		return fmt.Sprintf("%.1f us", float64(d)/1e3)
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	case d < 2*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
