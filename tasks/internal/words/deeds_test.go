package words

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change"
)

func sh(text string) []string { return []string{"/bin/sh", "-c", text} }

func told(argv []string) string {
	var out []string
	for _, d := range Deeds(argv, "") {
		if d.Object == File {
			continue // see TestFiles
		}
		s := fmt.Sprintf("%s %s %s", d.Verb, d.Object, strings.Join(d.Names, ","))
		if d.Later {
			s += " later"
		}
		out = append(out, strings.TrimSpace(strings.ReplaceAll(s, "  ", " ")))
	}
	return strings.Join(out, "; ")
}

func TestDeeds(t *testing.T) {
	for text, want := range map[string]string{
		"systemctl stop etcd":                            "stop unit etcd.service",
		"/usr/bin/systemctl --no-block restart etcd foo": "restart unit etcd.service,foo.service later",
		"systemctl -q --now disable etcd.service":        "stop unit etcd.service",
		"systemctl disable etcd":                         "",
		"systemctl is-active etcd":                       "",
		"systemctl status etcd; systemctl cat etcd":      "",
		"systemctl reload etcd":                          "",
		"systemctl start etcd":                           "start unit etcd.service",
		"systemctl start reboot.target":                  "restart host later",
		"systemctl isolate rescue.target":                "stop host later",
		"systemctl isolate multi-user.target":            "",
		"systemctl kill -s KILL etcd":                    "stop unit etcd.service later",
		"systemctl kill -s 0 etcd":                       "",
		"systemctl reboot":                               "restart host later",
		"systemctl poweroff -i":                          "stop host later",
		"systemctl stop 'etcd*' $x":                      "stop unit etcd*,$x",
		"service etcd restart":                           "restart unit etcd.service",
		"service etcd status":                            "",
		"/etc/init.d/etcd stop":                          "stop unit etcd.service",
		"reboot":                                         "restart host later",
		"sudo -n /sbin/reboot -f":                        "restart host later",
		"reboot --help":                                  "",
		"halt -p":                                        "stop host later",
		"poweroff":                                       "stop host later",
		"shutdown -r +1 bye":                             "restart host later",
		"shutdown -h now":                                "stop host later",
		"shutdown -c":                                    "",
		"init 6":                                         "restart host later",
		"init 0":                                         "stop host later",
		"init q":                                         "",
		"docker restart etcd_container":                  "restart container etcd_container",
		"docker -H unix:///x stop -t 5 k8s_etcd_1":       "stop container k8s_etcd_1",
		"docker stop web":                                "",
		"docker stop 3f2a9c":                             "stop container 3f2a9c",
		"docker rm web; docker rm 3f2a9c":                "",
		"docker rm -f 3f2a9c":                            "stop container 3f2a9c",
		"docker ps -q":                                   "",
		"docker stop $(docker ps -q)":                    "stop container $(docker ps -q)",
		"docker compose down":                            "stop container",
		"podman stop --all":                              "stop container",
		"crictl stopp abc123":                            "stop container abc123",
		"kill -9 4711":                                   "stop process 4711 later",
		"kill -0 4711":                                   "",
		"kill -l":                                        "",
		"x & kill $!":                                    "",
		"kill -TERM $(pidof etcd)":                       "stop process $(pidof etcd) later",
		"pkill etcd":                                     "stop process etcd later",
		"pkill -9 -f 'etc.'":                             "stop process etc. later",
		"pkill nginx":                                    "",
		"pkill -u etcd":                                  "stop process later",
		"killall etcd nginx":                             "stop process etcd later",
		"killall nginx":                                  "",
		"master-restart etcd":                            "restart container etcd later",
		"master-restart api":                             "",
		"master-exec etcd etcd etcdctl member remove 1a": "remove member 1a",
		"ETCDCTL_API=3 etcdctl --endpoints https://a:2379 member remove 8e9e05c52164694d": "remove member 8e9e05c52164694d",
		"etcdctl member add m4 --learner --peer-urls=https://m4:2380":                     "add a learner member m4",
		"etcdctl member add m4 --peer-urls https://m4:2380":                               "add member m4",
		"etcdctl member promote 1a":                                                       "promote member 1a",
		"etcdctl member list":                                                             "",
		"docker exec etcd_container etcdctl member remove 1a":                             "remove member 1a",
		"docker exec etcd_container kill 1":                                               "stop container etcd_container later",
		"mv /etc/origin/node/pods/etcd.yaml /root/":                                       "stop manifest /etc/origin/node/pods/etcd.yaml later",
		"mv /etc/kubernetes/manifests/* /root/":                                           "stop manifest /etc/kubernetes/manifests/* later",
		"mv /root/etcd.yaml /etc/kubernetes/manifests/":                                   "restart manifest /etc/kubernetes/manifests/ later",
		"rm -rf /etc/kubernetes":                                                          "stop manifest /etc/kubernetes later",
		"rm -rf /etc/foo /tmp/etcd.yaml":                                                  "",
		"grep reboot /var/log/messages":                                                   "",
		"sudo grep reboot /var/log/messages":                                              "",
		"echo systemctl stop etcd":                                                        "",
		"echo 'x; systemctl stop etcd'":                                                   "",
		"# systemctl stop etcd":                                                           "",
		"command -v reboot":                                                               "",
		"if true; then systemctl stop etcd; fi":                                           "stop unit etcd.service",
		"true && (sleep 1; systemctl stop etcd) >/dev/null 2>&1":                          "stop unit etcd.service",
		"cd /x\nsystemctl stop \\\n etcd":                                                 "stop unit etcd.service",
		"timeout -k 5 30 nice -n 5 env A=b systemctl stop etcd":                           "stop unit etcd.service",
		"sudo -u root bash -lc \"systemctl stop etcd\"":                                   "stop unit etcd.service",
		"su - root -c 'systemctl stop etcd'":                                              "stop unit etcd.service",
		"pidof etcd | xargs -r kill -9":                                                   "stop process $ later",
		"systemd-run --on-active 5 systemctl stop etcd":                                   "stop unit etcd.service later",
		"(sleep 2; systemctl restart etcd) >/dev/null 2>&1 &":                             "restart unit etcd.service later",
		"nohup sh -c 'sleep 2 && systemctl restart etcd' &":                               "restart unit etcd.service later",
		"systemctl &>/dev/null stop etcd":                                                 "stop unit etcd.service later",
		"sleep 1 && systemctl stop etcd 2>&1 |& cat":                                      "stop unit etcd.service",
		"echo `systemctl stop etcd`":                                                      "stop unit etcd.service",
		"x=\"$(systemctl stop etcd)\"":                                                    "stop unit etcd.service",
		"systemctl stop etcd; sleep 5; systemctl start etcd":                              "stop unit etcd.service; start unit etcd.service",
		"eval systemctl stop etcd":                                                        "stop unit etcd.service",
		"while :; do systemctl stop etcd; done":                                           "stop unit etcd.service",
		"sudo -nu root systemctl stop etcd":                                               "stop unit etcd.service",
		"sudo -iuroot systemctl stop etcd":                                                "stop unit etcd.service",
		"sudo -nuroot -g wheel systemctl stop etcd":                                       "stop unit etcd.service",
		"pidof etcd | xargs -0n 1 kill":                                                   "stop process $ later",
		"runuser -u root -- systemctl stop etcd":                                          "stop unit etcd.service",
		"runuser -l root -c 'systemctl stop etcd'":                                        "stop unit etcd.service",
		"nsenter -t 1 -m -- systemctl stop etcd":                                          "stop unit etcd.service",
		"flock -w 5 /run/x systemctl stop etcd":                                           "stop unit etcd.service",
		"flock /run/x -c 'systemctl stop etcd'":                                           "stop unit etcd.service",
		"taskset -c 0,1 systemctl stop etcd":                                              "stop unit etcd.service",
		"command -p systemctl stop etcd":                                                  "stop unit etcd.service",
		">&- systemctl stop etcd 2>&-":                                                    "stop unit etcd.service",
		"systemctl stop etcd >/dev/null 2>&1":                                             "stop unit etcd.service",
		"service etcd --full-restart":                                                     "restart unit etcd.service",
		"yum -y update etcd":                                                              "",
		"/opt/stop-etcd.sh":                                                               "",
		"'unclosed systemctl stop etcd":                                                   "",
	} {
		require.Equal(t, want, told(sh(text)), text)
	}
	require.Equal(t, "stop unit etcd.service", told([]string{"systemctl", "stop", "etcd"}))
	require.Empty(t, told([]string{"echo", "systemctl stop etcd"}))
	require.Empty(t, told(nil))
}

