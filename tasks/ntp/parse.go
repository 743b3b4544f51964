package ntp

import (
	"encoding/csv"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Answer is yes, no, or "" where a host does not say.
type Answer string

const (
	Yes Answer = "yes"
	No  Answer = "no"
)

// Tracking is what a daemon says about its work.
type Tracking struct {
	Synced  Answer
	Source  string        // name or address of the server in use
	Stratum int           // of this host; 0 is not known
	Offset  time.Duration // this host's clock from its source's; the sign is not told
	Known   bool          // whether Offset is
}

// parseBus reads what busctl get-property prints for NTP and NTPSynchronized: "b true" a line.
func parseBus(out string) (enabled, synced Answer, ok bool) {
	word := map[string]Answer{"b true": Yes, "b false": No}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 {
		return "", "", false
	}
	enabled, synced = word[strings.TrimSpace(lines[0])], word[strings.TrimSpace(lines[1])]
	return enabled, synced, enabled != "" && synced != ""
}

// parseStatus reads timedatectl's status in all its wordings: systemd to 229,
// 230 to 234, 235 to 238, from 239 on.
func parseStatus(out string) (enabled, synced Answer) {
	for line := range strings.Lines(out) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		var a Answer
		switch strings.TrimSpace(value) {
		case "yes", "active":
			a = Yes
		case "no", "inactive":
			a = No
		}
		switch strings.TrimSpace(key) {
		case "NTP enabled", "Network time on", "systemd-timesyncd.service active", "NTP service":
			enabled = a
		case "NTP synchronized", "System clock synchronized":
			synced = a
		}
	}
	return enabled, synced
}

// localID is chronyd's reference when `local` lets it serve its own time.
const (
	localID  = "7F7F0101"
	ownClock = "its own clock"
)

// parseChrony reads `chronyc -n -c tracking`: one line of CSV with reference
// id, address, stratum, reference time, offset, ..., leap status.
func parseChrony(out string) (Tracking, bool) {
	r, err := csv.NewReader(strings.NewReader(out)).Read()
	if err != nil || len(r) < 14 {
		return Tracking{}, false
	}
	stratum, err1 := strconv.Atoi(r[2])
	offset, ok := seconds(r[4], time.Second)
	if err1 != nil || !ok || stratum < 0 || stratum > 16 {
		return Tracking{}, false
	}
	t := Tracking{Synced: No, Stratum: stratum, Source: word(r[1])}
	if r[0] == localID {
		t.Source = ownClock
	}
	if leap := r[13]; leap != "Not synchronised" && r[0] != "00000000" && stratum > 0 && stratum < 16 {
		t.Synced, t.Offset, t.Known = Yes, offset, true
	}
	return t, true
}

// parseChronyText reads `chronyc -n tracking`, for chronyc before -c.
func parseChronyText(out string) (Tracking, bool) {
	v := fields(out)
	stratum, err := strconv.Atoi(v["Stratum"])
	if err != nil || stratum < 0 || stratum > 16 {
		return Tracking{}, false
	}
	t := Tracking{Synced: No, Stratum: stratum}
	if _, in, ok := strings.Cut(v["Reference ID"], "("); ok {
		t.Source = word(strings.TrimSuffix(in, ")"))
	}
	if strings.HasPrefix(v["Reference ID"], localID) {
		t.Source = ownClock
	}
	// 0.000006523 seconds slow of NTP time
	number, _, _ := strings.Cut(v["System time"], " ")
	offset, ok := seconds(number, time.Second)
	if leap := v["Leap status"]; ok && leap != "" && leap != "Not synchronised" && stratum > 0 && stratum < 16 {
		t.Synced, t.Offset, t.Known = Yes, offset, true
	}
	return t, true
}

// parsePeers reads `ntpq -pn`: the peer marked * (or o, with a pulse) is in use.
func parsePeers(out string) (Tracking, bool) {
	header := false
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) > 1 && f[0] == "remote" {
			header = true
			continue
		}
		if !header || len(line) == 0 || line[0] != '*' && line[0] != 'o' {
			continue
		}
		f = strings.Fields(line[1:])
		if len(f) < 10 {
			continue
		}
		stratum, err := strconv.Atoi(f[2])
		offset, ok := seconds(f[8], time.Millisecond)
		if err != nil || !ok || stratum < 0 || stratum > 15 {
			return Tracking{}, false
		}
		return Tracking{Synced: Yes, Source: word(f[0]), Stratum: stratum + 1, Offset: offset, Known: true}, true
	}
	return Tracking{Synced: No}, header
}

// parseTimesync reads `timedatectl timesync-status`, systemd 239 and later.
func parseTimesync(out string) (Tracking, bool) {
	v := fields(out)
	server := v["Server"]
	if server == "" {
		return Tracking{}, false
	}
	t := Tracking{Source: word(strings.Fields(server)[0])}
	if n, err := strconv.Atoi(v["Stratum"]); err == nil && n > 0 && n < 16 {
		t.Stratum = n + 1
	}
	if d, ok := timespan(v["Offset"]); ok {
		t.Offset, t.Known = d, true
	}
	return t, true
}

// fields reads "   Key: value" lines; the first of a key counts.
func fields(out string) map[string]string {
	v := map[string]string{}
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			key = strings.TrimSpace(key)
			if _, twice := v[key]; !twice {
				v[key] = strings.TrimSpace(value)
			}
		}
	}
	return v
}

// seconds reads a number in a unit, without its sign.
func seconds(s string, unit time.Duration) (time.Duration, bool) {
	f, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(s), "+"), 64)
	f = math.Abs(f) * float64(unit)
	if err != nil || math.IsNaN(f) || f > float64(math.MaxInt64/2) {
		return 0, false
	}
	return time.Duration(math.Round(f)), true
}

var spanPart = regexp.MustCompile(`^(\d+(?:\.\d+)?)(us|µs|μs|ms|s|min|h|d|day|days|w|month|y)(?:\s+|$)`)

// timespan reads systemd's way to print a time: "-2.512ms", "1min 3.5s", "0".
func timespan(s string) (time.Duration, bool) {
	s = strings.TrimLeft(strings.TrimSpace(s), "+-")
	if s == "0" {
		return 0, true
	}
	units := map[string]time.Duration{"us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond, "ms": time.Millisecond,
		"s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
		"w": 7 * 24 * time.Hour, "month": 30 * 24 * time.Hour, "y": 365 * 24 * time.Hour}
	var sum time.Duration
	for s != "" {
		m := spanPart.FindStringSubmatch(s)
		if m == nil {
			return 0, false
		}
		d, ok := seconds(m[1], units[m[2]])
		if sum += d; !ok || sum < 0 {
			return 0, false
		}
		s = s[len(m[0]):]
	}
	return sum, sum > 0
}

// word keeps what an address or a name can have: it comes from the host.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return -1
	}, s)
	return s[:min(len(s), 64)]
}
