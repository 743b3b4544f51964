//go:build soak

package e2e

import (
	"encoding/base64"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

// TestEtcdCerts lets the certificates of a real cluster nearly expire, and renews
// them while somebody writes.
func TestEtcdCerts(t *testing.T) {
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Masters: 3})
	r := &rolling{t: t, h: l.Hosts(), d: newDesk(t, l.Inventory())}
	r.well()
	t.Run("renewed", r.renewed)
	if os.Getenv("DAYOPS_SOAK") != "" {
		t.Run("killed", r.renewalKilled)
		t.Run("expired", r.expired)
	}
}

// short gives every member certificates that end at a time of openssl's form,
// signed on the first host, and restarts it.
func (r *rolling) short(t *testing.T, from, to string) {
	for _, h := range r.h {
		packed := on(t, r.h[0], `set -e; rm -rf /root/short; mkdir /root/short; cd /root/short; export SAN=IP:$1,DNS:$2 cfg=/etc/etcd/ca/openssl.cnf
for use in server peer; do
  openssl req -new -config $cfg -keyout $use.key -out $use.csr -reqexts etcd_v3_req -batch -nodes -subj /CN=$2 2>/dev/null
  openssl ca -name etcd_ca -config $cfg -out $use.crt -in $use.csr -extensions etcd_v3_ca_$use -batch -notext -startdate $3 -enddate $4 2>/dev/null
done
tar cz *.key *.crt | base64 -w0`, h.IP, h.Name, from, to)
		_, err := base64.StdEncoding.DecodeString(strings.TrimSpace(packed))
		require.NoError(t, err)
		on(t, h, `set -e; cd /etc/etcd; echo "$1" | base64 -d | tar xz; chown etcd:etcd *.key *.crt; chmod 600 *.key *.crt`, strings.TrimSpace(packed))
	}
}

func openssl(at time.Time) string { return at.UTC().Format("060102150405Z") }

// serials are the members' certificates: their serial numbers, and mode and owner of the keys.
func (r *rolling) serials(t *testing.T) map[string]string {
	out := map[string]string{}
	for _, h := range r.h {
		out[h.Name] = on(t, h, `cd /etc/etcd; for f in server peer; do openssl x509 -in $f.crt -noout -serial; openssl verify -CAfile ca.crt $f.crt
[ "$(openssl x509 -in $f.crt -noout -pubkey)" = "$(openssl pkey -in $f.key -pubout)" ] && stat -c '%a %U:%G' $f.key; done 2>&1; :`)
	}
	return out
}

// fresh: every member has other certificates that hold, with their keys.
func (r *rolling) fresh(t *testing.T, old map[string]string) {
	t.Helper()
	for host, now := range r.serials(t) {
		was := strings.Fields(old[host])
		for _, word := range strings.Fields(now) {
			if strings.HasPrefix(word, "serial=") {
				require.NotContains(t, was, word, "%s: %s", host, now)
			}
		}
		require.Equal(t, 2, strings.Count(now, "600 etcd:etcd"), "%s: %s", host, now)
		require.Equal(t, 2, strings.Count(now, ".crt: OK"), "%s: %s", host, now)
	}
	require.Empty(t, strings.TrimSpace(on(t, r.h[0], "ls -d /etc/etcd/generated_certs/.dayops* 2>/dev/null; :")), "no key stays with the authority")
	r.well()
}

func (r *rolling) renewed(t *testing.T) {
	r.t, r.d.t = t, t
	now := time.Now()
	r.short(t, openssl(now.Add(-time.Hour)), openssl(now.AddDate(0, 0, 20)))
	r.d.must(0, "run", "builtin:etcd-restart.yml", "-y")
	o := r.d.must(0, "run", "builtin:etcd-certs.yml")
	require.Contains(t, o.out, "certificate /etc/etcd/peer.crt ("+r.h[2].Name+") expires in 19 days")
	old := r.serials(t)
	before, _ := r.pids(t)
	stop := r.write(t, "certs-")
	o = r.d.must(0, "run", "builtin:etcd-certs.yml", "-y", "-e", "renew=yes")
	n, longest := stop()
	t.Logf("renewed in %.1f s; %d writes, the longest pause %s\n%s", o.took.Seconds(), n, longest, o.out)
	after, _ := r.pids(t)
	require.Equal(t, 3, changed(before, after), "all were restarted")
	require.Less(t, longest, pause)
	r.fresh(t, old)
	san := on(t, r.h[1], "openssl x509 -in /etc/etcd/server.crt -noout -ext subjectAltName")
	require.Contains(t, san, "IP Address:"+r.h[1].IP)
	require.Contains(t, san, "DNS:"+r.h[1].Name)
	again := r.d.must(0, "run", "builtin:etcd-certs.yml", "-y", "-e", "renew=yes")
	require.Contains(t, again.recap(r.h[0].Name), "changed=0", "%s", again)
}

// renewalKilled: the controller dies when the first member has new files.
func (r *rolling) renewalKilled(t *testing.T) {
	r.t, r.d.t = t, t
	now := time.Now()
	r.short(t, openssl(now.Add(-time.Hour)), openssl(now.AddDate(0, 0, 20)))
	old := r.serials(t)
	j := r.d.command("run", "builtin:etcd-certs.yml", "-y", "-e", "renew=yes").begin()
	programtest.Eventually(t, 90*time.Second, "one has new files", func() bool { return changed(old, r.serials(t)) > 0 })
	require.NoError(t, j.cmd.Process.Signal(syscall.SIGKILL))
	j.wait()
	o := r.d.must(0, "resume", "-y")
	t.Log(o.out)
	r.fresh(t, old)
}

// expired: nobody can ask the cluster any more.
func (r *rolling) expired(t *testing.T) {
	r.t, r.d.t = t, t
	now := time.Now()
	r.short(t, openssl(now.Add(-48*time.Hour)), openssl(now.Add(-time.Hour)))
	old := r.serials(t)
	o := r.d.run("run", "builtin:etcd-certs.yml")
	require.Equal(t, 2, o.code, "%s", o)
	require.Contains(t, o.out, "certificate /etc/etcd/peer.crt ("+r.h[2].Name+") expired on ")
	o = r.d.run("run", "builtin:etcd-restart.yml", "-y")
	require.Equal(t, 2, o.code, "%s", o)
	o = r.d.must(0, "run", "builtin:etcd-certs.yml", "-y", "-e", "renew=yes")
	t.Log(o.out)
	r.fresh(t, old)
}