func TestRisk(t *testing.T) {
	for text, want := range map[string]change.Risk{
		"systemctl restart etcd":              change.Disruptive,
		"systemctl restart docker":            change.Disruptive,
		"systemctl restart chronyd":           change.Safe,
		"systemctl restart $unknown":          change.Disruptive,
		"systemctl stop system.slice":         change.Disruptive,
		"systemctl stop var-lib-etcd.mount":   change.Disruptive,
		"systemctl start etcd":                change.Safe,
		"reboot":                              change.Disruptive,
		"kill 4711":                           change.Disruptive,
		"docker stop web":                     change.Safe,
		"etcdctl member remove 1":             change.Disruptive,
		"oc get pods -o wide | grep etcd":     change.Safe,
		"etcdctl member list && uptime":       change.Safe,
		"docker start etcd_container":         change.Safe,
		"cp /etc/kubernetes/manifests/x /tmp": change.Safe,
	} {
		require.Equal(t, want, Risk(sh(text)), text)
	}
}

// Of what is left in the background nobody knows when it begins.
func TestPutOff(t *testing.T) {
	for text, want := range map[string]bool{
		"systemctl stop etcd":                               false,
		"systemctl --no-block stop etcd":                    false,
		"sleep 20; systemctl stop etcd":                     false,
		"pkill etcd":                                        false,
		"reboot":                                            false,
		"(sleep 20; systemctl stop etcd) &":                 true,
		"systemd-run --on-active=60 systemctl stop etcd":    true,
		"nohup sh -c 'sleep 20; systemctl restart etcd' & ": true,
	} {
		for _, d := range Deeds(sh(text), "") {
			require.Equal(t, want, d.PutOff, text)
			require.True(t, d.Later || !d.PutOff, text)
		}
		require.NotEmpty(t, Deeds(sh(text), ""), text)
	}
}

