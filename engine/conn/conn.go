// Package conn is the contract between dayops and a host: run a command, get
// a file, put a file. One Conn per host is kept for a whole run. It imports
// nothing but the standard library and package secret; conn/ssh and conn/local
// implement it, conn/conntest is the suite that both must pass.
package conn

import (
	"context"
	"io"
	"io/fs"
	"time"

	"github.com/dayops/dayops/engine/secret"
)

// Limits of every connection. They are printed by --help; change them there too.
const (
	DialLimit      = 10 * time.Second // TCP connect or ProxyCommand start
	HandshakeLimit = 30 * time.Second // key exchange and authentication
	KeepaliveEvery = 15 * time.Second
	KeepaliveMiss  = 3         // unanswered keepalives after which the host counts as gone
	MaxHandshakes  = 8         // at once, per address and per jump host (sshd MaxStartups 10:30:100)
	MaxSessions    = 8         // at once, per connection (sshd MaxSessions 10); fewer when the server refuses
	CaptureHead    = 256 << 10 // bytes of an output stream that are kept from its start
	CaptureTail    = 256 << 10 // and from its end; what lies between is counted and dropped
)

// Conn is an open connection to one host. Methods may be called at the same
// time from several goroutines; an implementation bounds the sessions itself.
// Every method returns when ctx ends, with ctx's error.
//
// A method fails with *LostError when the connection broke while it ran, so
// that the caller knows that the outcome on the host is in doubt, and with
// *BecomeError when the other account was refused.
type Conn interface {
	// Run runs one command and waits for it. A non-zero exit is a Result, not an error.
	Run(ctx context.Context, c Cmd) (Result, error)
	// Get streams the file at path to w and returns the number of bytes.
	// An absent file is an error that matches fs.ErrNotExist; a refused one fs.ErrPermission.
	Get(ctx context.Context, as string, path string, w io.Writer) (int64, error)
	// Put replaces the file at p.Path by r's bytes in one step, or changes nothing.
	Put(ctx context.Context, p Put, r io.Reader) error
	// Close ends the connection and returns within five seconds.
	Close() error
}

// Cmd is one command for a host.
type Cmd struct {
	// Argv is the program and its arguments, passed as they are: no shell reads them.
	// A shell is asked for by name: {"/bin/sh", "-c", script}.
	Argv []string
	// Env is added to the environment of this command. Never for secrets: /proc shows it.
	Env map[string]string
	// Dir is the working folder; "" is the account's home.
	Dir string
	// As is the account to run as; "" or the login account's name means no escalation.
	As string
	// Stdin is fed to the command; nil is an empty input.
	Stdin io.Reader
	// Stdout, where set, receives the whole output as it comes and Result.Stdout stays empty.
	Stdout io.Writer
	// Limit ends the command; 0 leaves it to ctx. A command that ran into it fails with context.DeadlineExceeded.
	Limit time.Duration
	// Guard marks a command that changes its host; nil is one that does not.
	Guard *Guard
	// Text says that stdout is text, and most often empty: a guard costs the host
	// two thirds then. NUL bytes in the first line of it would be lost.
	Text bool
}

// Result is how a command ended.
type Result struct {
	Code   int    // exit status; 128+n when signal n ended it
	Signal string // "TERM", "KILL", ...; "" when it exited by itself
	Stdout Capture
	Stderr Capture
}

// Put describes the file that a Put leaves. The bytes go to a new file with
// mode 0600 in the same folder, are synced and renamed over Path; a symlink at
// Path is replaced, not followed. The SELinux label is the old file's, or the
// policy's default for the path.
type Put struct {
	Path   string
	As     string      // account that writes
	Mode   fs.FileMode // permission bits with setuid, setgid and sticky; always set
	Owner  string      // name or number; "" keeps an existing file's, else the account's
	Group  string
	Size   int64  // bytes that r will give; -1 when not known. A different number is an error and changes nothing
	SHA256 string // lower-case hex of the content; "" when not known. A different sum is an error and changes nothing
	// Guard marks what the Put does on the host as Cmd.Guard does, all of it:
	// nothing is written unless the lock is held. Besides its ID it takes ID+".up".
	Guard *Guard
}

// HostKeyPolicy decides about host keys that known_hosts does not have.
// A key that differs from the known one is refused by both.
type HostKeyPolicy string

const (
	Strict    HostKeyPolicy = "strict"     // refuse unknown hosts
	AcceptNew HostKeyPolicy = "accept-new" // add unknown hosts to known_hosts
)

// Target says how a host is reached. Zero fields fall back to ~/.ssh/config, then to OpenSSH's defaults.
type Target struct {
	Name       string // inventory name; used in messages
	Kind       string // "ssh" or "local"
	Address    string // host name or IP; "" means Name
	Port       int
	User       string
	Password   secret.Value  // for password and keyboard-interactive authentication
	KeyFile    string        // private key; a certificate is taken from KeyFile-cert.pub
	CommonArgs []string      // words of ansible_ssh_common_args: -o ProxyJump=..., -o ProxyCommand=..., -J, ...
	HostKeys   HostKeyPolicy // "" is Strict

	BecomeMethod   string       // "" is "sudo", the only one so far
	BecomePassword secret.Value // sent only after our own prompt was seen
}

// Dialer opens connections. A Dialer shares what can be shared between
// targets (jump hosts, agent, handshake slots) until it is closed.
type Dialer interface {
	// Dial fails with *UnreachableError, *HostKeyError or *AuthError.
	Dial(ctx context.Context, t Target) (Conn, error)
	Close() error
}
