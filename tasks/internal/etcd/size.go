package etcd

import (
	"fmt"
	"strings"
)

// Size is a number of bytes for people: "61 MiB", "1.7 GiB".
func Size(n int64) string {
	const unit = 1024
	for _, u := range []struct {
		of   int64
		name string
	}{{unit * unit * unit, "GiB"}, {unit * unit, "MiB"}, {unit, "KiB"}} {
		if n >= u.of {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(u.of)), ".0") + " " + u.name
		}
	}
	return fmt.Sprintf("%d B", n)
}
