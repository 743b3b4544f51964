package reader

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
)

func fedArgv(endpoint, user string, verb ...string) []string {
	head := strings.Fields("env ETCDCTL_API=3 etcdctl --dial-timeout 3s --command-timeout 5s --endpoints " + endpoint + " --user " + user + " --write-out json")
	return append(head, verb...)
}

func as(user, password string) Logins {
	return func(service string) (string, []byte, error) {
		if service != EtcdService {
			return "", nil, nil
		}
		return user, []byte(password), nil
	}
}

func TestFedTable(t *testing.T) {
	list := fedArgv("https://m1:2379", "root", "member", "list")
	require.NoError(t, CheckProbe(list))
	require.False(t, fits(Probes(), list), "without an input it could only fail")
	for _, argv := range [][]string{
		fedArgv("https://m1:2379", "root:secret", "member", "list"), fedArgv("https://m1:2379", "root", "put", "x", "y"),
		fedArgv("https://m1:2379", "root", "get", "x"),
	} {
		_, err := New(nil, "").With(as("root", "secret")).Probe(t.Context(), argv...)
		var refused *RefusedError
		require.ErrorAs(t, err, &refused, argv)
	}
	for name, l := range map[string]Logins{"nobody": nil, "somebody else": as("other", "secret"), "no password": as("root", "")} {
		_, err := New(nil, "").With(l).Probe(t.Context(), list...)
		var none *NoLoginError
		require.ErrorAs(t, err, &none, name)
		require.ErrorContains(t, err, "etcd_password", name)
	}
	user, err := New(nil, "").With(as("root", "secret")).User(EtcdService)
	require.NoError(t, err)
	require.Equal(t, "root", user)
	user, err = New(nil, "").User(EtcdService)
	require.NoError(t, err)
	require.Empty(t, user)
}

// etcdWithPassword is a real etcd whose root has a password.
func etcdWithPassword(t *testing.T, password string) (endpoint string) {
	t.Helper()
	for _, p := range []string{"etcd", "etcdctl"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip("needs " + p)
		}
	}
	var urls []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		urls = append(urls, "http://"+l.Addr().String())
		defer l.Close()
		require.NoError(t, l.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "etcd", "--data-dir", t.TempDir(), "--listen-client-urls", urls[0], "--advertise-client-urls", urls[0],
		"--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1], "--initial-cluster", "default="+urls[1])
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	ctl := func(words ...string) error {
		c := exec.Command("etcdctl", append([]string{"--endpoints", urls[0]}, words...)...)
		c.Env = append(c.Environ(), "ETCDCTL_API=3")
		out, err := c.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%v: %w: %s", words, err, out)
		}
		return err
	}
	require.Eventually(t, func() bool { return ctl("endpoint", "health") == nil }, 20*time.Second, 100*time.Millisecond)
	_ = ctl("role", "add", "root") // some versions have it
	require.NoError(t, ctl("user", "add", "root:"+password))
	require.NoError(t, ctl("user", "grant-role", "root", "root"))
	require.NoError(t, ctl("auth", "enable"))
	return urls[0]
}

// A password reaches etcdctl through its input, and its prompt is not part of the answer.
func TestFedEtcdctl(t *testing.T) {
	endpoint := etcdWithPassword(t, "s3cret-word")
	c, err := local.New(conn.Target{Name: "here"})
	require.NoError(t, err)
	keys := fedArgv(endpoint, "root", "get", "", "--prefix", "--keys-only", "--limit", "1")
	res, err := New(c, "").With(as("root", "s3cret-word")).Probe(t.Context(), keys...)
	require.NoError(t, err)
	require.Zero(t, res.Code, res.Stderr.String())
	require.True(t, strings.HasPrefix(res.Stdout.String(), `{"header":`), res.Stdout.String())
	res, err = New(c, "").With(as("root", "wrong")).Probe(t.Context(), keys...)
	require.NoError(t, err)
	require.NotZero(t, res.Code)
	require.Contains(t, res.Stderr.String(), "authentication failed")
	require.NotContains(t, res.Stderr.String()+res.Stdout.String(), "s3cret-word")
}
