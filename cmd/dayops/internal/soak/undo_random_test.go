package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// undoSeed is new each time, or that of DAYOPS_SEED.
func undoSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("DAYOPS_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("DAYOPS_SEED=%d", seed)
	return seed
}

// randomPlays are 3 to 10 steps on a few paths, the units and the packages of
// the host, in one or two plays of different accounts.
func randomPlays(r *rand.Rand, dir string, packages bool) ([]any, []string) {
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	paths := []string{dir + "/a", dir + "/b", dir + "/d", dir + "/d/x", dir + "/d/sub/f"}
	var plays []any
	var told []string
	accounts := []step{{"become": true}, {"become": false}, {"become": true, "become_user": "nobody"}}
	r.Shuffle(len(accounts), func(i, j int) { accounts[i], accounts[j] = accounts[j], accounts[i] })
	n := 3 + r.IntN(8)
	for i := range 1 + r.IntN(2) {
		var steps []step
		for range n / (1 + i) {
			var s step
			name := ""
			switch k := r.IntN(20); {
			case k < 2:
				unit := args{"name": pick([]string{"undo-a", "undo-b"}), "enabled": r.IntN(2) == 0, "state": pick([]string{"started", "stopped"}), "daemon_reload": r.IntN(2) == 0}
				if r.IntN(3) == 0 {
					unit = args{"name": unit["name"], "masked": r.IntN(2) == 0}
				}
				name, s = fmt.Sprint("unit ", unit), step{"service": unit}
			case k < 3:
				name, s = "unit file", step{"copy": args{"dest": "/etc/systemd/system/undo-" + pick([]string{"a", "c"}) + ".service",
					"content": "[Service]\nExecStart=/bin/sleep " + pick([]string{"infinity", "100000"}) + "\n[Install]\nWantedBy=multi-user.target\n"}}
			case k < 5 && packages:
				name, s = "package", step{"package": args{"name": pick([]string{"lab-sample=1.0", "lab-sample=1.1", "hello"}), "state": "present"}}
				if r.IntN(2) == 0 {
					s = step{"package": args{"name": pick([]string{"lab-sample", "hello", "tree"}), "state": pick([]string{"absent", "latest"})}}
				}
			default:
				name = pick(keys(deeds()))
				p := pick(paths)
				s = deeds()[name](p)
				name += " on " + p
			}
			s["name"], s["ignore_errors"] = name, true
			steps = append(steps, s)
			told = append(told, name)
		}
		p := step{"hosts": "all", "gather_facts": false, "tasks": steps}
		account := accounts[i]
		if r.IntN(3) > 0 && i == 0 {
			account = step{"become": true}
		}
		for k, v := range account {
			p[k] = v
		}
		plays = append(plays, p)
		told = append(told, fmt.Sprint(account))
	}
	return plays, told
}

// undoRandom runs and takes back combinations of steps, each on a folder of its own.
func undoRandom(b *undoBench) {
	n := 6
	if long() {
		n = 50
	}
	r := rand.New(rand.NewPCG(undoSeed(b.t.(*testing.T)), 1))
	var setup strings.Builder
	setup.WriteString(`for u in a b; do printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/undo-$u.service; done
systemctl daemon-reload; systemctl enable -q --now undo-a; rm -rf /srv/random; mkdir /srv/random; apt-get -q update >/dev/null
`)
	for i := range n {
		fmt.Fprintf(&setup, "mkdir -m 1777 -p /srv/random/%d\n", i)
		for _, name := range []string{"a", "b", "d", "d/x"} {
			start := keys(starts())[r.IntN(len(starts()))]
			if name == "d" && r.IntN(2) == 0 {
				start = "full folder"
			}
			if strings.HasPrefix(start, "inherits") || start == "setgid parent" {
				start = "xattr"
			}
			fmt.Fprintf(&setup, "set -- /srv/random/%d/%s; if [ -d \"${1%%/*}\" ]; then %s\nfi\n", i, name, starts()[start])
		}
		fmt.Fprintf(&setup, "chown $(( %d %% 3 * 500 )) /srv/random/%d/[ab] 2>/dev/null ||:\n", i, i)
	}
	out, err := b.host.ExecIn(b.t.Context(), setup.String(), "sh", "-e")
	require.NoError(b.t, err, out)
	before := b.state()
	for i := range n {
		plays, told := randomPlays(r, fmt.Sprintf("/srv/random/%d", i), long() && i%3 == 0 || i == 1)
		b.playbook("random.yml", plays)
		id, code, said := b.run("run", "random.yml", "-y")
		require.Contains(b.t, []int{0, 2}, code, said)
		code, undone := b.begin(nil, "undo", id, "-y").wait()
		story := fmt.Sprintf("combination %d: %s\n", i, strings.Join(told, "; "))
		after := b.state()
		if before != after || code != 0 && !strings.Contains(undone, "changed nothing") {
			b.equal(before, after, story)
			b.t.Fatalf("exit %d\n%s%s\n%s", code, story, said, undone)
		}
	}
	b.t.Logf("%d random combinations: run, undone, equal", n)
}
