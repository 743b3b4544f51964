package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/dayops/dayops/cmd/dayops/internal/programtest"
)

const (
	tlsV3 = "ETCDCTL_API=3 etcdctl --cacert /etc/etcd/ca.crt --cert /etc/etcd/peer.crt --key /etc/etcd/peer.key --endpoints https://$1:2379 "
	tlsV2 = "ETCDCTL_API=2 etcdctl --ca-file /etc/etcd/ca.crt --cert-file /etc/etcd/peer.crt --key-file /etc/etcd/peer.key --endpoints https://$1:2379 "
)

// TestEtcdHealth breaks a real cluster of three in the ways that a person
// meets at night, and mends it after each.
func TestEtcdHealth(t *testing.T) {
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Masters: 3})
	h := l.Hosts()
	d := newDesk(t, l.Inventory())
	well := func() {
		t.Helper()
		programtest.Eventually(t, 40*time.Second, "healthy", func() bool { return d.run("run", "etcd-health.yml").code == 0 })
	}
	stop := func(hosts ...*labtest.Host) {
		for _, x := range hosts {
			on(t, x, "systemctl stop etcd")
			t.Cleanup(func() { on(t, x, "systemctl start --no-block etcd") })
		}
	}
	start := func(hosts ...*labtest.Host) {
		for _, x := range hosts {
			on(t, x, "systemctl start --no-block etcd")
		}
		well()
	}

	on(t, h[0], tlsV3+"put a b", h[0].IP)
	on(t, h[0], tlsV2+"set /old/key value", h[0].IP)
	before := listings(t, h[1:2])
	o := d.must(0, "run", "etcd-health.yml", "--limit", h[2].Name)
	require.Contains(t, o.out, "3 voters, 3 healthy, 2 needed", "members beyond the limit are read")
	require.Contains(t, o.out, "3 members hold the same data at revision 2")
	require.Contains(t, o.out, "data: v2 and v3")
	same(t, before, listings(t, h[1:2]))

	stop(h[2])
	o = d.must(2, "run", "etcd-health.yml")
	require.Contains(t, o.out, "3 voters, 2 healthy, 2 needed: the loss of one more stops the cluster")
	require.Contains(t, o.out, "etcd.service does not run")
	stop(h[1])
	programtest.Eventually(t, 20*time.Second, "without a quorum", func() bool {
		return strings.Contains(d.run("run", "etcd-health.yml").out, "quorum lost: 3 voters, 0 healthy, 2 needed")
	})
	start(h[1], h[2])

	on(t, h[1], "systemctl kill -s STOP etcd")
	o = d.run("run", "etcd-health.yml")
	on(t, h[1], "systemctl kill -s CONT etcd")
	require.Equal(t, 2, o.code, "%s", o)
	require.Contains(t, o.wrong(), "member "+h[1].Name+" does not answer at https://"+h[1].IP+":2379")
	well()

	book := d.file("wrong.yml", "- hosts: etcd\n  tasks:\n    - etcd_health: {cert: /etc/etcd/nope.crt, key: /etc/etcd/peer.key}\n")
	require.Contains(t, d.must(2, "run", book).out, "certificate /etc/etcd/nope.crt is not there")
	book = d.file("old.yml", "- hosts: etcd\n  tasks:\n    - etcd_health: {warn_expiry: 30000d, max_expiry: 0}\n")
	require.Contains(t, d.must(0, "run", book).out, "warn        "+h[0].Name+"  certificate /etc/etcd/server.crt expires in ")

	on(t, h[0], "sed -i s/^ETCD_QUOTA_BACKEND_BYTES=.*/ETCD_QUOTA_BACKEND_BYTES=60000/ /etc/etcd/etcd.conf && systemctl restart etcd")
	well()
	on(t, h[0], "i=0; while [ $i -lt 40 ]; do head -c 9000 /dev/zero | tr '\\0' x | "+tlsV3+"put k$i >/dev/null 2>&1 || exit 0; i=$((i+1)); done", h[0].IP)
	o = d.must(2, "run", "etcd-health.yml")
	require.Contains(t, o.out, "alarm NOSPACE raised by "+h[0].Name)
	require.Contains(t, o.out, "of its quota 58.6 KiB")
}

// TestEtcdHealthOfAStaticPod: a stand-in for the kubelet's part, no kubelet: a
// manifest, etcd without its unit, and etcdctl only behind master-exec.
func TestEtcdHealthOfAStaticPod(t *testing.T) {
	labtest.Asked(t)
	l := labtest.Own(t, labtest.Options{Masters: 1})
	h := l.Hosts()[0]
	on(t, h, `systemctl stop etcd && systemctl disable etcd 2>/dev/null; rm -f /etc/systemd/system/etcd.service && ln -s /dev/null /etc/systemd/system/etcd.service && systemctl daemon-reload
mkdir -p /etc/origin/node/pods /opt/inside && mv /usr/bin/etcdctl /opt/inside/
cat > /etc/origin/node/pods/etcd.yaml <<'E'
apiVersion: v1
kind: Pod
metadata: {name: etcd}
spec:
  containers:
  - name: etcd
    command: ["/bin/sh", "-c"]
    args: ["#!/bin/sh\nset -o allexport\nsource /etc/etcd/etcd.conf\nexec etcd\n"]
E
printf '#!/bin/sh\n[ "$1 $2" = "etcd etcd" ] || exit 1\nshift 2\nPATH=/opt/inside:$PATH exec "$@"\n' > /usr/local/bin/master-exec && chmod 755 /usr/local/bin/master-exec
systemd-run -q --unit standin -p User=etcd -p EnvironmentFile=/etc/etcd/etcd.conf /usr/bin/etcd`)
	d := newDesk(t, l.Inventory())
	var o outcome
	programtest.Eventually(t, 40*time.Second, "healthy", func() bool { o = d.run("run", "etcd-health.yml"); return o.code == 0 })
	require.Contains(t, o.out, "1 voter, 1 healthy, 1 needed")
}
