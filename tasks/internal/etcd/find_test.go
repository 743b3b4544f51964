package etcd

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/reader"
)

func TestEnvironmentFiles(t *testing.T) {
	vars, err := ParseEnvironmentFile(golden(t, "etcd.conf"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"ETCD_NAME": "master-0", "ETCD_DATA_DIR": "/var/lib/etcd/", "A": "two words", "B": `x"y\n$z`, "C": `a\b`,
		"D": "goes on", "E": "trailing", "F": "", "G": "no;comment #here", "H": "two\nlines"}, vars)
	_, err = ParseEnvironmentFile(strings.Repeat("x", MaxSettings+1))
	require.Error(t, err)
}

func TestFlags(t *testing.T) {
	vars := map[string]string{"ETCD_NAME": "m0", "ETCD_DATA_DIR": "/d", "DAEMON_ARGS": "--quota-backend-bytes 5 --enable-v2"}
	got := Flags([]string{"/bin/bash", "-c", `GOMAXPROCS=$(nproc) /usr/bin/etcd --name="${ETCD_NAME}" --data-dir="${ETCD_DATA_DIR}" --wal-dir="${NONE}"`, "$DAEMON_ARGS"}, vars)
	require.Equal(t, map[string]string{"ETCD_NAME": "m0", "ETCD_DATA_DIR": "/d", "ETCD_QUOTA_BACKEND_BYTES": "5", "ETCD_ENABLE_V2": "true"}, got)
}

func TestUnitShown(t *testing.T) {
	s := parseShow("ExecStart={ path=/usr/bin/etcd ; argv[]=/usr/bin/etcd $DAEMON_ARGS ; ignore_errors=no ; pid=35 }\nEnvironment=DAEMON_ARGS= ETCD_NAME=master-0 \"A=b c\"\nEnvironmentFiles=/etc/default/etcd (ignore_errors=yes)\nEnvironmentFiles=/etc/etcd/etcd.conf (ignore_errors=no)\n")
	require.Equal(t, []string{"/usr/bin/etcd", "$DAEMON_ARGS"}, s.argv)
	require.Equal(t, map[string]string{"DAEMON_ARGS": "", "ETCD_NAME": "master-0", "A": "b c"}, s.env)
	require.Equal(t, []envFile{{"/etc/default/etcd", true}, {"/etc/etcd/etcd.conf", false}}, s.files)
}

func TestManifests(t *testing.T) {
	m, err := parseManifest("etcd.yaml", []byte(golden(t, "ocp-etcd.yaml")))
	require.NoError(t, err)
	require.Equal(t, "/etc/etcd/etcd.conf", m.file)
	m, err = parseManifest("etcd.yaml", []byte(golden(t, "kubeadm-etcd.yaml")))
	require.NoError(t, err)
	f := Flags(m.argv, nil)
	require.Equal(t, "/var/lib/etcd", f["ETCD_DATA_DIR"])
	require.Equal(t, "true", f["ETCD_CLIENT_CERT_AUTH"])
	var in Instance
	in.fill(f)
	require.Equal(t, "https://192.168.55.10:2379", in.Endpoint)
	_, err = parseManifest("etcd.yaml", []byte("spec: {}"))
	require.Error(t, err)
}

func TestEndpoints(t *testing.T) {
	for _, c := range [][3]string{
		{"https://10.0.0.1:2379", "https://10.0.0.1:2379,https://127.0.0.1:2379", "https://10.0.0.1:2379"},
		{"https://vip:2379", "https://10.0.0.1:2379", "https://10.0.0.1:2379"},
		{"https://10.0.0.1:2379", "https://0.0.0.0:2379", "https://10.0.0.1:2379"},
		{"", "http://0.0.0.0:2379", "http://127.0.0.1:2379"},
		{"", "", "http://localhost:2379"},
	} {
		var in Instance
		in.fill(map[string]string{"ETCD_ADVERTISE_CLIENT_URLS": c[0], "ETCD_LISTEN_CLIENT_URLS": c[1]})
		require.Equal(t, c[2], in.Endpoint)
	}
	for u, want := range map[string]bool{"http://localhost:2380": true, "https://127.0.0.1:2380": true, "https://[::1]:2380": true, "https://10.0.0.1:2380": false, "http://0.0.0.0:2380": true} {
		require.Equal(t, want, Local(u), u)
	}
}

