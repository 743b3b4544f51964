package vars

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/secret"
)

func TestExtra(t *testing.T) {
	files := map[string]string{"v.yml": "k: {a: [1, yes]}\nmode: 0644\n", "v.json": `{"j": 1.5}`, "empty.yml": "# nothing\n", "list.yml": "[1]", "bad.yml": "a: [", "name.yml": "a-b: 1"}
	read := func(p string) ([]byte, error) {
		if c, ok := files[p]; ok {
			return []byte(c), nil
		}
		return nil, errors.New("no such file: " + p)
	}
	n, err := ParseExtra([]string{"a=1 b=yes", `c="two words" d='it''s' e= f=x=y`, `g={{ a }} h="{{ 'q r' }}" i=back\ slash j="say \"hi\""`, "@v.yml", "@empty.yml", "@v.json", `{"n": 1, "a": [true, null]}`, "b=last"}, read)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"a": []any{true, nil}, "b": "last", "c": "two words", "d": "its", "e": "", "f": "x=y", "g": "{{ a }}", "h": "{{ 'q r' }}", "i": "back slash", "j": 1.5,
		"k": map[string]any{"a": []any{int64(1), true}}, "mode": int64(420), "n": int64(1)}, n.Any())
	for arg, want := range map[string]string{
		"a":               `-e:1:1: "a" is not name=value (quote a value with spaces: name="two words"; a file is @a)`,
		"x=1 y z=2":       `-e:1:5: "y" is not name=value`,
		"a-b=1":           `-e:1:1: "a-b" is not a variable name`,
		"1a=1":            `-e:1:1: "1a" is not a variable name`,
		`a="x`:            "-e:1:3: a quote that is not closed",
		"":                "-e:1:1: an empty -e",
		"@":               "-e:1:1: no file after @",
		"@no.yml":         "-e:1:1: cannot read the file: no such file: no.yml",
		"@list.yml":       "list.yml:1:1: extra variables must be a map",
		"@bad.yml":        "bad.yml:1:",
		"@name.yml":       `name.yml:1:1: "a-b" is not a variable name`,
		"[1]":             "-e:1:1: extra variables must be a map",
		`{"a": 1`:         "-e:1:",
		"omit=1":          `-e:1:1: "omit" cannot be set`,
		`{"hostvars": 1}`: `-e:1:2: "hostvars" cannot be set`,
	} {
		_, err := ParseExtra([]string{arg}, read)
		require.ErrorContains(t, err, want, arg)
	}
}

func TestSecrets(t *testing.T) {
	for name, want := range map[string]bool{"password": true, "db_password": true, "ansible_password": true, "ansible_become_pass": true, "ansible_ssh_pass": true, "API_TOKEN": true, "secret": true, "my_secret_2": true, "aws_secret_access_key": true,
		"tls_private_key": true, "vault_apikey": true, "tokens": false, "passwordless": false, "bypass": false, "password_file": false, "token_url": false, "user": false, "ansible_ssh_private_key_file": false, "compass": false, "secretary": false} {
		require.Equal(t, want, secret.Name(name), name)
	}
	require.Equal(t, []string{"1234", "deep", "hunter2", "in list"}, Secrets(map[string]any{"password": "hunter2", "plain": "x", "pin_token": int64(1234),
		"users": []any{map[string]any{"passwd": []any{"in list"}, "name": "n"}}, "secret": map[string]any{"any": "deep", "off": true}}))
	require.Equal(t, []string{"7", "a", "b"}, SecretTexts(map[string]any{"x": "a", "y": []any{"b", int64(7), "a"}}))

	var e Engine
	s := e.Scope(Context{}, UserVars(LevelPlay, yml(t, "pw: {password: \"{{ base }}-x\"}\nbase: abcdef\ndb_password: \"{{ base }}!\"\nbroken_token: \"{{ nowhere }}\"")), Unknown(map[string]string{"later_token": "x"}))
	require.Equal(t, []string{"abcdef!", "abcdef-x"}, s.Secrets(s.Names()...))
	r := &secret.Redactor{}
	for _, x := range s.Secrets(s.Names()...) {
		r.Add(x)
	}
	require.Equal(t, "a *** b", r.Redact("a abcdef! b"))
}
