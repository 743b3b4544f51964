package lab

import (
	"embed"
	"os"
	"path/filepath"
)

//go:embed openshift/*
var openshiftFiles embed.FS

// image is where the stand-ins keep what is only inside containers.
const imageDir = "/opt/lab-image"

// standIn gives the host stand-ins for what runs on hosts of OpenShift 3.10: on
// masters the kubelet's part in static pods (etcd, API, controllers) with
// master-restart, master-exec and master-logs, on all nodes flanneld.
func (h *Host) standIn() error {
	files := map[string]string{}
	units := map[string]string{}
	if h.Is("master") {
		files = map[string]string{"static-pods": imageDir, "openshift": imageDir,
			"master-restart": "/usr/local/bin", "master-exec": "/usr/local/bin", "master-logs": "/usr/local/bin"}
		units["lab-static-pods"] = "ExecStart=" + imageDir + "/static-pods\nRestart=always\n"
		if err := h.hideEtcd(); err != nil {
			return err
		}
	}
	if h.Is("node") {
		files["flanneld"] = imageDir
		units["flanneld"] = "EnvironmentFile=/etc/sysconfig/flanneld\nExecStart=" + imageDir + "/flanneld\n"
	}
	for name, dir := range files {
		text, err := openshiftFiles.ReadFile("openshift/" + name)
		if err != nil {
			return err
		}
		if err := put(h.Root(), filepath.Join(dir, name), string(text), 0o755); err != nil {
			return err
		}
	}
	for name, service := range units {
		path := "/etc/systemd/system/" + name + ".service"
		if err := put(h.Root(), path, "[Unit]\nDescription=lab's stand-in for OpenShift 3.10\nAfter=network.target\n\n[Service]\n"+
			service+"\n[Install]\nWantedBy=multi-user.target\n", 0o644); err != nil {
			return err
		}
		if err := os.Symlink(path, filepath.Join(h.Root(), "/etc/systemd/system/multi-user.target.wants", name+".service")); err != nil {
			return err
		}
	}
	return nil
}

// hideEtcd puts etcd's programs where only master-exec finds them, and its unit away.
func (h *Host) hideEtcd() error {
	if err := os.MkdirAll(filepath.Join(h.Root(), imageDir), 0o755); err != nil {
		return err
	}
	programs, err := filepath.Glob(filepath.Join(h.Root(), "/usr/bin/etcd*"))
	if err != nil {
		return err
	}
	for _, p := range programs {
		if err := os.Rename(p, filepath.Join(h.Root(), imageDir, filepath.Base(p))); err != nil {
			return err
		}
	}
	return os.Symlink("/dev/null", filepath.Join(h.Root(), "/etc/systemd/system/etcd.service"))
}
