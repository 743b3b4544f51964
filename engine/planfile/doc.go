package planfile

import (
	"fmt"
	"reflect"
	"strings"
)

// Doc describes the file for people.
func Doc() string {
	var b strings.Builder
	fmt.Fprintf(&b, `A saved plan is one JSON object, UTF-8, indented, a file of mode 0600. format is %q,
version %d; a reader refuses another version and every field that it does not know.

dayops apply reads everything again and refuses with exit code 8, naming each difference
(HOST WHAT was OLD, is NEW), when one of these has moved:

  inputs     playbook, inventory with group_vars and host_vars, vars_files, -e @FILE,
             templates and files that are copied: by their sums
  hosts      machine id, operating system, architecture
  steps      what was observed on each host: content sums, modes, owners, unit states,
             versions; not times, inodes and what a task calls volatile
  steps      the changes: kind, host, risk, digest; status and what is unknown; then
             every text that says what would be done
  clusters   of tasks that plan for all hosts at once: the stages, their order and
             windows, what they do, and whether a failure takes back what was done

Findings are what was judged when the plan was made (times, free space, who leads): they
are not compared but made again, and what they stand on is under what was observed.

A step that is reached must do what the plan says. One that was unknown may do no more
than its max_risk. Otherwise the run asks at the terminal, or the step is refused.

Secrets that dayops can tell are not in the file in clear: texts show %s in their place,
diffs on both sides. It can tell
  - values of variables whose names say that they are secret, and all of a no_log step
  - in files, commands, loop items and findings: values of names with password, passwd,
    passphrase, pass, secret, token, credential, api_key, access_key or private_key (not
    ..._file, _path, _url, _name and the like), after : or =, in the lines below such a
    name, alone on a line behind it, as --NAME VALUE or <NAME>VALUE</NAME>
  - bodies of private keys between BEGIN and END, also in base64; age's secret keys
  - passwords in URLs, what follows Authorization, hashes of passwords ($6$...), and data
    of a Secret's manifest in YAML
It cannot tell a secret under another name or none: mysql -pVALUE, a file that is nothing
but a password; nor one in what a command prints into a run's record. Use no_log there.
Sums and digests of what holds a secret that it can tell, and all of a no_log step, are
HMAC-SHA256 under a key that stays on this machine (key in the state folder, 0600): such
a plan can be applied only here. A secret -e is kept as its names and must be given
again.

Fields
`, Format, Version, "***")
	fields(&b, reflect.TypeFor[Plan](), "  ")
	return b.String()
}

func fields(b *strings.Builder, t reflect.Type, in string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		ft, list := f.Type, ""
		if ft.Kind() == reflect.Slice && ft.Elem().Kind() != reflect.Uint8 {
			ft, list = ft.Elem(), "list of "
		}
		fmt.Fprintf(b, "%s%-12s %s%s\n", in, name, list, typeName(ft))
		if ft.Kind() == reflect.Struct && ft.Name() != "Time" {
			fields(b, ft, in+"  ")
		}
	}
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		if t.Name() == "Time" {
			return "time (RFC 3339, UTC)"
		}
		return "object"
	case reflect.Int:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "any JSON"
	}
	return "text"
}