// What a command deletes, moves away or replaces, by its literal words.
func TestFiles(t *testing.T) {
	for text, want := range map[string][]string{
		"rm -rf /var/lib/etcd":                            {"/var/lib/etcd"},
		"sudo rm -r -- /a /b/../c/":                       {"/a", "/c"},
		"rm -rf /var/lib/etcd/member/*":                   {"/var/lib/etcd/member/*"},
		"rm -rf /var/lib/etcd/$x":                         {"/var/lib/etcd/$x"},
		"rm -rf $x ~/y":                                   nil,
		"rm -rf member":                                   {"/home/member"},
		"cd /var/lib/etcd && rm -rf member":               {"/var/lib/etcd/member"},
		"cd /var/lib; cd etcd; rm -rf ./*":                {"/var/lib/etcd/*"},
		"cd $x; rm -rf member":                            nil,
		"cd; rm -rf member; cd -; rm -rf member":          nil,
		"mv /var/lib/etcd /root/old":                      {"/var/lib/etcd", "/root/old"},
		"mv -T /a /b":                                     {"/a", "/b"},
		"mv -t /b /a /c":                                  {"/b", "/a", "/c"},
		"unlink /a":                                       {"/a"},
		"systemctl stop etcd; rm -rf /var/lib/etcd":       {"/var/lib/etcd"},
		"find /var/lib/etcd | xargs rm":                   nil,
		"echo rm /a; cp /a /b; mv /a":                     nil,
		"docker exec etcd_container rm -rf /var/lib/etcd": {"/var/lib/etcd"},
		"docker exec web rm -rf /var/lib/etcd":            nil,
		"ls /var/lib/etcd >/tmp/x":                        nil,
	} {
		var got []string
		for _, d := range Deeds(sh(text), "/home") {
			if d.Object == File {
				require.Equal(t, Remove, d.Verb)
				got = append(got, d.Names...)
			}
		}
		require.Equal(t, want, got, text)
		require.Equal(t, text == "systemctl stop etcd; rm -rf /var/lib/etcd", Risk(sh(text)) > change.Safe, text)
	}
}

func FuzzDeeds(f *testing.F) {
	for _, s := range []string{"systemctl stop etcd", "sudo -u x sh -c 'kill $(pidof etcd)'", "a `b` $(c $(d)) \"$(e)\" 2>&1 <<X", "timeout", "docker exec etcd", "mv", "kill -s", "systemctl -s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		Deeds(sh(s), "/x")
		Deeds(strings.Fields(s), "")
		Risk(sh(s))
	})
}

// What a script is given to run is seen too, as the verbs that dayops itself tries again.
func TestDeedsOfPositional(t *testing.T) {
	give := []string{"env", "ETCDCTL_API=3", "etcdctl", "--endpoints", "https://a:2379", "--user", "member", "--write-out", "json"}
	for text, want := range map[string]string{
		`n=$1 only=$2; shift 2; printf x | "$@" && exit 0`:       "remove member abc",
		"n=$1; only=$2\nshift 2\nsaid=$(printf x | \"$@\" 2>&1)": "remove member abc",
		`shift; shift 1; "$@"`:                                   "", // only the first is counted
		`echo "$1" "$2"`:                                         "",
	} {
		argv := append([]string{"/bin/sh", "-c", text, "dayops", "15", "unhealthy cluster"}, append(give, "member", "remove", "abc")...)
		require.Equal(t, want, told(argv), text)
	}
	require.Equal(t, "stop unit etcd.service", told([]string{"sh", "-c", `"$@"`, "x", "systemctl", "stop", "etcd"}))
	require.Equal(t, "add a learner member x", told(append(give, "member", "add", "x", "--peer-urls", "https://x:2380", "--learner")))
	require.Equal(t, "remove member member", told([]string{"etcdctl", "--debug", "member", "remove", "member"}))
}
