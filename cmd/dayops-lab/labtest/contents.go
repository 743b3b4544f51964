package labtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

// Auth says who may use etcd after Fill.
type Auth int

// Without authentication; users by the common name of a member's certificate
// (root's password works too); root's password alone.
const (
	AuthOff Auth = iota
	AuthByName
	AuthByPassword
)

// Content is what Fill puts into a cluster.
type Content struct {
	V3     int // keys, of different sizes, some binary, one in ten with a lease
	V2     int // keys in folders, one in ten with a time to live
	Leases int // over which those keys are spread; 0: none has a lease
	Auth   Auth
}

// Fill fills an etcd. Authentication is turned on last.
func (e *Etcd) Fill(t testing.TB, c Content) {
	t.Helper()
	var leases []string
	for range c.Leases {
		var got struct{ ID string }
		e.post(t, "/v3/lease/grant", map[string]string{"TTL": "86400"}, &got)
		leases = append(leases, got.ID)
	}
	const batch = 100
	for from := 0; from < c.V3; from += batch {
		var ops []any
		for n := from; n < min(from+batch, c.V3); n++ {
			put := map[string]any{"key": []byte(v3Key(n)), "value": []byte(v3Value(n))}
			if len(leases) > 0 && n%10 == 0 {
				put["lease"] = leases[n/10%len(leases)]
			}
			ops = append(ops, map[string]any{"requestPut": put})
		}
		e.post(t, "/v3/kv/txn", map[string]any{"success": ops}, nil)
	}
	e.fillV2(t, c.V2)
	if c.Auth != AuthOff {
		e.authenticate(t, c.Auth)
	}
}

func v3Key(n int) string { return fmt.Sprintf("/kubernetes.io/things/ns-%d/%05d", n%17, n) }

func v3Value(n int) string {
	head := fmt.Sprintf("value %d\x00\xff", n)
	return head + strings.Repeat("x", n%97*n%1000)
}

func (e *Etcd) fillV2(t testing.TB, keys int) {
	var wg sync.WaitGroup
	const at = 8
	for w := range at {
		wg.Go(func() {
			for n := w; n < keys; n += at {
				ttl := v2TTL
				if n%10 != 0 {
					ttl = 0
				}
				e.SetV2(t, fmt.Sprintf("/old/folder %d/%04d", n%7, n), fmt.Sprintf("v2 value %d é", n), ttl)
			}
		})
	}
	wg.Wait()
}

// authenticate makes the users and turns authentication on.
func (e *Etcd) authenticate(t testing.TB, how Auth) {
	t.Helper()
	e.post(t, "/v3/auth/role/add", map[string]string{"name": "root"}, nil)
	e.post(t, "/v3/auth/user/add", map[string]string{"name": "root", "password": RootPassword}, nil)
	users := []string{"root"}
	named := map[string]any{"options": map[string]bool{"noPassword": true}}
	if e.gateway != "/v3" {
		named = map[string]any{"password": RootPassword} // 3.2 and 3.3 have no user without one
	}
	if how == AuthByName {
		for _, h := range e.hosts {
			named["name"] = h.Name
			e.post(t, "/v3/auth/user/add", named, nil)
			users = append(users, h.Name)
		}
	}
	for _, u := range users {
		e.post(t, "/v3/auth/user/grant", map[string]string{"user": u, "role": "root"}, nil)
	}
	e.post(t, "/v3/auth/enable", struct{}{}, nil)
	e.login(context.Background())
}

// Spoil changes, deletes and adds keys, for a restore to take back.
func (e *Etcd) Spoil(t testing.TB) {
	t.Helper()
	e.post(t, "/v3/kv/put", map[string][]byte{"key": []byte(v3Key(1)), "value": []byte("spoiled")}, nil)
	e.post(t, "/v3/kv/put", map[string][]byte{"key": []byte("/new"), "value": []byte("spoiled")}, nil)
	e.post(t, "/v3/kv/deleterange", map[string][]byte{"key": []byte(v3Key(100)), "range_end": []byte(v3Key(299))}, nil)
}

// Forget is for after a restore: a token of before is worth nothing.
func (e *Etcd) Forget(t testing.TB) {
	t.Helper()
	e.http.CloseIdleConnections()
	e.mu.Lock()
	with := e.token != ""
	e.token = ""
	e.mu.Unlock()
	for end := time.Now().Add(retryLimit); with && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		e.login(context.Background())
		e.mu.Lock()
		done := e.token != ""
		e.mu.Unlock()
		if done {
			return
		}
	}
}

// KV is one v3 key's value and the ID of its lease; "" without one.
type KV struct{ Value, Lease string }

// Contents is all that an etcd holds.
type Contents struct {
	V3       map[string]KV
	V2       map[string]string // "TTL " stands before the value of a key that ends
	Leases   []string
	Users    []string
	Revision int64
}

