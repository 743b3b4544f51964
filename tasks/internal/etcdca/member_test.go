package etcdca_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/tasks/internal/etcd"
	"github.com/dayops/dayops/tasks/internal/etcdca"
	"github.com/dayops/dayops/tasks/tasktest"
)

// Two authorities of one name: what a member shows has to be signed by the one
// that the others have.
func TestReadMember(t *testing.T) {
	h := tasktest.Local(t)
	ours, theirs := authority(t, time.Now().Add(time.Hour)), authority(t, time.Now().Add(-time.Hour))
	our, their := filepath.Join(ours, "ca.crt"), filepath.Join(theirs, "ca.crt")
	for _, c := range []struct {
		name string
		in   etcd.Instance
		want []string // of our, their
	}{
		{"the authority itself", etcd.Instance{PeerCert: our, PeerCA: our}, []string{""}},
		{"expired, which is judged elsewhere", etcd.Instance{PeerCert: their, PeerCA: their}, []string{""}},
		{"no authority", etcd.Instance{PeerCert: our}, []string{""}},
		{"another's", etcd.Instance{PeerCert: our, PeerCA: their}, []string{"is not signed by the authority in " + their + ` (its issuer is "etcd-signer")`, ""}},
		{"the client's", etcd.Instance{Ctl: etcd.Ctl{Cert: our}, CA: their, ClientCertAuth: true}, []string{"is not signed by the authority in " + their + ` (its issuer is "etcd-signer")`, ""}},
		{"nobody looks at the client's", etcd.Instance{Ctl: etcd.Ctl{Cert: our}, CA: their}, []string{"", ""}},
		{"the server's, by an authority of its own", etcd.Instance{Cert: our, CA: their, ClientCertAuth: true}, []string{"", ""}},
		{"one is not there", etcd.Instance{PeerCert: our, PeerCA: their + "x"}, []string{"", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, err := etcdca.ReadMember(t.Context(), reader.New(h.Conn, ""), c.in)
			require.NoError(t, err)
			var got []string
			for _, f := range files {
				got = append(got, f.Stranger)
			}
			require.Equal(t, c.want, got)
		})
	}
}
