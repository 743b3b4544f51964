package lab_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/lab"
	"github.com/dayops/dayops/cmd/dayops-lab/labtest"
	"github.com/stretchr/testify/require"
)

// TestPods shows what the stand-ins for static pods do.
func TestPods(t *testing.T) {
	t.Parallel()
	l := labtest.Own(t, lab.Options{Masters: 1, Spares: 1, Pods: true})
	h := l.Masters()[0]
	on := func(script string) string {
		t.Helper()
		out, err := h.Exec(t.Context(), "sh", "-c", script)
		require.NoError(t, err, out)
		return strings.TrimSpace(out)
	}
	soon := func(script string) {
		t.Helper()
		require.Eventually(t, func() bool { _, err := h.Exec(t.Context(), "sh", "-c", script); return err == nil }, 20*time.Second, 100*time.Millisecond, script)
	}
	on("! command -v etcdctl && systemctl -q is-active flanneld && systemctl show -p LoadState etcd | grep -q masked")
	on("master-exec etcd etcd env ETCDCTL_API=3 etcdctl version; master-logs etcd etcd | grep -q 'ready to serve'")

	soon("test $(grep -c ' api https://master-0:2379$' /var/log/lab-openshift.log) = 1")
	on("sed -i 's|^  - https://master-0:2379|&\\n  - https://spare-0:2379|' /etc/origin/master/master-config.yaml && master-restart api")
	soon("tail -1 /var/log/lab-openshift.log | grep -q ' api https://master-0:2379 https://spare-0:2379$'")
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // what it says is looked at, not whom it is
	require.Eventually(t, func() bool {
		res, err := client.Get("https://" + h.IP + ":8443/healthz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		return err == nil && string(text) == "ok\n"
	}, 20*time.Second, 100*time.Millisecond)

	on("mkdir /etc/origin/node/pods-stopped && mv /etc/origin/node/pods/etcd.yaml /etc/origin/node/pods-stopped/")
	soon("! master-exec etcd etcd true && ! ss -ltn | grep -q :2379")
	on("systemctl -q is-active lab-pod-api lab-pod-controllers")
	on("mv /etc/origin/node/pods-stopped/etcd.yaml /etc/origin/node/pods/etcd.json") // the name is nothing
	require.NoError(t, h.WaitEtcd(t.Context(), 30*time.Second))
	on("sed -i 's|exec etcd|exec etcd --log-level debug|' /etc/origin/node/pods/etcd.json")
	soon("tr '\\0' ' ' </proc/$(pidof etcd)/cmdline | grep -q debug")
}