// Contents reads everything; v2 where the lab's etcd serves it.
func (e *Etcd) Contents(t testing.TB, v2 bool) Contents {
	t.Helper()
	c := Contents{V3: e.V3(t, ""), V2: map[string]string{}}
	c.Leases = e.leases(t, c.V3)
	var users struct{ Users []string }
	e.post(t, "/v3/auth/user/list", struct{}{}, &users)
	c.Users = users.Users
	slices.Sort(c.Users)
	c.Revision = e.Revision(t)
	if v2 {
		e.readV2(t, c.V2)
	}
	return c
}

// leases are the cluster's; those of keys where the gateway has no list (before 3.4).
func (e *Etcd) leases(t testing.TB, keys map[string]KV) (ids []string) {
	t.Helper()
	if e.gateway != "/v3" {
		for _, kv := range keys {
			if kv.Lease != "" {
				ids = append(ids, kv.Lease)
			}
		}
		slices.Sort(ids)
		return slices.Compact(ids)
	}
	var got struct{ Leases []struct{ ID string } }
	e.post(t, "/v3/lease/leases", struct{}{}, &got)
	for _, l := range got.Leases {
		ids = append(ids, l.ID)
	}
	slices.Sort(ids)
	return ids
}

// Revision is the store's.
func (e *Etcd) Revision(t testing.TB) int64 {
	t.Helper()
	var got struct {
		Header struct {
			Revision int64 `json:",string"`
		}
	}
	e.post(t, "/v3/kv/range", map[string]any{"key": []byte("\x00")}, &got)
	return got.Header.Revision
}

// V3 reads all keys with the prefix, confirmed by a quorum.
func (e *Etcd) V3(t testing.TB, prefix string) map[string]KV {
	t.Helper()
	from, end := []byte(prefix), []byte(prefix)
	if prefix == "" {
		from, end = []byte{0}, []byte{0}
	} else {
		end = slices.Clone(end)
		end[len(end)-1]++
	}
	out := map[string]KV{}
	for {
		var got struct {
			KVs []struct {
				Key, Value []byte
				Lease      string
			}
			More bool
		}
		e.post(t, "/v3/kv/range", map[string]any{"key": from, "range_end": end, "limit": "1000"}, &got)
		for _, kv := range got.KVs {
			if kv.Lease == "0" {
				kv.Lease = ""
			}
			out[string(kv.Key)] = KV{string(kv.Value), kv.Lease}
			from = append(kv.Key, 0)
		}
		if !got.More {
			return out
		}
		if len(got.KVs) == 0 {
			t.Fatal("v3: a member says that there are more keys, and gives none")
		}
	}
}

type v2Node struct {
	Key, Value string
	TTL        int
	Dir        bool
	Nodes      []v2Node
}

func (e *Etcd) readV2(t testing.TB, into map[string]string) {
	t.Helper()
	var got struct{ Node v2Node }
	err := e.anyone(context.Background(), retryLimit, func(ctx context.Context, h *Host) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+h.IP+":2379/v2/keys/?recursive=true&quorum=true", nil)
		if err != nil {
			return err
		}
		e.v2Name(req)
		return e.do(req, &got)
	})
	if err != nil {
		t.Fatalf("v2: %v", err)
	}
	var walk func(v2Node)
	walk = func(n v2Node) {
		if !n.Dir {
			if n.TTL > 0 {
				n.Value = "TTL " + n.Value
			}
			into[n.Key] = n.Value
		}
		for _, x := range n.Nodes {
			walk(x)
		}
	}
	walk(got.Node)
}

// Differences says in a few lines how b is not a; "" when all keys, leases and
// users are the same. The revision is not compared.
func Differences(a, b Contents) string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	compare := func(api string, a, b map[string]string) {
		for k, v := range a {
			if w, ok := b[k]; !ok {
				say("%s key %q is gone", api, k)
			} else if v != w {
				say("%s key %q was %.40q, is %.40q", api, k, v, w)
			}
		}
		for k := range b {
			if _, ok := a[k]; !ok {
				say("%s key %q is new", api, k)
			}
		}
	}
	flat := func(in map[string]KV) map[string]string {
		m := map[string]string{}
		for k, v := range in {
			text, _ := json.Marshal([]string{v.Lease, fmt.Sprintf("%q", v.Value)})
			m[k] = string(text)
		}
		return m
	}
	compare("v3", flat(a.V3), flat(b.V3))
	compare("v2", a.V2, b.V2)
	if !slices.Equal(a.Leases, b.Leases) {
		say("%d leases were %d", len(b.Leases), len(a.Leases))
	}
	if !slices.Equal(a.Users, b.Users) {
		say("users were %v, are %v", a.Users, b.Users)
	}
	sort.Strings(out)
	if len(out) > 10 {
		out = append(out[:10], fmt.Sprintf("and %d more", len(out)-10))
	}
	return strings.Join(out, "\n")
}
