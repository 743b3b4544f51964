package soak

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
)

// unitStarts are start states of the unit "$1", whose file is there.
func unitStarts() map[string]string {
	return map[string]string{
		"off":     ":",
		"running": `systemctl start "$1"`,
		"enabled": `systemctl -q enable "$1"`,
		"on":      `systemctl -q enable --now "$1"`,
		"failed":  `printf '[Service]\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n' >"/etc/systemd/system/$1"; systemctl daemon-reload; systemctl start "$1"; :`,
	}
}

func unitDeeds() map[string]args {
	return map[string]args{
		"started":          {"state": "started"},
		"stopped":          {"state": "stopped"},
		"enabled":          {"enabled": true},
		"disabled":         {"enabled": false},
		"enabled, started": {"enabled": true, "state": "started"},
		"masked":           {"masked": true, "state": "stopped"},
		"reloaded":         {"enabled": true, "daemon_reload": true},
	}
}

// undoUnits does everything that service does to units in every state.
func undoUnits(b *undoBench) {
	var setup strings.Builder
	var steps []step
	for i, deed := range keys(unitDeeds()) {
		for k, start := range keys(unitStarts()) {
			unit := fmt.Sprintf("undo-%d-%d.service", i, k)
			fmt.Fprintf(&setup, "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/%s\n", unit)
			fmt.Fprintf(&setup, "set -- %s; %s\n", unit, unitStarts()[start])
			a := args{"name": unit}
			for key, v := range unitDeeds()[deed] {
				a[key] = v
			}
			// Masking wants the unit's name free: its own file is in the way, and is told so.
			steps = append(steps, step{"name": deed + " when " + start, "service": a, "ignore_errors": true})
		}
	}
	on(b.t, b.host, "systemctl daemon-reload; "+setup.String())
	before := b.state()
	b.playbook("units.yml", play(steps, nil))
	id, code, said := b.run("run", "units.yml", "-y")
	require.Zero(b.t, code, said)
	require.Greater(b.t, len(less(b.state(), before)), len(steps)/4)
	code, undone := b.begin(nil, "undo", id, "-y").wait()
	b.equal(before, b.state(), said+undone)
	require.Zero(b.t, code, undone)
	on(b.t, b.host, "systemctl stop 'undo-*'; rm -f /etc/systemd/system/undo-[0-9]* /etc/systemd/system/*/undo-[0-9]*; systemctl daemon-reload; systemctl reset-failed")
	b.t.Logf("%d units", len(steps))
}

// undoPackages does everything that package does with a package in every version.
func undoPackages(b *undoBench) {
	on(b.t, b.host, "apt-get -q update >/dev/null")
	n := 0
	for i, start := range []string{"lab-sample-", "lab-sample=1.0", "lab-sample=1.1"} {
		for k, a := range []args{
			{"name": "lab-sample", "state": "present"}, {"name": "lab-sample=1.0", "state": "present"}, {"name": "lab-sample=1.1", "state": "present"},
			{"name": "lab-sample", "state": "latest"}, {"name": "lab-sample", "state": "absent"},
		} {
			back := i == 2 && k == 1 // to an older version
			if !long() && (i+k)%4 != 0 && !back {
				continue
			}
			on(b.t, b.host, "DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --allow-downgrades "+start+" >/dev/null; dpkg --purge lab-sample 2>/dev/null; :")
			if start != "lab-sample-" {
				on(b.t, b.host, "DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --allow-downgrades "+start+" >/dev/null")
			}
			before := b.state()
			b.playbook("package.yml", play([]step{{"package": a}}, nil))
			known := b.runs()
			code, said := b.begin(nil, "run", "package.yml", "-y").wait()
			require.Zero(b.t, code, said)
			if id := b.newRun(known); id != "" {
				code, said = b.begin(nil, "undo", id, "-y").wait()
				require.Zero(b.t, code, "%s %v: %s", start, a, said)
			}
			b.equal(before, b.state(), fmt.Sprint(start, " ", a, "\n", said))
			n++
		}
	}
	on(b.t, b.host, "dpkg --purge lab-sample 2>/dev/null; :")
	before := b.state() // put there and away again, and back in the other order
	b.playbook("package.yml", play([]step{
		{"package": args{"name": "lab-sample=1.0", "state": "present"}}, {"package": args{"name": "lab-sample", "state": "latest"}}, {"package": args{"name": "lab-sample", "state": "absent"}},
	}, nil))
	id, code, said := b.run("run", "package.yml", "-y")
	require.Zero(b.t, code, said)
	code, said = b.begin(nil, "undo", id, "-y").wait()
	require.Zero(b.t, code, said)
	b.equal(before, b.state(), said)
	b.t.Logf("%d packages", n)
}
