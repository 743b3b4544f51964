package engine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/event"
)

// Nothing of a no_log step is told: parameters, outputs, diffs, errors, items,
// findings, whether it works, fails, is skipped or cannot even be begun.
func TestNoLog(t *testing.T) {
	for name, check := range map[string]bool{"run": false, "dry run": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.opt = func(o *Options) { o.Diff, o.Check = true, check }
			w.run("h1 list='[\"hidden01\"]'\n", play(
				"{name: n1, no_log: yes, sh: 'echo hidden02; echo hidden03 >&2', register: out}",
				"{name: n2, no_log: yes, sh: 'echo {{ item.v }}; exit 1', loop: [{v: hidden04}, {v: hidden05}], ignore_errors: yes}",
				"{name: n3, no_log: yes, sh: 'true', loop: [hidden06], when: 'item is not defined'}",
				"{name: n4, no_log: '{{ 1 == 1 }}', write: {path: DIR/f, content: hidden07}}",
				"{name: n5, no_log: yes, find: {text: hidden08, fail: yes}, ignore_errors: yes}",
				"{name: n6, no_log: yes, sh: 'true', loop: [hidden09], environment: {A: '{{ item.nothing }}'}, ignore_errors: yes}",
				"{name: n7, no_log: yes, boom: h1, vars: {x: hidden10}, ignore_errors: yes}",
				"{name: n8, no_log: '{{ list[7] }}', find: hidden11, ignore_errors: yes, when: false}",
				"{name: later, sh: 'echo {{ out.stdout | default(\"-\") }}'}",
			))
			requireWithout(t, w.all(), "hidden0")
			requireWithout(t, w.all(), "hidden1")
			require.Contains(t, w.all(), hiddenText)
		})
	}
}

// A value under a name that says that it is secret is masked everywhere: from
// the inventory, -e, vars at any level, set_fact, register, another host's variables.
func TestSecretVariables(t *testing.T) {
	w := newWorld(t)
	w.extra = []string{"api_token=secret-01"}
	w.opt = func(o *Options) { o.Diff = true }
	w.run("h1 db_password=secret-02 ansible_become_password=secret-03\nh2\n[away]\nh3 db_password=secret-04\n[away:vars]\nansible_password=secret-05\n[all:vars]\nlogin={\"user\": \"u\", \"password\": \"secret-06\"}\n",
		"- hosts: h1\n  gather_facts: no\n  vars: {smtp: {host: mail, password: secret-07}, pin_token: 12345678}\n  tasks:\n    - "+strings.Join([]string{
			"{name: s1, sh: 'echo {{ api_token }} {{ db_password }} {{ ansible_become_password }}; exit 1', ignore_errors: yes}",
			"{name: s2, find: '{{ hostvars.h3.db_password }} {{ hostvars.h3.ansible_password }} {{ hostvars.h2.login }}'}",
			"{name: s3, write: {path: DIR/f, content: '{{ smtp }} {{ pin_token }}'}}",
			"{name: s4, vars: {my_secret: secret-08}, sh: 'echo {{ my_secret }}; false', failed_when: \"my_secret in 'secret-08'\", ignore_errors: yes}",
			"{name: s5, sh: 'echo {{ item.name }} {{ item.password }}', loop: [{name: a, password: secret-09}]}",
			"{name: s6, set_fact: {root_passphrase: secret-10}}",
			"{name: s7, find: '{{ root_passphrase }}'}",
			"{name: s8, sh: 'echo secret-1\"\"1', register: bind_secret}",
			"{name: s9, find: '{{ bind_secret.stdout }}'}",
			"{name: s10, delegate_to: h2, sh: 'echo \"{{ hostvars.h2.login.password }}\" | base64'}",
			"{name: s11, find: '{{ pin_token }}'}",
		}, "\n    - ")+"\n")
	requireWithout(t, w.all(), "secret-0")
	requireWithout(t, w.all(), "secret-10")
	requireWithout(t, w.all(), "12345678")
	require.Contains(t, w.all(), "***")
	require.Equal(t, []string{"h1 *** *** {'user': 'u', 'password': '***'}", "h1 ***", "h1 ***", "h1 ***"}, w.texts(event.Finding))
}

// A long loop item is cut only after its secrets are gone: half of one would not be known again.
func TestItemsAreCutAfterSecrets(t *testing.T) {
	w := newWorld(t).run("h1 my_password=abcdefghijklmnopqrstuvwxyz\n",
		play("{name: long, sh: 'true', loop: ['"+strings.Repeat("x", 70)+"{{ my_password }}']}"))
	require.Equal(t, strings.Repeat("x", 70)+"***", w.result("long", "h1").Item)
}

// requireWithout shows the line that says too much.
func requireWithout(t *testing.T, all, text string) {
	t.Helper()
	for line := range strings.Lines(all) {
		require.NotContains(t, line, text)
	}
}
