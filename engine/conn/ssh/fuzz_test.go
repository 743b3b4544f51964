package ssh

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dayops/dayops/engine/conn"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// Whatever a known_hosts file holds, reading it gives a database and keeps the good line.
func FuzzKnownHosts(f *testing.F) {
	for _, s := range []string{"", "a b c", "@revoked", "@cert-authority * ssh-ed25519 AAAA", "|1|x|y ssh-rsa AAAA", "[::1", "!,, ssh-ed25519", "\x00\r\n\r", "[a]:b:c ssh-rsa AAAAB3NzaC1yc2E"} {
		f.Add(s)
	}
	_, key := fixedKey()
	good := xknownhosts.Line([]string{"good.example"}, key)
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "kh")
		if err := os.WriteFile(file, []byte(text+"\n"+good+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := readKnownHosts([]string{file}, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, "@revoked") && len(db.db.HostKeys("good.example:22")) == 0 {
			t.Fatal("the good line is lost")
		}
	})
}

// Whatever the arguments, a route has names that no shell reads.
func FuzzRoute(f *testing.F) {
	f.Add("web", "bob", "-o\nProxyJump=a")
	f.Add("-oProxyCommand=x", "a;b", "-J\n-x")
	f.Add("fe80::1%eth0", `D\u`, "-o\nHostName=%h.x\n-p\n22")
	f.Fuzz(func(t *testing.T, name, user, args string) {
		d := New(Options{Home: "/nonexistent", ConfigFile: "none", Agent: "none", SSHProgram: "none"})
		r, err := d.route(conn.Target{Name: name, User: user, CommonArgs: strings.Split(args, "\n")})
		if err != nil {
			return
		}
		for _, s := range []string{r.host, r.user, r.name} {
			if strings.HasPrefix(s, "-") || strings.ContainsAny(s, " \t\r\n\x00;&|<>$`'\"()*?!#~{}") {
				t.Fatalf("%q went through", s)
			}
		}
		for _, j := range r.jumps {
			d.hop(conn.Target{}, j)
		}
	})
}
