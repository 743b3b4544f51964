package ssh

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dayops/dayops/engine/conn"
	"github.com/stretchr/testify/require"
)

func TestArgs(t *testing.T) {
	for _, c := range []struct{ words, want, file string }{
		{"", "", ""},
		{"-o ProxyJump=a,b -J c", "proxyjump=a,b proxyjump=c", ""},
		{"-oPort=2222 -p 22 -p23", "port=2222 port=22 port=23", ""},
		{"-i /k -l bob -F /etc/x", "identityfile=/k user=bob", "/etc/x"},
		{"-o|ProxyCommand=ssh -W %h:%p jump", "proxycommand=ssh -W %h:%p jump", ""},
		{"-o|ProxyCommand ssh -W %h:%p jump", "proxycommand=ssh -W %h:%p jump", ""},
		{`-o|UserKnownHostsFile="/a b"`, `userknownhostsfile="/a b"`, ""},
		{"-o ControlMaster=auto -o ControlPersist=60s -C -q -vvv -T -x", "", ""},
		{"-o StrictHostKeyChecking=accept-new", "stricthostkeychecking=accept-new", ""},
		{"-o StrictHostKeyChecking=yes", "stricthostkeychecking=yes", ""},
	} {
		words := strings.Fields(c.words)
		if strings.Contains(c.words, "|") {
			words = strings.Split(c.words, "|")
		}
		opts, file, err := parseArgs(words)
		require.NoError(t, err, c.words)
		var got []string
		for _, o := range opts {
			got = append(got, o.name+"="+o.value)
		}
		require.Equal(t, c.want, strings.Join(got, " "))
		require.Equal(t, c.file, file)
	}
	for words, says := range map[string]string{
		"-o StrictHostKeyChecking=no":  "is refused: without host keys",
		"-oStrictHostKeyChecking=off":  "is refused",
		"-o stricthostkeychecking=No":  "is refused",
		"-o Tunnel=yes":                `option "tunnel" is not supported`,
		"-o LocalCommand=x":            "not supported",
		"-o ProxyJump":                 "lacks its value",
		"-o":                           "lacks its value",
		"-A":                           "not supported",
		"-L 1:a:2":                     "not supported",
		"host":                         "not an option",
		"-o ProxyCommand=a\nb":         "", // split by Fields; the lone word is refused
		"-q -o HostKeyAlgorithms=none": "not supported",
	} {
		err := CheckArgs(strings.Fields(words))
		require.ErrorContains(t, err, says, words)
	}
	require.Error(t, CheckArgs([]string{"-o", "ProxyCommand=a\nb"}))
}

func TestCheckedNames(t *testing.T) {
	for _, good := range []string{"a", "a.b-c_d", "10.0.0.1", "::1", "[::1]", "fe80::1%eth0", "bücher.example", "A.B."} {
		require.NoError(t, checkHost(good), good)
	}
	for _, bad := range []string{"", "-oProxyCommand=x", "a b", "a;b", "a`id`", "$(id)", "a\nb", "a\x00", "a|b", "a/b", "a'b", `a"b`, "a*b", "\u009b", "\u202e", "a@b", "[a;b]", "%h", "fe80::1%;x"} {
		require.Error(t, checkHost(bad), bad)
	}
	for _, good := range []string{"root", "a.b", "a-b_c", `DOM\user`, "user@realm", "7"} {
		require.NoError(t, checkUser(good))
	}
	for _, bad := range []string{"", "-x", "a b", "a;b", "a$b", "a`b", "a\nb", "a'b", "a(b"} {
		require.Error(t, checkUser(bad), bad)
	}
	for _, bad := range []string{"", "0", "65536", "-1", "+22", "022", "22 ", "a", "0x16"} {
		_, err := checkPort(bad)
		require.Error(t, err, bad)
	}
}

func testDialer(t *testing.T, o Options) *Dialer {
	t.Helper()
	if o.Home == "" {
		o.Home = t.TempDir()
	}
	if o.Agent == "" {
		o.Agent = "none"
	}
	d := New(o)
	t.Cleanup(func() { d.Close() })
	return d
}

