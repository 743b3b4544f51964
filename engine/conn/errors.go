package conn

import (
	"fmt"
	"strings"
	"time"
)

// UnreachableError: no connection came about.
type UnreachableError struct {
	Host  string        // inventory name
	Addr  string        // host:port, or the ProxyCommand
	Stage string        // "config", "resolve", "connect", "proxy", "handshake"
	Limit time.Duration // set when a limit of ours ended the attempt
	Err   error
}

func (e *UnreachableError) Error() string {
	if e.Limit > 0 {
		return fmt.Sprintf("%s no answer in %s (%s)", e.Addr, e.Limit, e.Stage)
	}
	return fmt.Sprintf("%s %s: %v", e.Addr, e.Stage, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// AuthError: the host answered and refused the account.
type AuthError struct {
	Host, Addr, User string
	Tried            []string // "publickey /root/.ssh/id_ed25519", "password", ... in order
	Jump             bool     // it was a jump host on the way to Host
	Err              error
}

func (e *AuthError) Error() string {
	who := e.Addr
	if e.Jump {
		who = "jump host " + who
	}
	return fmt.Sprintf("%s refused user %s; tried %s", who, e.User, strings.Join(e.Tried, ", "))
}

func (e *AuthError) Unwrap() error { return e.Err }

// HostKeyError: the host's key is unknown, or not the one that is known.
type HostKeyError struct {
	Host, Addr string
	Type       string     // "ssh-ed25519"
	Got        string     // fingerprint, SHA256:...
	Want       []KnownKey // keys on file for this address; empty: the host is unknown
	Revoked    bool
	Jump       bool     // the key is that of a jump host on the way to Host
	Files      []string // known_hosts files that were read
}

// KnownKey is one key on file.
type KnownKey struct {
	Type, Fingerprint, File string
	Line                    int
}

// Unknown tells a host that is not on file from one whose key changed.
func (e *HostKeyError) Unknown() bool { return len(e.Want) == 0 && !e.Revoked }

func (e *HostKeyError) Error() string {
	who := e.Addr
	if e.Jump {
		who = "jump host " + who
	}
	switch {
	case e.Revoked:
		return fmt.Sprintf("%s host key %s %s is revoked", who, e.Type, e.Got)
	case e.Unknown():
		return fmt.Sprintf("%s host key %s %s is not in known_hosts", who, e.Type, e.Got)
	}
	var known []string
	for _, k := range e.Want {
		known = append(known, fmt.Sprintf("%s %s (%s:%d)", k.Type, k.Fingerprint, k.File, k.Line))
	}
	return fmt.Sprintf("%s host key CHANGED: got %s %s, on file %s", who, e.Type, e.Got, strings.Join(known, ", "))
}

// BecomeReason says why another account was refused.
type BecomeReason string

const (
	NeedsPassword BecomeReason = "needs a password"
	WrongPassword BecomeReason = "the password was refused"
	NotAllowed    BecomeReason = "not allowed by sudoers"
	RequiresTTY   BecomeReason = "sudoers has requiretty"
	NoSudo        BecomeReason = "sudo is not installed"
	NoSuchUser    BecomeReason = "no such account"
	BecomeFailed  BecomeReason = "failed"
)

// BecomeError: the login works, the escalation does not.
type BecomeError struct {
	Host, Login, User string
	Reason            BecomeReason
	Detail            string // what sudo said
}

func (e *BecomeError) Error() string {
	s := fmt.Sprintf("sudo from %s to %s: %s", e.Login, e.User, e.Reason)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// LostError: the connection broke while something ran; what it did is in doubt.
type LostError struct {
	Host, Doing string
	Err         error
}

func (e *LostError) Error() string {
	return fmt.Sprintf("connection lost during %s: %v", e.Doing, e.Err)
}

func (e *LostError) Unwrap() error { return e.Err }
