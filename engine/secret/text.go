package secret

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// Text returns the lines of a text, each with its end, with Mask for what Line
// masks and for what only the lines around tell: bodies of private keys, and
// values that stand in lines of their own below a name that is secret. Lines
// keep their number. masked tells whether anything was masked.
func Text(text string) (lines []string, masked bool) {
	lines = slices.Collect(strings.Lines(text))
	m := masker{below: -1, manifest: kindSecret.MatchString(text)}
	for i, line := range lines {
		bare := strings.TrimRight(line, "\r\n")
		if !m.key && strings.Contains(bare, "-----END") && keyEnd.MatchString(bare) && !keyBegin.MatchString(bare) {
			m.key = true // its begin was cut off
			masked = maskAbove(lines[:i]) || masked
		}
		if out := m.line(bare); out != bare {
			lines[i], masked = out+line[len(bare):], true
		}
	}
	return lines, masked
}

// String is Text of s in one piece: for summaries, findings and words of commands.
func String(s string) string {
	lines, masked := Text(s)
	if !masked {
		return s
	}
	return strings.Join(lines, "")
}

// Args masks words of a command: values of options and assignments whose names
// say that they are secret, "--password x" too, and what String masks in a word.
func Args(argv []string) []string {
	out := slices.Clone(argv)
	for i, a := range argv {
		if m := assigned.FindStringSubmatch(a); m != nil && like(m[2]) && !plainValue(a[len(m[0]):]) {
			out[i] = m[0] + Mask
			continue
		}
		if i > 0 && a != "" && !strings.HasPrefix(a, "-") && strings.HasPrefix(argv[i-1], "--") && like(argv[i-1][2:]) {
			out[i] = Mask
			continue
		}
		out[i] = String(a)
	}
	return out
}

