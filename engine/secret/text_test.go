package secret

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	key := base64.StdEncoding.EncodeToString([]byte("-----BEGIN RSA PRIVATE KEY-----\nMIIEhunter2"))
	cert := base64.StdEncoding.EncodeToString([]byte("-----BEGIN CERTIFICATE-----\nMIIE public"))
	for name, c := range map[string][2]string{
		"nothing":         {"a\nb: c\r\nno end", "a\nb: c\r\nno end"},
		"line":            {"user=u\r\npassword=hunter2\r\n", "user=u\r\npassword=***\r\n"},
		"key":             {"a\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nhunter2AAAA\nhu=\n-----END RSA PRIVATE KEY-----\nb\n", "a\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n***\n***\n-----END RSA PRIVATE KEY-----\nb\n"},
		"indented key":    {"k: |\n  -----BEGIN PRIVATE KEY-----\n  hunter2\n  -----END PRIVATE KEY-----\nb: c\n", "k: |\n  -----BEGIN PRIVATE KEY-----\n  ***\n  -----END PRIVATE KEY-----\nb: c\n"},
		"key in one line": {`x = "-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----\n"`, `x = "-----BEGIN EC PRIVATE KEY-----***-----END EC PRIVATE KEY-----\n"`},
		"key in a program": {"k = \"-----BEGIN EC PRIVATE KEY-----\\n\" +\n  \"hunter2\\n\" +\n  \"-----END EC PRIVATE KEY-----\"\n",
			"k = \"-----BEGIN EC PRIVATE KEY-----\\n\" +\n  ***\n  ***-----END EC PRIVATE KEY-----\"\n"},
		"key without begin": {"b: c\nhunter2hunter2hunter2\nhunter2hunter2hunter2\n-----END PRIVATE KEY-----\n", "b: c\n***\n***\n-----END PRIVATE KEY-----\n"},
		"key without end":   {"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nhunter2\n", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n***\n"},
		"key spoken of":     {"grep -q -- '-----BEGIN PRIVATE KEY-----' x\nrm -rf y\npassword: hunter2\n", "grep -q -- '-----BEGIN PRIVATE KEY-----***\nrm -rf y\npassword: ***\n"},
		"certificate":       {"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n"},
		"kubeconfig":        {"client-certificate-data: " + cert + "\nclient-key-data: " + key + "\n", "client-certificate-data: " + cert + "\nclient-key-data: ***\n"},
		"block":             {"db:\n  password: |\n    hunter2\n\n     hunter3\n  user: u\n", "db:\n  password: |\n    ***\n\n     ***\n  user: u\n"},
		"value below":       {"password:\n  hunter2\nuser: u\n", "password:\n  ***\nuser: u\n"},
		"list":              {"passwords:\n- hunter2\n- \"{{ p }}\"\nuser: u\n", "passwords:\n- ***\n- \"{{ p }}\"\nuser: u\n"},
		"pair":              {"env:\n- name: DB_PASSWORD\n  value: hunter2\n- name: USER\n  value: u\n", "env:\n- name: DB_PASSWORD\n  value: ***\n- name: USER\n  value: u\n"},
		"spaced":            {"requirepass hunter2\npassword 'hunter 2'\nproxy_pass http://x\nPasswordAuthentication no\n", "requirepass ***\npassword ***\nproxy_pass http://x\nPasswordAuthentication no\n"},
		"camel":             {"clientSecret: hunter2\nsecretName: n\nPrivateKey = hunter2\n", "clientSecret: ***\nsecretName: n\nPrivateKey = ***\n"},
		"switches":          {"passwords: yes\nPASSWORD=${DB_PASSWORD}\n\"token\": null,\npassword_file: /x\n", "passwords: yes\nPASSWORD=${DB_PASSWORD}\n\"token\": null,\npassword_file: /x\n"},
		"tokens":            {"url=postgres://app:hunter2@db/app\n-H 'Authorization: Bearer hunter2' x\nAGE-SECRET-KEY-1HUNTER\n<password>hunter2</password>\nmysql --password hunter2 -u x\n", "url=postgres://app:***@db/app\n-H 'Authorization: Bearer ***' x\n***\n<password>***</password>\nmysql --password *** -u x\n"},
		"manifest":          {"data:\n  any.thing: aHVudGVyMg==\n  long: |\n    hunter2\n    A=hunter2\n  empty:\nkind: Secret\nname: x\n", "data:\n  any.thing: ***\n  long: |\n    ***\n    ***\n  empty:\nkind: Secret\nname: x\n"},
		"no manifest":       {"data:\n  any: x\nkind: ConfigMap\n", "data:\n  any: x\nkind: ConfigMap\n"},
		"hash":              {"root:$6$saltsalt$abcdefghijklmnopqrstuv/:19000:0:::\n$1$2 x\n", "root:***:19000:0:::\n$1$2 x\n"},
		"etcd":              {"ETCD_INITIAL_CLUSTER_TOKEN=etcd-1\n", "ETCD_INITIAL_CLUSTER_TOKEN=etcd-1\n"},
	} {
		lines, masked := Text(c[0])
		require.Equal(t, c[1], strings.Join(lines, ""), name)
		require.Equal(t, c[0] != c[1], masked, name)
	}
}

func TestArgs(t *testing.T) {
	require.Equal(t, []string{"mysql", "--password=***", "--token", "***", "--secret", "-u", "MYSQL_PWD_FILE=/x", "TOKEN=***", "sh -c 'x --password=*** y'"},
		Args([]string{"mysql", "--password=hunter 2", "--token", "hunter2", "--secret", "-u", "MYSQL_PWD_FILE=/x", "TOKEN=hunter 2", "sh -c 'x --password=hunter2 y'"}))
}

func FuzzText(f *testing.F) {
	f.Add("password: |\n  x\n-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\nname: token\nvalue: x")
	f.Fuzz(func(t *testing.T, text string) {
		lines, masked := Text(text)
		require.Equal(t, strings.Count(text, "\n"), strings.Count(strings.Join(lines, ""), "\n"))
		if !masked {
			require.Equal(t, text, strings.Join(lines, ""))
		}
	})
}
