// Package sshtest starts SSH servers for tests: OpenSSH's own sshd on a port
// of the loopback or on the standard streams of a ProxyCommand, and an
// in-process server that misbehaves when told to.
package sshtest

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// TB is the part of testing.TB that is used here, so that a benchmark program
// can start servers too.
type TB interface {
	Helper()
	Cleanup(func())
	TempDir() string
	Skip(args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// Options of a server. The zero Options give a server for the account that
// runs the test, with key authentication.
type Options struct {
	// Listen is the address to listen on, "127.0.0.1" when empty. "0.0.0.0"
	// answers on every address of 127.0.0.0/8.
	Listen string
	// Stdio gives no daemon but a ProxyCommand that runs sshd -i.
	Stdio bool
	// Config is added to sshd_config, before everything else: in sshd the first value wins.
	Config string
	// PAM asks for UsePAM yes. Needs root.
	PAM bool
}

// Server is a running sshd and what its clients need.
type Server struct {
	Dir          string // everything below lives here
	Host         string
	Port         int
	User         string
	KeyFile      string // private key of the client, with KeyFile.pub
	KnownHosts   string // holds the server's keys for Host
	ConfigFile   string // of ssh clients: UserKnownHostsFile, nothing else
	ProxyCommand string // with Stdio
	Home         string // $HOME of commands, an empty folder; they start in the account's own
	HostKey      ssh.PublicKey
	HostKeyFiles []string // private host keys: ed25519, ecdsa

	mu  sync.Mutex
	log bytes.Buffer
	pid int
}

// Start starts a server that ends with the test. Without sshd the test is skipped.
func Start(t TB, o Options) *Server {
	t.Helper()
	program := findSSHD()
	if program == "" {
		t.Skip("needs sshd (openssh-server)")
	}
	me, err := user.Current()
	if err != nil {
		t.Fatalf("who am I: %v", err)
	}
	s := &Server{Dir: t.TempDir(), User: me.Username, Host: "127.0.0.1"}
	for _, dir := range []string{s.Dir, filepath.Dir(s.Dir)} { // sshd reads the key as the account that logs in
		os.Chmod(dir, 0o755)
	}
	s.makeKeys(t)
	s.Home = filepath.Join(s.Dir, "home")
	os.Mkdir(s.Home, 0o755)
	if o.Listen != "" && o.Listen != "0.0.0.0" {
		s.Host = o.Listen
	}
	if o.Stdio {
		s.startStdio(t, program, o)
	} else {
		s.startDaemon(t, program, o)
	}
	s.Trust(t, s.Host)
	s.ConfigFile = s.write(t, "ssh_config", "UserKnownHostsFile "+s.KnownHosts+"\nGlobalKnownHostsFile none\n")
	return s
}

func findSSHD() string {
	if p, err := exec.LookPath("sshd"); err == nil {
		if p, err = filepath.Abs(p); err == nil { // sshd insists on an absolute path
			return p
		}
	}
	for _, p := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	return ""
}

// Target says how to reach the server. It is complete but for known_hosts,
// which a Dialer takes from ConfigFile or KnownHosts.
func (s *Server) Target(name string) conn.Target {
	t := conn.Target{Name: name, Kind: "ssh", Address: s.Host, Port: s.Port, User: s.User, KeyFile: s.KeyFile,
		CommonArgs: []string{"-o", "UserKnownHostsFile=" + s.KnownHosts, "-o", "GlobalKnownHostsFile=none"}}
	if s.ProxyCommand != "" {
		t.CommonArgs = append(t.CommonArgs, "-o", "ProxyCommand="+s.ProxyCommand)
	}
	return t
}

// Trust adds the server's keys to KnownHosts for further addresses.
func (s *Server) Trust(t TB, hosts ...string) {
	t.Helper()
	s.KnownHosts = filepath.Join(s.Dir, "known_hosts")
	f, err := os.OpenFile(s.KnownHosts, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer f.Close()
	for _, h := range hosts {
		port := s.Port
		if port == 0 {
			port = 22
		}
		fmt.Fprintln(f, knownhosts.Line([]string{net.JoinHostPort(h, strconv.Itoa(port))}, s.HostKey))
	}
}

// Log is what sshd said so far.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Pid is the daemon's process id, to stop and continue it.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}

func (s *Server) write(t TB, name, text string) string {
	t.Helper()
	file := filepath.Join(s.Dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	return file
}

func (s *Server) makeKeys(t TB) {
	t.Helper()
	_, client, _ := ed25519.GenerateKey(rand.Reader)
	pub := s.writeKey(t, "id_ed25519", client)
	s.KeyFile = filepath.Join(s.Dir, "id_ed25519")
	line := string(ssh.MarshalAuthorizedKey(pub))
	s.write(t, "id_ed25519.pub", line)
	os.Chmod(s.write(t, "authorized_keys", line), 0o644)
	_, host, _ := ed25519.GenerateKey(rand.Reader)
	s.HostKey = s.writeKey(t, "host_ed25519", host)
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.writeKey(t, "host_ecdsa", other)
	s.HostKeyFiles = []string{filepath.Join(s.Dir, "host_ed25519"), filepath.Join(s.Dir, "host_ecdsa")}
}

func (s *Server) writeKey(t TB, name string, key any) ssh.PublicKey {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatalf("%v", err)
	}
	s.write(t, name, string(pem.EncodeToMemory(block)))
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return signer.PublicKey()
}

func (s *Server) config(o Options, listen string) string {
	var b strings.Builder
	b.WriteString("LogLevel VERBOSE\n" + o.Config + "\n") // the log tells when it listens
	b.WriteString(listen)
	for _, k := range s.HostKeyFiles {
		fmt.Fprintf(&b, "HostKey %s\n", k)
	}
	fmt.Fprintf(&b, "AuthorizedKeysFile %s\n", filepath.Join(s.Dir, "authorized_keys"))
	pam := "no"
	if o.PAM {
		pam = "yes"
	}
	fmt.Fprintf(&b, "PidFile none\nStrictModes no\nUsePAM %s\nPermitRootLogin yes\nPubkeyAuthentication yes\n", pam)
	// Start-up files of the account's own home may cost 100 ms a command.
	fmt.Fprintf(&b, "SetEnv HOME=%s\n", s.Home)
	b.WriteString("PasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\n")
	for _, p := range []string{"/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server"} {
		if _, err := os.Stat(p); err == nil {
			fmt.Fprintf(&b, "Subsystem sftp %s\n", p)
			break
		}
	}
	return b.String()
}

// prepare makes the folder that sshd drops its privileges in.
func prepare() {
	if os.Getuid() == 0 {
		os.MkdirAll("/run/sshd", 0o755)
	}
}

func (s *Server) startStdio(t TB, program string, o Options) {
	t.Helper()
	prepare()
	config := s.write(t, "sshd_config", s.config(o, ""))
	if out, err := exec.Command(program, "-t", "-f", config).CombinedOutput(); err != nil {
		t.Fatalf("sshd -t: %v: %s", err, out)
	}
	s.ProxyCommand = program + " -i -f " + config
}

func (s *Server) startDaemon(t TB, program string, o Options) {
	t.Helper()
	prepare()
	listen := s.Host
	if o.Listen == "0.0.0.0" {
		listen = o.Listen
	}
	for range 5 { // the port may be taken between here and there
		s.Port = freePort(t, listen)
		config := s.write(t, "sshd_config", s.config(o, fmt.Sprintf("ListenAddress %s:%d\n", listen, s.Port)))
		// The shell ends sshd when this process is gone, however it went.
		cmd := exec.Command("/bin/sh", "-c", `"$@" & echo "pid $!" >&2; read _; kill -9 $!`, "sh", program, "-D", "-e", "-f", config)
		life, err := cmd.StdinPipe()
		if err != nil {
			t.Fatalf("%v", err)
		}
		said, err := cmd.StderrPipe()
		if err != nil {
			t.Fatalf("%v", err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatalf("start sshd: %v", err)
		}
		up := make(chan bool, 1)
		drained := make(chan struct{})
		go s.follow(bufio.NewScanner(said), up, drained)
		ok := false
		select {
		case ok = <-up:
		case <-time.After(10 * time.Second):
		}
		stop := func() {
			life.Close()
			cmd.Wait()
			<-drained
		}
		if ok {
			t.Cleanup(stop)
			return
		}
		stop()
	}
	t.Fatalf("sshd does not start: %s", s.Log())
}

// follow keeps the log and tells when the server listens.
func (s *Server) follow(lines *bufio.Scanner, up chan<- bool, drained chan<- struct{}) {
	defer close(drained)
	for lines.Scan() {
		s.mu.Lock()
		s.log.WriteString(lines.Text() + "\n")
		if pid, ok := strings.CutPrefix(lines.Text(), "pid "); ok && s.pid == 0 {
			s.pid, _ = strconv.Atoi(pid)
		}
		s.mu.Unlock()
		if strings.Contains(lines.Text(), "Server listening on") {
			select {
			case up <- true:
			default:
			}
		}
	}
	select {
	case up <- false:
	default:
	}
}

func freePort(t TB, host string) int {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