// Every question is a row of the table of probes, and nothing that writes is.
func TestArgvIsInTheTable(t *testing.T) {
	const u = "https://10.0.0.1:2379"
	for _, c := range []Ctl{
		{}, {CA: "/etc/etcd/ca.crt"}, {CA: "/etc/etcd/ca.crt", Cert: "/etc/etcd/peer.crt", Key: "/etc/etcd/peer.key"},
		{Wrap: []string{"master-exec", "etcd", "etcd"}, CA: "/c"}, {Wrap: []string{"docker", "exec", "etcd_container"}},
	} {
		for _, argv := range [][]string{c.Version(), c.MemberList(u), c.Status(u, u, "http://[fe80::1]:2379"), c.Health(u), c.Alarms(u), c.HashKV(u, 1<<62), c.Keys(u), c.V2Health(u), c.V2Root(u)} {
			require.NoError(t, reader.CheckProbe(argv))
		}
	}
	k := Ctl{Wrap: []string{"crictl", "exec", "0123456789ab"}, NoEnv: true, CA: "/c", Cert: "/d", Key: "/e"}
	require.NoError(t, reader.CheckProbe(k.Status(u)))
	for _, bad := range [][]string{
		{"env", "ETCDCTL_API=3", "etcdctl", "alarm", "disarm"},
		{"env", "ETCDCTL_API=3", "etcdctl", "--dial-timeout", "3s", "--command-timeout", "5s", "--endpoints", u, "--write-out", "json", "alarm", "disarm"},
		{"env", "ETCDCTL_API=3", "etcdctl", "--dial-timeout", "3s", "--command-timeout", "5s", "--endpoints", "--write-out", "--write-out", "json", "member", "list"},
		{"env", "ETCDCTL_API=2", "etcdctl", "--endpoints", u, "rm", "/"},
	} {
		require.Error(t, reader.CheckProbe(bad))
	}
}

func FuzzSettings(f *testing.F) {
	f.Add(golden(f, "etcd.conf"))
	f.Add(golden(f, "ocp-etcd.yaml"))
	f.Add(golden(f, "kubeadm-etcd.yaml"))
	f.Fuzz(func(t *testing.T, s string) {
		vars, err := ParseEnvironmentFile(s)
		if err == nil {
			var in Instance
			in.fill(vars)
			in.client()
			if in.Endpoint != "" && reader.CheckProbe(Ctl{}.Status(in.Endpoint)) != nil && !strings.ContainsAny(in.Endpoint, "%\\") && len(urls([]string{in.Endpoint})) == 0 {
				t.Fatal(in.Endpoint)
			}
		}
		Flags(Words(s), vars)
		parseShow(s)
		_, _ = parseManifest("x", []byte(s))
	})
}

// unitHost is a host with some units.
type unitHost struct {
	teller
	units map[string]reader.Unit
}

func (h *unitHost) Units(_ context.Context, names ...string) (out []reader.Unit, err error) {
	for _, n := range names {
		u, ok := h.units[n]
		if !ok {
			u = reader.Unit{LoadState: "not-found", ActiveState: "inactive"}
		}
		u.Name = n
		out = append(out, u)
	}
	return out, nil
}

func (h *unitHost) Hash(_ context.Context, paths ...string) ([]reader.File, error) {
	return make([]reader.File, len(paths)), nil
}

// A member under a unit of another name is not taken for the stopped one of the package.
func TestFindUnitOfAnotherName(t *testing.T) {
	exec := func(program string) string {
		return "ExecStart={ path=" + program + " ; argv[]=" + program + " --name m1 --listen-client-urls https://10.0.0.1:2379 ; ignore_errors=no ; pid=35 }\n"
	}
	up, down := reader.Unit{LoadState: "loaded", ActiveState: "active"}, reader.Unit{LoadState: "loaded", ActiveState: "inactive"}
	h := &unitHost{units: map[string]reader.Unit{"etcd.service": down, "etcd-main.service": up, "etcd-backup.service": up}, teller: teller{answers: map[string]string{
		"list-units --no-legend --no-pager --all": "  boot.mount loaded active mounted x\n● etcd-bad.service not-found inactive dead x\n" +
			"  etcd-backup.service loaded active running b\n  etcd-main.service loaded activating start m\n",
		"show etcd-backup.service": exec("/opt/etcd-backup"), "show etcd-main.service": exec("/usr/bin/etcd"), "show etcd.service": exec("/usr/bin/etcd"),
	}}}
	in, ok, err := Find(t.Context(), h, Places{})
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "etcd-main.service", in.Unit)
	require.Equal(t, "m1", in.Name)
	require.False(t, in.Down())

	delete(h.answers, "show etcd-main.service") // it is none
	in, ok, err = Find(t.Context(), h, Places{})
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "etcd.service", in.Unit)
	require.True(t, in.Down())
}
