package etcdca

import "testing"

func FuzzConfig(f *testing.F) {
	f.Add("[ etcd_ca ]\ndir = /etc/etcd/ca # here\n[x\n=\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, section := range parseConfig(s) {
			if section == nil {
				t.Fatal("a section without a map")
			}
		}
	})
}
