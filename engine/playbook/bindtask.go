package playbook

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/strictyaml"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/engine/vars"
)

func taskName(key string) string {
	return strings.TrimPrefix(strings.TrimPrefix(key, "ansible.builtin."), "ansible.legacy.")
}

// taskOf finds the one key of a step that is its task.
func (b *binder) taskOf(s *Step) *task.Definition {
	var tasks, others []strictyaml.Pair
	for _, p := range s.keys {
		if b.env.Tasks.Get(taskName(p.Key)) != nil {
			tasks = append(tasks, p)
		} else {
			others = append(others, p)
		}
	}
	if len(s.keys) == 0 && !s.words {
		b.wrong(s.At, "this task has no task key", "say what it does: copy:, command:, service: ... (dayops doc lists the tasks)")
	}
	for _, p := range others {
		text, hint := b.unknownKey(p, len(tasks) > 0)
		b.wrong(p.KeyAt, text, hint)
	}
	if len(tasks) == 0 {
		return nil
	}
	for _, p := range tasks[1:] {
		b.wrong(p.KeyAt, fmt.Sprintf("two task keys, %q and %q", tasks[0].Key, p.Key), "make two tasks of them")
	}
	s.setTask(tasks[0])
	return b.env.Tasks.Get(s.Task)
}

// unknownKey words a key of a step that is neither a keyword nor a task.
func (b *binder) unknownKey(p strictyaml.Pair, hasTask bool) (text, hint string) {
	name := taskName(p.Key)
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		for _, own := range []string{renamedTasks()[name[i+1:]], b.ownTask(name[i+1:])} {
			if own != "" {
				return fmt.Sprintf("the collection task %q is not available", p.Key), own
			}
		}
		return fmt.Sprintf("the collection task %q is not available", p.Key), "dayops has its own tasks only; dayops doc lists them"
	}
	keyword := source.Nearest(name, stepKeyNames())
	near := source.Nearest(name, b.env.Tasks.Names())
	switch {
	case renamedTasks()[name] != "":
		return fmt.Sprintf("unknown task %q", p.Key), renamedTasks()[name]
	case hasTask:
		return fmt.Sprintf("unknown key %q of a task", p.Key), orElse(source.DidYouMean(name, stepKeyNames()), "it is neither a keyword nor the one task")
	case near != "":
		return fmt.Sprintf("unknown task %q", p.Key), fmt.Sprintf("did you mean %q?", near)
	case keyword != "":
		return fmt.Sprintf("unknown key %q of a task", p.Key), fmt.Sprintf("did you mean %q?", keyword)
	}
	return fmt.Sprintf("unknown task %q", p.Key), "dayops doc lists the tasks"
}

func (b *binder) ownTask(name string) string {
	if b.env.Tasks.Get(name) != nil {
		return "use " + name + ":"
	}
	return ""
}

// params decodes what can be decoded now and checks every template and
// expression in the parameters.
func (b *binder) params(s *BoundStep) {
	if b.freeForm(s) {
		return
	}
	fields := s.Def.Fields()
	b.expressionFields(s, fields)
	p, err := s.Def.Decode(s.Params, vars.IsTemplate)
	b.ms.AddErr(err)
	b.texts(s.Step, s.Params)
	if err == nil {
		b.decoded(s, s.Params, reflect.ValueOf(p))
		s.risk = b.riskOf(s, p)
	}
}

var assignment = regexp.MustCompile(`(?:^|\s)([A-Za-z_][A-Za-z0-9_]*)=("[^"]*"|'[^']*'|\S*)`)

