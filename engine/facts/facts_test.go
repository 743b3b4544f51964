package facts

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/stretchr/testify/require"
)

func TestGatherHere(t *testing.T) {
	c, err := local.New(conn.Target{Name: "here"})
	require.NoError(t, err)
	h, err := Gather(context.Background(), c, time.Now)
	require.NoError(t, err)
	name, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, strings.Split(name, ".")[0], h.Hostname)
	require.NotEmpty(t, h.OS.ID)
	require.Equal(t, os.Getuid(), h.UID)
	require.Positive(t, h.CPUs)
	require.Positive(t, h.MemoryMiB)
	require.Len(t, h.BootID, 36)
	require.Less(t, h.Skew.Abs(), 5*time.Second)
	require.NotEmpty(t, h.Env["HOME"])
	require.Equal(t, os.Getenv("PATH"), h.Env["PATH"])
	a := h.Ansible()
	for _, k := range []string{"hostname", "fqdn", "distribution", "distribution_version", "distribution_major_version", "os_family", "kernel",
		"architecture", "service_mgr", "processor_vcpus", "memtotal_mb", "all_ipv4_addresses", "default_ipv4", "date_time", "user_id", "env", "selinux"} {
		require.Contains(t, a, k)
	}
}

func answer(pairs ...string) string { return strings.Join(append(pairs, "E", ""), "\x00") }

const centos7 = `NAME="CentOS Linux"
VERSION="7 (Core)"
ID="centos"
ID_LIKE="rhel fedora"
VERSION_ID="7"
PRETTY_NAME="CentOS Linux 7 (Core)"
`

func TestParse(t *testing.T) {
	h, took, err := parse(answer("clockend", "1795314788.5", "clock", "1795314787.500000000", "zone", "JST +0900", "node", "m1.example.com", "fqdn", "", "os", centos7,
		"systemd", "systemd 219", "packager", "yum", "selinux", "enforcing", "virt", "kvm", "cpus", "4", "memory", "16266852",
		"addrs", "2: eth0    inet 192.0.2.7/24 brd 192.0.2.255 scope global eth0\n2: eth0    inet6 2001:db8::7/64 scope global \n3: docker0 inet 172.17.0.1/16 scope global docker0",
		"route", "192.0.2.1 dev eth0 src 192.0.2.7 uid 0", "login", "ops", "uid", "1000", "btime", "1795000000"))
	require.NoError(t, err)
	require.Equal(t, time.Second, took)
	require.Equal(t, "m1", h.Hostname)
	require.Equal(t, "m1.example.com", h.FQDN)
	require.Equal(t, 219, h.Systemd)
	require.Equal(t, "redhat", h.OS.Family())
	require.Equal(t, []string{"192.0.2.7", "172.17.0.1", "2001:db8::7"}, h.Addresses)
	a := h.Ansible()
	require.Equal(t, "CentOS", a["distribution"])
	require.Equal(t, "RedHat", a["os_family"])
	require.Equal(t, "7", a["distribution_major_version"])
	require.Equal(t, map[string]any{"address": "192.0.2.7"}, a["default_ipv4"])
	require.Equal(t, int64(15885), a["memtotal_mb"])
	require.Equal(t, "yum", a["pkg_mgr"])
	require.Equal(t, "example.com", a["domain"])
	require.Equal(t, map[string]any{"status": "enabled", "mode": "enforcing"}, a["selinux"])
	require.Equal(t, "+0900", a["date_time"].(map[string]any)["tz_offset"])
	require.Equal(t, "2026-11-22T02:33:07Z", a["date_time"].(map[string]any)["iso8601"])
	require.Equal(t, "11", a["date_time"].(map[string]any)["hour"])
}

func TestParseOld(t *testing.T) {
	h, _, err := parse(answer("clock", "1795314787", "release", "Red Hat Enterprise Linux Server release 6.10 (Santiago)"))
	require.NoError(t, err)
	require.Equal(t, "6.10", h.OS.VersionID)
	require.Equal(t, "RedHat", h.Ansible()["distribution"])
	require.Equal(t, "6", h.Ansible()["distribution_major_version"])
	h, _, err = parse(answer("clock", "1", "os", "ID=debian\nVERSION_ID=\"12\"\n", "debian", "12.5"))
	require.NoError(t, err)
	require.Equal(t, "12.5", h.Ansible()["distribution_version"])
	require.Equal(t, "12", h.Ansible()["distribution_major_version"])
}

func TestParseLies(t *testing.T) {
	for _, bad := range []string{"", "E", "x", answer("clock"), answer("clock", "now"), answer("clock", "1", "uid", "-1"),
		answer("clock", "1", "node", "a\x1b[31m"), answer("clock", "1", "cpus", "many"), answer("clock", "1", "systemd", "systemd x"),
		strings.TrimSuffix(answer("clock", "1"), "E\x00")} {
		_, _, err := parse(bad)
		require.Error(t, err, "%q", bad)
	}
}

type flood struct{ conn.Conn }

func (flood) Run(_ context.Context, c conn.Cmd) (conn.Result, error) {
	for {
		if _, err := c.Stdout.Write(make([]byte, 64<<10)); err != nil {
			return conn.Result{}, err
		}
	}
}

func TestFlood(t *testing.T) {
	_, err := Gather(context.Background(), flood{}, time.Now)
	require.ErrorIs(t, err, errTooMuch)
}

func FuzzParse(f *testing.F) {
	f.Add(answer("clock", "1795314787.5", "os", centos7, "addrs", "1: a inet 192.0.2.7/24"))
	f.Fuzz(func(t *testing.T, s string) {
		if h, _, err := parse(s); err == nil {
			h.Ansible()
			if strings.ContainsAny(h.Hostname+h.Kernel+h.OS.Name, "\x1b\n") {
				t.Fatal("control characters in facts")
			}
		}
	})
}
