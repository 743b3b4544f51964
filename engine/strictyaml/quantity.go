package strictyaml

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/source"
)

// Duration is a length of time: a plain number of seconds (30, "30", 1.5), or
// numbers with units: "30s", "5m", "1h30m", "2d". Never negative.
type Duration time.Duration

// TypeName is the word in documentation.
func (Duration) TypeName() string { return "duration" }

// Std is the value for the standard library.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String is Go's form: 1h30m0s.
func (d Duration) String() string { return time.Duration(d).String() }

const maxSeconds = 100 * 365 * 24 * 3600

var durationPart = regexp.MustCompile(`^(\d+(?:\.\d+)?)(ms|s|m|h|d)`)

// ParseDuration reads the text forms that Duration describes.
func ParseDuration(s string) (Duration, error) {
	s = strings.TrimSpace(s)
	bad := &source.Mistake{Text: strconv.Quote(s) + " is not a duration", Hint: "write seconds (30) or a text like 30s, 5m, 1h30m, 2d"}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return seconds(f, bad)
	}
	units := map[string]float64{"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
	var total float64
	rest := s
	for rest != "" {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, bad
		}
		f, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, bad
		}
		total += f * units[m[2]]
		rest = rest[len(m[0]):]
	}
	if s == "" {
		return 0, bad
	}
	return seconds(total, bad)
}

func seconds(f float64, bad *source.Mistake) (Duration, error) {
	if math.IsNaN(f) || f < 0 || f > maxSeconds {
		return 0, bad
	}
	return Duration(math.Round(f * float64(time.Second))), nil
}

// DecodeScalar takes a number of seconds or text.
func (d *Duration) DecodeScalar(n *Node) error {
	if _, ok := n.Value.(bool); ok {
		return fmt.Errorf("must be a duration, got %s", describe(n))
	}
	text := n.Raw
	if i, ok := n.Value.(int64); ok {
		text = strconv.FormatInt(i, 10)
	}
	v, err := ParseDuration(text)
	*d = v
	return err
}

// Size is a number of bytes: a plain number, or one with a unit: "512K", "10M"
// and "1GiB" are powers of 1024, "10MB" powers of 1000.
type Size int64

// TypeName is the word in documentation.
func (Size) TypeName() string { return "size" }

var sizeText = regexp.MustCompile(`^(\d+)\s*(?:([kKMGTP])(i?B|)|B)?$`)

// ParseSize reads the text forms that Size describes.
func ParseSize(s string) (Size, error) {
	s = strings.TrimSpace(s)
	bad := &source.Mistake{Text: strconv.Quote(s) + " is not a size", Hint: "write bytes (1048576) or a text like 512K, 10M, 1GiB"}
	m := sizeText.FindStringSubmatch(s)
	if m == nil {
		return 0, bad
	}
	v, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, bad
	}
	unit := int64(1024)
	if m[3] == "B" {
		unit = 1000
	}
	if m[2] != "" {
		for range strings.Index("KMGTP", strings.ToUpper(m[2])) + 1 {
			if v > math.MaxInt64/unit {
				return 0, bad
			}
			v *= unit
		}
	}
	return Size(v), nil
}

// DecodeScalar takes a number of bytes or text.
func (s *Size) DecodeScalar(n *Node) error {
	if _, ok := n.Value.(bool); ok {
		return fmt.Errorf("must be a size, got %s", describe(n))
	}
	text := n.Raw
	if i, ok := n.Value.(int64); ok {
		text = strconv.FormatInt(i, 10)
	}
	v, err := ParseSize(text)
	*s = v
	return err
}
