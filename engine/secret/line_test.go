package secret

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		`  ansible_password: hunter2`:                                   `  ansible_password: ***`,
		`  ansible_password:hunter2`:                                    `  ansible_password:***`,
		`  ansible_password: "hunter2 # x" # why`:                       `  ansible_password: *** # why`,
		`  ansible_password: 'hun''ter2'`:                               `  ansible_password: ***`,
		`  ansible_password: "hun\"ter2`:                                `  ansible_password: ***`,
		`  ansible_password: two words`:                                 `  ansible_password: ***`,
		`  ansible_password: [hunter2, x]`:                              `  ansible_password: ***`,
		`h1: {ansible_password: hunter2, ansible_port: abc}`:            `h1: {ansible_password: ***, ansible_port: abc}`,
		`{"ansible_become_password":"hunter2","x":1}`:                   `{"ansible_become_password":***,"x":1}`,
		`h2 ansible_password=hunter2 x=y ansible_become_pass=hunter3`:   `h2 ansible_password=*** x=y ansible_become_pass=***`,
		`h3 ansible_password='hunter 2' x=y`:                            `h3 ansible_password=*** x=y`,
		`ansible_password = hunter2 x`:                                  `ansible_password = ***`,
		`  command: mysql --password=hunter2 -u x`:                      `  command: mysql --password=*** -u x`,
		`  db_password: "{{ vault_db_password }}"`:                      `  db_password: "{{ vault_db_password }}"`,
		`  db_password: "{{ 'hunter2' }}"`:                              `  db_password: ***`,
		`  db_password: "{{ hunter2"`:                                   `  db_password: ***`,
		`h1: {ansible_pasword: hunter2, passwords: hunter2}`:            `h1: {ansible_pasword: ***, passwords: ***}`,
		`  password: |`:                                                 `  password: |`,
		`  password: !vault |`:                                          `  password: !vault |`,
		`  password:`:                                                   `  password:`,
		`  ansible_ssh_private_key_file: /x, token_url: http://x, a: b`: `  ansible_ssh_private_key_file: /x, token_url: http://x, a: b`,
	} {
		got, _ := Line(in, 0)
		require.Equal(t, want, got)
	}
}

func TestLineMovesThePlace(t *testing.T) {
	line := `h2 ansible_password=hunter2 prot=1 token=abcdefgh`
	for word, want := range map[string]string{"h2": "h2", "prot": "prot", "hunter2": "***", "ter2": "***", "token": "token", "defgh": "***"} {
		got, at := Line(line, strings.Index(line, word))
		require.True(t, strings.HasPrefix(got[at:], want), "%s: %s", word, got[at:])
	}
}

func FuzzLine(f *testing.F) {
	f.Add(`h2 ansible_password=hunter2 x=y`, 5)
	f.Add(`{"password":"hunter2"}`, 12)
	f.Add(`password: '`, 11)
	f.Fuzz(func(t *testing.T, line string, at int) {
		if at < 0 || at > len(line) {
			return
		}
		got, to := Line(line, at)
		require.True(t, to >= 0 && to <= len(got), "%d of %q", to, got)
	})
}