// freeForm looks at parameters given as one text; true means that it told a
// mistake and there is nothing more to read.
func (b *binder) freeForm(s *BoundStep) bool {
	n := s.Params
	if n == nil || n.Kind != strictyaml.Scalar {
		return false
	}
	var pairs []string
	known := fieldNames(s.Def.Fields())
	whole := strings.TrimSpace(assignment.ReplaceAllString(n.Raw, "")) == ""
	for _, m := range assignment.FindAllStringSubmatch(n.Raw, -1) {
		if s.Def.FreeForm == "" && (whole || slices.Contains(known, m[1])) || s.Def.FreeForm != "" && m[1] != s.Def.FreeForm && slices.Contains(known, m[1]) {
			pairs = append(pairs, m[1]+": "+flowValue(m[2]))
		}
	}
	switch {
	case s.Def.FreeForm == "" && len(pairs) > 0:
		b.wrong(n, "parameters as one text of key=value", fmt.Sprintf("write %s: {%s}", s.TaskAt.Raw, strings.Join(pairs, ", ")))
	case s.Def.FreeForm == "":
		b.wrong(n, fmt.Sprintf("%s must be a map of its parameters, got a text", s.Task), "dayops doc "+s.Task+" shows them")
	case len(pairs) > 0:
		rest := strings.TrimSpace(assignment.ReplaceAllStringFunc(n.Raw, func(m string) string {
			if k, _, _ := strings.Cut(strings.TrimSpace(m), "="); k != s.Def.FreeForm && slices.Contains(known, k) {
				return ""
			}
			return m
		}))
		b.wrong(n, fmt.Sprintf("a parameter of %s inside its text", s.Task), fmt.Sprintf("write %s: {%s: %s, %s}", s.TaskAt.Raw, s.Def.FreeForm, flowValue(rest), strings.Join(pairs, ", ")))
	default:
		return false
	}
	return true
}

// flowValue writes s so that it can stand inside {...}.
func flowValue(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s
	}
	if s == "" || strings.ContainsAny(s, " ,:{}[]#&*!|>'\"%@`") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	return s
}

func fieldNames(fields []strictyaml.Field) []string {
	var names []string
	for _, f := range fields {
		names = append(append(names, f.Name), f.Aliases...)
	}
	return names
}

// expressionFields refuses templates where a parameter is an expression: what
// they render to, possibly from a host, must not be evaluated again.
func (b *binder) expressionFields(s *BoundStep, fields []strictyaml.Field) {
	if s.Params == nil {
		return
	}
	for _, f := range fields {
		if !strings.HasSuffix(f.Type, "expression") {
			continue
		}
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			eachScalar(s.Params.Get(name), func(n *strictyaml.Node) {
				if vars.IsTemplate(n) {
					b.wrong(n, fmt.Sprintf("%q is an expression already", name), "remove {{ and }}")
				}
			})
		}
	}
}

// decoded looks for expressions and templates of the control machine among
// decoded parameters.
func (b *binder) decoded(s *BoundStep, at *strictyaml.Node, v reflect.Value) {
	switch x := v.Interface().(type) {
	case task.Expr:
		if x.Node != nil {
			b.expressions(s.Step, x.Node)
		}
		return
	case task.TemplateFile:
		if x.Name != "" {
			b.templateFile(s.Step, at, x.Name)
		}
		return
	case task.LocalFile:
		if x.Name != "" {
			b.localFile(at, x.Name, "files")
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				b.decoded(s, orNode(at.Get(yamlName(f)), at), v.Field(i))
			}
		}
	case reflect.Pointer:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*strictyaml.Node]() {
			b.decoded(s, at, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			b.decoded(s, at, v.Index(i))
		}
	}
}

func yamlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

func orNode(a, b *strictyaml.Node) *strictyaml.Node {
	if a != nil {
		return a
	}
	return b
}

func eachScalar(n *strictyaml.Node, f func(*strictyaml.Node)) {
	if n == nil {
		return
	}
	switch n.Kind {
	case strictyaml.Scalar:
		f(n)
	case strictyaml.Map:
		for _, p := range n.Pairs {
			eachScalar(p.Value, f)
		}
	case strictyaml.Seq:
		for _, it := range n.Items {
			eachScalar(it, f)
		}
	}
}
