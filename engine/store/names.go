package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const stampForm = "2006-01-02T150405Z"

var (
	setName      = regexp.MustCompile(`^(\d{4}-\d\d-\d\dT\d{6}Z)(?:-(\d{1,4}))?$`)
	artefactName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`)
)

// hostFolder is a plain name for a host: what is not a letter, a digit or ._-
// is percent-encoded, so that two hosts never share a folder. A long name ends in its hash.
func hostFolder(host string) (string, error) {
	if host == "" {
		return "", fmt.Errorf("a backup set needs a host name")
	}
	var b strings.Builder
	for i := range len(host) {
		c := host[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' && i > 0
		if plain {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	name := b.String()
	if len(name) > 200 {
		sum := sha256.Sum256([]byte(host))
		name = name[:150] + "%" + hex.EncodeToString(sum[:16])
	}
	return name, nil
}

// parseSetName reads a folder name that Begin made; n tells sets of one second apart.
func parseSetName(name string) (at time.Time, n int, ok bool) {
	m := setName.FindStringSubmatch(name)
	if m == nil {
		return at, 0, false
	}
	at, err := time.Parse(stampForm, m[1])
	if err != nil {
		return at, 0, false
	}
	n = 1
	if m[2] != "" {
		n, _ = strconv.Atoi(m[2])
	}
	return at, n, true
}

// EncodePaths makes an item's path and target fit for JSON. If both are UTF-8
// they stay as they are; else the bytes of both are percent-encoded, and the
// bool is true.
func EncodePaths(p, target string) (string, string, bool) {
	if utf8.ValidString(p) && utf8.ValidString(target) {
		return p, target, false
	}
	return percent(p), percent(target), true
}

func percent(p string) string {
	var b strings.Builder
	for i := range len(p) {
		if c := p[i]; c < 0x21 || c == '%' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// DecodePath takes EncodePaths back, one path at a time.
func DecodePath(p string, encoded bool) (string, error) {
	if !encoded {
		return p, nil
	}
	return url.PathUnescape(p)
}