// The ssh program and our own reading must lead to the same route.
func TestConfigsAgree(t *testing.T) {
	program, err := exec.LookPath("ssh")
	if err != nil {
		t.Skip("needs ssh (openssh-client)")
	}
	home := t.TempDir()
	require.NoError(t, os.MkdirAll(home+"/.ssh/conf.d", 0o700))
	require.NoError(t, os.WriteFile(home+"/.ssh/conf.d/a", []byte("Host inc\n  HostName included.example\n  Port 99\n"), 0o600))
	corpus := map[string]string{
		"plain":    "Host web\n  HostName web.example.com\n  User bob\n  Port 2222\n  IdentityFile ~/.ssh/web\n",
		"wildcard": "Host *.example.com !bad.example.com\n  User ops\nHost *\n  User other\n  Port 2200\n",
		"first":    "Host web\n  Port 1\n  IdentityFile /k1\nHost w*\n  Port 2\n  IdentityFile /k2\n  IdentityFile ~/k3\n",
		"jump":     "Host web\n  ProxyJump bob@jump:2222,second\nHost jump second\n  ProxyJump none\n",
		"proxy":    "Host web\n  ProxyCommand nc -X 5 %h %p\nHost *\n  ProxyJump gate\n",
		"known":    "Host *\n  UserKnownHostsFile /a /b\n  GlobalKnownHostsFile /c\n  HostKeyAlias alias\n",
		"equals":   "Host web\n  HostName=web.example.com\n  Port = 2222\n\tUser\tbob\n",
		"case":     "hOsT web\n  hostNAME web.example.com\n  IDENTITIESONLY yes\n  StrictHostKeyChecking accept-new\n",
		"include":  "Include " + home + "/.ssh/conf.d/*\nHost *\n User z\n",
		"tokens":   "Host web\n  HostName %h.example.com\n  IdentityFile ~/.ssh/%r@%h_%p\n  User bob\n",
		"auth":     "Host *\n  PubkeyAuthentication no\n  PasswordAuthentication no\n  KbdInteractiveAuthentication no\n  ConnectTimeout 3\n",
		"agent":    "Host *\n  IdentityAgent /run/agent.sock\n  CertificateFile /cert\n",
		"none":     "Host *\n  SendEnv LANG\n  Ciphers aes128-gcm@openssh.com\n",
		"all":      "Match all\n  User bob\n",
		"match":    "Match host web\n  User bob\n  Port 77\n",
	}
	for name, text := range corpus {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			asked := testDialer(t, Options{Home: home, ConfigFile: file, SSHProgram: program})
			read := testDialer(t, Options{Home: home, ConfigFile: file, SSHProgram: "none"})
			for _, target := range []conn.Target{
				{Name: "web"}, {Name: "a.example.com"}, {Name: "bad.example.com"}, {Name: "inc"}, {Name: "10.0.0.1"},
				{Name: "web", User: "me", Port: 22}, {Name: "x", Address: "web", CommonArgs: []string{"-o", "User=cli", "-i", "/cli"}},
				{Name: "web", CommonArgs: []string{"-o", "ProxyJump=cli"}},
			} {
				a, err := asked.route(target)
				require.NoError(t, err)
				r, err := read.route(target)
				require.NoError(t, err)
				// The kinds of key that are looked for unless told are ssh's own business.
				a.identities, r.identities = usual(home, a.identities), usual(home, r.identities)
				require.Equal(t, a, r, "%+v", target)
			}
		})
	}
}

func usual(home string, files []string) []string {
	var kept []string
	for _, f := range files {
		if !strings.HasPrefix(f, home+"/.ssh/id_") {
			kept = append(kept, f)
		}
	}
	return kept
}

func TestRoute(t *testing.T) {
	home := t.TempDir()
	require.NoError(t, os.MkdirAll(home+"/.ssh", 0o700))
	require.NoError(t, os.WriteFile(home+"/.ssh/config", []byte("Host web\n  HostName 10.1.1.1\n  User bob\n  Port 2222\n  StrictHostKeyChecking no\n"), 0o600))
	for _, program := range []string{"", "none"} {
		var notices []string
		d := testDialer(t, Options{Home: home, SSHProgram: program, Notice: func(s string) { notices = append(notices, s) }})
		r, err := d.route(conn.Target{Name: "n", Address: "web", User: "alice", KeyFile: "~/k", CommonArgs: []string{"-o", "Port=5", "-o", "User=no"}})
		require.NoError(t, err)
		require.Equal(t, "10.1.1.1:5", r.addr())
		require.Equal(t, "alice", r.user)
		require.Equal(t, home+"/k", r.keyFile)
		require.Equal(t, conn.Strict, r.policy)
		require.Equal(t, []string{home + "/.ssh/known_hosts", home + "/.ssh/known_hosts2"}, r.userKnown)
		require.Len(t, notices, 1)
		require.Contains(t, notices[0], "StrictHostKeyChecking no")
		for _, bad := range []conn.Target{
			{Name: "a;b"}, {Name: "a", User: "x y"}, {Name: "a", Port: 70000}, {Name: "a", CommonArgs: []string{"-A"}},
			{Name: "a", CommonArgs: []string{"-o", "HostName=a;b"}}, {Name: "a", CommonArgs: []string{"-o", "HostKeyAlias=a b"}},
			{Name: "a", CommonArgs: []string{"-o", "UserKnownHostsFile=/%C"}},
		} {
			_, err := d.route(bad)
			require.Error(t, err, "%+v", bad)
		}
	}
}

// Hosts must not cost a process each where no file says a word about them.
func TestNoForkWithoutConfig(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/more", []byte("Host *\n  GSSAPIAuthentication yes\n"), 0o600))
	require.NoError(t, os.WriteFile(dir+"/plain", []byte("Include more\nHost *\n  SendEnv LANG LC_*\n  HashKnownHosts yes\n"), 0o600))
	require.NoError(t, os.WriteFile(dir+"/says", []byte("Host b\n  Port=1\n"), 0o600))
	require.NoError(t, os.WriteFile(dir+"/includes", []byte("Include s*s\n"), 0o600))
	for file, forks := range map[string]bool{"plain": false, "none/there": false, "says": true, "includes": true} {
		d := testDialer(t, Options{SSHProgram: "/bin/false", ConfigFile: dir + "/" + file})
		_, err := d.route(conn.Target{Name: "a"})
		if forks {
			require.ErrorContains(t, err, "ssh -G a", file)
		} else {
			require.NoError(t, err, file)
		}
	}
}