var (
	assigned = regexp.MustCompile(`^(-{0,2})([A-Za-z_][A-Za-z0-9_-]*)=`)

	keyBegin = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----`)
	keyEnd   = regexp.MustCompile(`-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----`)
	// keyBody is a line of a key as it stands in a file, or quoted in a program or JSON.
	keyBody   = regexp.MustCompile(`^[\s"'+#|>*]*[A-Za-z0-9+/=_-]+(\\[nr])*["',;+\s\\]*$`)
	keyHeader = regexp.MustCompile(`^\s*((Proc-Type|DEK-Info|Version|Comment|Hash|Charset): .*)?$`)

	// spaced are settings without a divider, as of redis: one word after the name.
	spaced = regexp.MustCompile(`^\s*([A-Za-z_][A-Za-z0-9_-]*)[ \t]+([^\s:=]\S*|"[^"]*"|'[^']*')\s*$`)
	// option is one of a command line, with its value in the next word.
	option = regexp.MustCompile(`--([A-Za-z][A-Za-z0-9-]*) +("[^"]*"|'[^']*'|[^\s-]\S*)`)
	// pairName and pairValue are two lines, as of a container's environment.
	pairName  = regexp.MustCompile(`^\s*(?:- )?\s*["']?name["']?\s*:\s*["']?([A-Za-z_][A-Za-z0-9_-]*)["']?,?\s*$`)
	pairValue = regexp.MustCompile(`^\s*["']?value["']?\s*:\s*(\S.*)$`)
	element   = regexp.MustCompile(`<([A-Za-z_][A-Za-z0-9_-]*)(?:\s[^<>]*)?>([^<>]+)</`)
	// kindSecret is in manifests of Kubernetes, whose dataOf then has secrets under any name.
	kindSecret = regexp.MustCompile(`(?m)^kind:\s*["']?Secret["']?\s*$`)
	dataKey    = regexp.MustCompile(`^\s+["']?[A-Za-z0-9._-]+["']?:\s*`)
	dataOf     = regexp.MustCompile(`^(data|stringData):\s*$`)
	// What is secret by itself: the password in a URL, a header's, a password's hash,
	// a key of age, and what may be a key in base64.
	urlWord    = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"'{}]*:([^\s/@"'{}]+)@`)
	authorized = regexp.MustCompile(`[Aa]uthorization["']?\s*[:=]\s*["']?[A-Za-z]+\s+([A-Za-z0-9._~+/=-]{4,})`)
	hash       = regexp.MustCompile(`()(\$(?:1|2[abxy]?|5|6|7|y|gy|apr1|argon2[id]*)\$[A-Za-z0-9./$=,+-]{20,})`)
	ageKey     = regexp.MustCompile(`()(AGE-SECRET-KEY-1[A-Z0-9]+)`)
	base64Key  = regexp.MustCompile(`()(LS0tLS1CRUdJTi[A-Za-z0-9+/=_-]{8,})`)
)

// masker goes through a text line by line.
type masker struct {
	key      bool // within a private key
	below    int  // how far the name is indented whose value stands below it; -1: none
	all      bool // of it, every line is the value
	values   bool // of it, values under any name are
	named    bool // the line before names what "value:" gives
	manifest bool // of a Secret
}

func (m *masker) line(bare string) string {
	if m.below < 0 && m.manifest && dataOf.MatchString(bare) {
		m.below, m.all, m.values = 0, false, true
		return bare
	}
	if m.below < 0 && !m.key && !m.named && !hints(bare) {
		return bare
	}
	if out, ok := m.keyLine(bare); ok {
		return out
	}
	if strings.TrimSpace(bare) == "" {
		return bare
	}
	if out, ok := m.under(bare); ok {
		return out
	}
	named := m.named
	if m.named = false; strings.Contains(bare, "name") {
		p := pairName.FindStringSubmatch(bare)
		m.named = p != nil && like(p[1])
	}
	if named {
		if v := pairValue.FindStringSubmatchIndex(bare); v != nil && !plainValue(bare[v[2]:]) {
			return bare[:v[2]] + Mask
		}
	}
	if s := spaced.FindStringSubmatchIndex(bare); s != nil && setting(bare[s[2]:s[3]]) && !plainValue(bare[s[4]:s[5]]) {
		return bare[:s[4]] + Mask + bare[s[5]:]
	}
	if all, ok := opens(bare); ok {
		m.below, m.all, m.values = indent(bare), all, false
	}
	return words(bare)
}

// keyLine masks what is a private key's, and tells whether the line was.
func (m *masker) keyLine(bare string) (string, bool) {
	from := 0
	if !m.key {
		if !strings.Contains(bare, "-----BEGIN") {
			return bare, false
		}
		at := keyBegin.FindStringIndex(bare)
		if at == nil {
			return bare, false
		}
		m.key, from = true, at[1]
	}
	if end := strings.Index(bare[from:], "-----END"); end >= 0 {
		m.key = false
		return bare[:from] + keepIndent(bare[from:from+end]) + bare[from+end:], true
	}
	switch {
	case from > 0:
		if rest := strings.Trim(bare[from:], " \t\"'`,;+)\\"); rest != "" && rest != "n" {
			return bare[:from] + Mask, true
		}
		return bare, true
	case keyBody.MatchString(bare):
		return keepIndent(bare), true
	case keyHeader.MatchString(bare):
		return bare, true
	}
	m.key = false // the begin was only spoken of
	return bare, false
}

// under masks a line that is the value of a name above, and tells whether it is.
func (m *masker) under(bare string) (string, bool) {
	if m.below < 0 {
		return bare, false
	}
	in := indent(bare)
	item := strings.HasPrefix(bare[in:], "- ")
	if in < m.below || in == m.below && (m.all || !item) {
		m.below = -1
		return bare, false
	}
	if m.all {
		return keepIndent(bare), true
	}
	if m.values {
		return dataLine(bare), true
	}
	if keyed.MatchString(bare) {
		return bare, false
	}
	if item {
		in += 2
	}
	if plainValue(bare[in:]) || reference(bare[in:]) {
		return bare, true
	}
	return bare[:in] + Mask, true
}

// dataLine masks a line of a manifest's data.
func dataLine(bare string) string {
	at := dataKey.FindStringIndex(bare)
	switch {
	case at == nil:
		return keepIndent(bare)
	case header.MatchString(bare[at[1]:]):
		return bare
	}
	return bare[:at[1]] + Mask
}

// opens tells whether a line ends in a secret name whose value stands below, and
// whether all that stands there is it.
func opens(bare string) (all, ok bool) {
	at := keyed.FindAllStringSubmatchIndex(bare, -1)
	if len(at) == 0 {
		return false, false
	}
	m := at[len(at)-1]
	v := bare[m[5]:]
	return strings.ContainsAny(v, "|>"), like(bare[m[2]:m[3]]) && strings.Contains(bare[m[4]:m[5]], ":") && header.MatchString(v)
}

// words masks within one line.
func words(bare string) string {
	bare, _ = Line(bare, 0)
	every := func(string, string) bool { return true }
	named := func(name, value string) bool { return like(name) && !plainValue(value) }
	bare = within(bare, "://", urlWord, 1, every)
	bare = within(bare, "uthorization", authorized, 1, every)
	bare = within(bare, "$", hash, 2, every)
	bare = within(bare, "AGE-", ageKey, 2, every)
	bare = within(bare, "LS0t", base64Key, 2, func(_, value string) bool { return privateKey(value) })
	bare = within(bare, "--", option, 2, named)
	return within(bare, "<", element, 2, named)
}

// within masks a group of what an expression finds, where is agrees to the first
// group and that one. All that it finds has stem in it, which is quicker to find.
func within(s, stem string, re *regexp.Regexp, group int, is func(name, value string) bool) string {
	if !strings.Contains(s, stem) {
		return s
	}
	for _, at := range slices.Backward(re.FindAllStringSubmatchIndex(s, -1)) {
		from, to := at[2*group], at[2*group+1]
		if is(s[at[2]:at[3]], s[from:to]) {
			s = s[:from] + Mask + s[to:]
		}
	}
	return s
}

// privateKey tells whether base64 is of a private key, or cannot be told.
func privateKey(text string) bool {
	head := text[:min(len(text), 64)/4*4]
	raw, err := base64.StdEncoding.DecodeString(strings.TrimRight(head, "="))
	if err != nil {
		return true
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	return strings.Contains(first, "PRIVATE") || !strings.HasSuffix(first, "-----") && !strings.Contains(first, "CERTIFICATE") && !strings.Contains(first, "PUBLIC")
}

// maskAbove masks the body of a key that ends below lines.
func maskAbove(lines []string) bool {
	const least = 16 // shorter lines are more likely something else
	masked := false
	for i := len(lines) - 1; i >= 0 && keyBody.MatchString(lines[i]) && len(strings.TrimSpace(lines[i])) >= least; i-- {
		bare := strings.TrimRight(lines[i], "\r\n")
		lines[i], masked = keepIndent(bare)+lines[i][len(bare):], true
	}
	return masked
}

// keepIndent is Mask where text was, if there was any.
func keepIndent(text string) string {
	if strings.TrimSpace(text) == "" {
		return text
	}
	return text[:indent(text)] + Mask
}

func indent(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }

// hints tells cheaply whether a line may hold anything secret.
func hints(bare string) bool {
	lower := strings.ToLower(bare)
	for _, stem := range []string{"pass", "pasw", "pw", "secret", "token", "key", "credential", "auth", "://", "$", "ls0tls1crudjti"} {
		if strings.Contains(lower, stem) {
			return true
		}
	}
	return false
}

// setting tells whether a name is one of a secret where a blank divides it from
// its value; nginx has proxy_pass.
func setting(name string) bool {
	lower := strings.ToLower(name)
	switch lower {
	case "requirepass", "masterauth", "rootpw", "bindpw":
		return true
	}
	return Name(lower) && !strings.HasSuffix(lower, "pass")
}
