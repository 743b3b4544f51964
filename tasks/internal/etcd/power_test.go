package etcd

import (
	"context"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
)

func said(list []change.Change) (out []string) {
	for _, c := range list {
		out = append(out, c.Summary())
	}
	return out
}

func TestPower(t *testing.T) {
	unit := Instance{Runtime: UnitRuntime, Name: "m0", Unit: "etcd.service", Active: true, Endpoint: "https://10.0.0.1:2379",
		Service: reader.Unit{Name: "etcd.service", LoadState: "loaded", ActiveState: "active", UnitFileState: "enabled"}}
	stopped := unit
	stopped.Active, stopped.Service.ActiveState = false, "failed"
	manifest := reader.File{Path: ocpManifest, Exists: true, Type: reader.Regular, Mode: 0o600, SHA256: "aa"}
	pod := Instance{Runtime: PodRuntime, Name: "m0", Manifest: ocpManifest, Pod: manifest, Endpoint: "https://10.0.0.1:2379", Ctl: Ctl{Wrap: []string{"master-exec", "etcd", "etcd"}}}
	shelvedPod := pod
	shelvedPod.Pod.Path, shelvedPod.Shelf.Exists = "/etc/origin/node/pods-stopped/etcd.yaml", true
	stale := shelvedPod
	stale.Pod.Path, stale.Stale = ocpManifest, shelvedPod.Pod

	const out, in = "move /etc/origin/node/pods/etcd.yaml to /etc/origin/node/pods-stopped/etcd.yaml", "move /etc/origin/node/pods-stopped/etcd.yaml to /etc/origin/node/pods/etcd.yaml"
	const gone = "wait for etcd member m0 to be gone, at most 3m0s"
	for _, c := range []struct {
		name                 string
		in                   Instance
		stop, start, restart []string
		down                 bool
	}{
		{"unit", unit, []string{"stop etcd.service"}, []string{"start etcd.service"}, []string{"restart etcd.service"}, false},
		{"stopped unit", stopped, []string{"stop etcd.service"}, []string{"start etcd.service"}, []string{"restart etcd.service"}, true},
		{"pod", pod, []string{"make the folder /etc/origin/node/pods-stopped (mode 0700)", out, gone}, []string{in},
			[]string{"make the folder /etc/origin/node/pods-stopped (mode 0700)", out, gone, in}, false},
		{"stopped pod", shelvedPod, []string{out, gone}, []string{in}, []string{out, gone, in}, true},
		{"pod with an old copy", stale, []string{out, gone}, []string{in}, []string{out, gone, in}, false},
		{"parameters", Instance{Runtime: Given}, nil, nil, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.stop, said(c.in.Stop()))
			require.Equal(t, c.start, said(c.in.Start()))
			require.Equal(t, c.restart, said(c.in.Restart()))
			require.Equal(t, c.down, c.in.Down())
			require.Equal(t, c.stop == nil, c.in.Powerless() != "")
		})
	}
	require.Equal(t, change.Disruptive, unit.Stop()[0].Risk())
	require.Equal(t, change.Disruptive, stopped.Restart()[0].Risk(), "a plan made again after an interrupt is the same")
	require.NotNil(t, stale.Stop()[0].(*change.Move).Over)
}

func TestWaits(t *testing.T) {
	in := Instance{Name: "m0", Endpoint: "https://[fd00::1]:12379"}
	require.Equal(t, "wait for etcd member m0 to be healthy, at most 1m0s", in.Healthy(time.Minute).Summary())
	gone := in.Gone(time.Minute)
	require.Equal(t, "fd00::1", gone.Address)
	require.Equal(t, 12379, gone.Port)
	require.NotContains(t, in.Answers(time.Minute).Argv, "health")
	in.Ctl.NoEnv = true
	require.Empty(t, in.Healthy(time.Minute).Argv, "a crictl container has another name after a restart")
	require.Equal(t, 12379, in.Healthy(time.Minute).Port)
}

// TestShelvedPod: a member that was stopped, and whose controller died, is found.
func TestShelvedPod(t *testing.T) {
	r := fakeHost{files: map[string]string{shelved(kubeManifest): golden(t, "kubeadm-etcd.yaml")}}
	in, ok, err := Find(t.Context(), r, Places{})
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, in.Down())
	require.Equal(t, kubeManifest, in.Manifest)
	require.Equal(t, "/etc/kubernetes/manifests-stopped/etcd.yaml", in.Pod.Path)
	r.files[kubeManifest] = r.files[shelved(kubeManifest)]
	in, _, err = Find(t.Context(), r, Places{})
	require.NoError(t, err)
	require.False(t, in.Down())
	require.True(t, in.Stale.Exists)
	require.Equal(t, fs.FileMode(0o600), in.Pod.Mode)
}

// fakeHost has files and no systemd.
type fakeHost struct {
	task.Reader
	files map[string]string
}

func (h fakeHost) ReadFile(_ context.Context, path string, _ int64) ([]byte, error) {
	if s, ok := h.files[path]; ok {
		return []byte(s), nil
	}
	return nil, fs.ErrNotExist
}

func (h fakeHost) Hash(_ context.Context, paths ...string) (out []reader.File, _ error) {
	for _, p := range paths {
		f := reader.File{Path: p}
		if _, ok := h.files[p]; ok {
			f.Exists, f.Type, f.Mode, f.SHA256 = true, reader.Regular, 0o600, "aa"
		}
		out = append(out, f)
	}
	return out, nil
}

func (h fakeHost) Stat(ctx context.Context, paths ...string) ([]reader.File, error) {
	return h.Hash(ctx, paths...)
}

func (fakeHost) Units(context.Context, ...string) ([]reader.Unit, error) {
	return nil, reader.ErrNoSystemd
}

func (fakeHost) Probe(context.Context, ...string) (conn.Result, error) {
	return conn.Result{Code: 127}, nil
}
