package labtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// RootPassword is etcd's root user's, where Fill turned authentication on.
const RootPassword = "lab root password"

// ElectionTimeout is what the members' settings say.
const ElectionTimeout = 2500 * time.Millisecond

const (
	askLimit   = time.Second      // for one member's answer, while others may be asked
	loginLimit = 5 * time.Second  // for a token: a password's hash costs 100 ms of a whole core, and there may be none to spare
	retryLimit = 40 * time.Second // for an answer of any member
	v2TTL      = 24 * time.Hour
)

// Etcd asks a lab's etcd from the control machine, over HTTPS with a
// certificate of its own: no tool of a host and no library of etcd is between. It asks
// every host that is or may become a member, until one answers.
type Etcd struct {
	hosts   []*Host
	http    *http.Client
	gateway string // its path; here requests are named as under /v3

	mu    sync.Mutex
	at    int    // index of the host that answered last
	token string // "" without authentication

	v2User, v2Password string // of the v2 API; "" for a guest
}

// EtcdOf is the cluster of a lab whose members have booted.
func EtcdOf(t testing.TB, l *Lab) *Etcd {
	t.Helper()
	e := &Etcd{hosts: append(l.Members(), l.Spares()...), gateway: l.Gateway()}
	if len(l.Members()) == 0 {
		t.Fatal("no member in the lab")
	}
	ca, pair, err := nameless(filepath.Join(l.Members()[0].Root(), "etc/etcd/ca"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}, MaxIdleConnsPerHost: 8}
	e.http = &http.Client{Transport: tr}
	t.Cleanup(tr.CloseIdleConnections)
	return e
}

// nameless signs a client's certificate without a common name: with
// authentication on, etcd refuses HTTP requests that come with one.
func nameless(caFolder string) (*x509.Certificate, tls.Certificate, error) {
	ca, err := tls.LoadX509KeyPair(filepath.Join(caFolder, "ca.crt"), filepath.Join(caFolder, "ca.key"))
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{Organization: []string{"lab"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca.Leaf, key.Public(), ca.PrivateKey)
	return ca.Leaf, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// answerError is a member's own "no".
type answerError struct {
	code    int
	message string
}

func (e answerError) Error() string { return fmt.Sprintf("etcd: %s (HTTP %d)", e.message, e.code) }

// ask posts one JSON request to one host.
func (e *Etcd) ask(ctx context.Context, h *Host, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	path = e.gateway + strings.TrimPrefix(path, "/v3")
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+h.IP+":2379"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	e.mu.Lock()
	if e.token != "" && path != authenticate { // that refuses one that has become worthless
		req.Header.Set("Authorization", e.token)
	}
	e.mu.Unlock()
	return e.do(req, out)
}

func (e *Etcd) do(req *http.Request, out any) error {
	res, err := e.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return answerError{res.StatusCode, strings.TrimSpace(string(text[:min(len(text), 300)]))}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

// anyone asks host after host until one answers well, or limit has passed.
func (e *Etcd) anyone(ctx context.Context, limit time.Duration, one func(context.Context, *Host) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		h := e.current()
		once, cancel := context.WithTimeout(ctx, max(askLimit, limit/4))
		err := one(once, h)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = fmt.Errorf("%s: %w", h.Name, err)
		}
		e.loginAgain(ctx, err)
		e.next(h)
		select {
		case <-ctx.Done():
			return fmt.Errorf("no member answers within %s: %w", limit, last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (e *Etcd) current() *Host {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hosts[e.at]
}

func (e *Etcd) next(h *Host) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.hosts[e.at] == h {
		e.at = (e.at + 1) % len(e.hosts)
	}
}

func (e *Etcd) post(t testing.TB, path string, in, out any) {
	t.Helper()
	err := e.anyone(context.Background(), retryLimit, func(ctx context.Context, h *Host) error { return e.ask(ctx, h, path, in, out) })
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

const authenticate = "/v3/auth/authenticate"

// login takes a new token: they last five minutes.
func (e *Etcd) login(ctx context.Context) {
	for _, h := range e.hosts {
		once, cancel := context.WithTimeout(ctx, loginLimit)
		var got struct{ Token string }
		err := e.ask(once, h, authenticate, map[string]string{"name": "root", "password": RootPassword}, &got)
		cancel()
		if err == nil {
			e.mu.Lock()
			e.token = got.Token
			e.mu.Unlock()
			return
		}
	}
}

// loginAgain takes a new token where err says that the old one is worth nothing:
// a member that was restarted knows none.
func (e *Etcd) loginAgain(ctx context.Context, err error) {
	var no answerError
	if errors.As(err, &no) && strings.Contains(no.message, "invalid auth token") {
		e.login(ctx)
	}
}

// EtcdMember is a member as the cluster lists it.
type EtcdMember struct {
	ID         string   `json:"ID"` // decimal
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	Learner    bool     `json:"isLearner"`
}

// Members lists the cluster's members by name.
func (e *Etcd) Members(t testing.TB) []EtcdMember {
	t.Helper()
	var got struct{ Members []EtcdMember }
	e.post(t, "/v3/cluster/member/list", struct{}{}, &got)
	slices.SortFunc(got.Members, func(a, b EtcdMember) int { return strings.Compare(a.Name, b.Name) })
	return got.Members
}

// Leader is the host whose member leads.
func (e *Etcd) Leader(t testing.TB) *Host {
	t.Helper()
	for end := time.Now().Add(retryLimit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		for _, h := range e.hosts {
			ctx, cancel := context.WithTimeout(context.Background(), askLimit)
			var got struct {
				Header struct {
					Member string `json:"member_id"`
				}
				Leader string
			}
			err := e.ask(ctx, h, "/v3/maintenance/status", struct{}{}, &got)
			cancel()
			if err == nil && got.Leader != "" && got.Leader == got.Header.Member {
				return h
			}
		}
	}
	t.Fatal("no leader")
	return nil
}

// AuthV2 has requests of the v2 API come from this user, once its authentication is
// on: etcd dies of a guest's with a certificate that has no name.
func (e *Etcd) AuthV2(user, password string) { e.v2User, e.v2Password = user, password }

func (e *Etcd) v2Name(req *http.Request) {
	if e.v2User != "" {
		req.SetBasicAuth(e.v2User, e.v2Password)
	}
}

// SetV2 puts a key over the v2 API; ttl 0 is for ever.
func (e *Etcd) SetV2(t testing.TB, key, value string, ttl time.Duration) {
	t.Helper()
	form := url.Values{"value": {value}}
	if ttl > 0 {
		form.Set("ttl", fmt.Sprint(int(ttl.Seconds())))
	}
	err := e.anyone(context.Background(), retryLimit, func(ctx context.Context, h *Host) error {
		u := url.URL{Scheme: "https", Host: h.IP + ":2379", Path: "/v2/keys/" + strings.TrimPrefix(key, "/")}
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, u.String(), strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		e.v2Name(req)
		return e.do(req, nil)
	})
	if err != nil {
		t.Fatalf("v2 %s: %v", key, err)
	}
}
