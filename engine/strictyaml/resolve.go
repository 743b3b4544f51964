package strictyaml

import (
	"math"
	"strconv"
	"strings"
)

// resolve gives a plain (unquoted) scalar the type that PyYAML, and so
// Ansible, gives it: nil, bool, int64, float64 or string. Numbers too large
// for int64 stay strings.
func resolve(s string) any {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return true
	case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return false
	case ".nan", ".NaN", ".NAN":
		return math.NaN()
	case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF":
		return math.Inf(1)
	case "-.inf", "-.Inf", "-.INF":
		return math.Inf(-1)
	}
	if c := s[0]; c != '+' && c != '-' && c != '.' && (c < '0' || c > '9') {
		return s
	}
	if v, ok := resolveInt(s); ok {
		return v
	}
	if v, ok := resolveFloat(s); ok {
		return v
	}
	return s
}

func resolveInt(s string) (int64, bool) {
	digits, base := strings.TrimPrefix(strings.TrimPrefix(s, "+"), "-"), 10
	if len(s)-len(digits) > 1 {
		return 0, false
	}
	neg := strings.HasPrefix(s, "-")
	switch {
	case digits == "":
		return 0, false
	case strings.HasPrefix(digits, "0x"):
		digits, base = digits[2:], 16
	case strings.HasPrefix(digits, "0b"):
		digits, base = digits[2:], 2
	case strings.HasPrefix(digits, "0o"):
		digits, base = digits[2:], 8
	case len(digits) > 1 && digits[0] == '0':
		digits, base = digits[1:], 8
	case digits[0] == '_':
		return 0, false
	}
	underscores := digits
	if digits = strings.ReplaceAll(digits, "_", ""); digits == "" && base == 8 && underscores != "" {
		digits = "0"
	}
	if digits == "" || strings.ContainsAny(digits, "+-") {
		return 0, false
	}
	if neg {
		digits = "-" + digits
	}
	v, err := strconv.ParseInt(digits, base, 64)
	return v, err == nil
}

// resolveFloat follows PyYAML: a dot is needed, and an exponent needs a sign.
func resolveFloat(s string) (float64, bool) {
	body := strings.TrimLeft(s, "+-")
	if len(s)-len(body) > 1 {
		return 0, false
	}
	mantissa, exponent := body, ""
	if i := strings.IndexAny(body, "eE"); i >= 0 {
		mantissa, exponent = body[:i], body[i+1:]
		if len(exponent) < 2 || exponent[0] != '+' && exponent[0] != '-' || !allDigits(exponent[1:], false) {
			return 0, false
		}
	}
	whole, fraction, dot := strings.Cut(mantissa, ".")
	switch {
	case !dot || !allDigits(whole, true) || !allDigits(fraction, true):
		return 0, false
	case whole == "" && (fraction == "" || fraction[0] == '_' || body != s):
		return 0, false
	case whole != "" && whole[0] == '_':
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return v, err == nil
}

func allDigits(s string, underscore bool) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && !(underscore && c == '_') {
			return false
		}
	}
	return true
}
