package task

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/dayops/dayops/engine/strictyaml"
)

// docWidth is the width of a page of text.
const docWidth = 79

// Text is the page that `dayops doc NAME` shows: plain text of 79 columns
// that ends with a line break.
func (d *Definition) Text() string {
	var b strings.Builder
	b.WriteString(fill(d.Name+": "+d.Doc, "", ""))
	if d.Long != "" {
		b.WriteString("\n" + fill(d.Long, "", ""))
	}
	b.WriteString("\n")
	for _, p := range d.properties() {
		b.WriteString(fill(p[0]+": "+p[1], "", "    "))
	}
	fieldsText(&b, "Parameters", d.Fields(), "  ")
	if d.FreeForm != "" {
		b.WriteString("\n" + fill(fmt.Sprintf("Text right behind the name stands for %s: `%s: text`.", d.FreeForm, d.Name), "", ""))
	}
	fieldsText(&b, "Result, for register (beside changed, failed, skipped and msg)", d.ResultFields(), "  ")
	if d.Example != "" {
		b.WriteString("\nExample\n" + indent(d.Example, "  "))
	}
	return b.String()
}

// Markdown is the same page for a reference in files.
func (d *Definition) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", d.Name, d.Doc)
	if d.Long != "" {
		fmt.Fprintf(&b, "\n%s\n", d.Long)
	}
	b.WriteString("\n")
	for _, p := range d.properties() {
		fmt.Fprintf(&b, "- **%s**: %s\n", p[0], p[1])
	}
	if f := d.Fields(); len(f) > 0 {
		b.WriteString("\n## Parameters\n\n| name | type | default | meaning |\n|---|---|---|---|\n")
		parametersMarkdown(&b, "", f)
	}
	if f := d.ResultFields(); len(f) > 0 {
		b.WriteString("\n## Result\n\n| key | type | meaning |\n|---|---|---|\n")
		resultMarkdown(&b, "", f)
	}
	if d.Example != "" {
		fmt.Fprintf(&b, "\n## Example\n\n```yaml\n%s```\n", ended(d.Example))
	}
	return b.String()
}

// properties says what the engine makes of the task.
func (d *Definition) properties() [][2]string {
	zero := reflect.New(d.params).Elem().Interface()
	kind := map[Kind]string{
		State:  "state: a second run changes nothing",
		Action: "action: each run does something",
		Assert: "assert: it looks and judges, and changes nothing",
	}[d.kind(zero)]
	if d.kinds && d.kind(zero) == State {
		kind += "; with some parameters an action"
	}
	risk := d.risk(zero).String()
	if d.risks {
		risk += ", or what the parameters make of it"
	}
	out := [][2]string{{"kind", kind}, {"risk", risk}}
	if d.Cluster {
		out = append(out, [2]string{"reach", "planned once, for all hosts of the play together"})
	}
	if d.Control {
		out = append(out, [2]string{"host", "needs no connection"})
	}
	return out
}

func fieldsText(b *strings.Builder, title string, fields []strictyaml.Field, in string) {
	if len(fields) == 0 {
		return
	}
	if title != "" {
		b.WriteString("\n" + title + "\n")
	}
	for _, f := range fields {
		b.WriteString(fill(f.Name+" ("+traits(f)+")", in, in+"    "))
		if f.Doc != "" {
			b.WriteString(fill(f.Doc, in+"    ", in+"    "))
		}
		fieldsText(b, "", f.Fields, in+"    ")
	}
}

// traits are a field's type, whether it is needed, its default and its values.
func traits(f strictyaml.Field) string {
	parts := []string{f.Type}
	if f.Required {
		parts = append(parts, "required")
	}
	if f.Default != "" {
		parts = append(parts, "default "+f.Default)
	}
	if len(f.Enum) > 0 {
		parts = append(parts, "one of "+strings.Join(f.Enum, ", "))
	}
	s := strings.Join(parts, "; ")
	if len(f.Aliases) > 0 {
		s += "; also written " + strings.Join(f.Aliases, ", ")
	}
	return s
}

func parametersMarkdown(b *strings.Builder, prefix string, fields []strictyaml.Field) {
	for _, f := range fields {
		def := f.Default
		if f.Required {
			def = "required"
		}
		doc := f.Doc
		if len(f.Enum) > 0 {
			doc += " (one of " + strings.Join(f.Enum, ", ") + ")"
		}
		if len(f.Aliases) > 0 {
			doc += " (also written " + strings.Join(f.Aliases, ", ") + ")"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", prefix, f.Name, f.Type, cell(def), cell(doc))
		parametersMarkdown(b, prefix+f.Name+".", f.Fields)
	}
}

func resultMarkdown(b *strings.Builder, prefix string, fields []strictyaml.Field) {
	for _, f := range fields {
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, f.Name, f.Type, cell(f.Doc))
		resultMarkdown(b, prefix+f.Name+".", f.Fields)
	}
}

func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}

// fill breaks text into lines of docWidth, the first after head, the others after rest.
func fill(text, head, rest string) string {
	var b strings.Builder
	line, empty := head, true
	for _, w := range strings.Fields(text) {
		if !empty && len([]rune(line))+1+len([]rune(w)) > docWidth {
			b.WriteString(line + "\n")
			line, empty = rest, true
		}
		if !empty {
			line += " "
		}
		line += w
		empty = false
	}
	b.WriteString(line + "\n")
	return b.String()
}

func indent(text, by string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if line != "" {
			b.WriteString(by + line)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func ended(s string) string { return strings.TrimRight(s, "\n") + "\n" }
