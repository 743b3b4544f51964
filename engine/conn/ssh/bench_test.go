package ssh

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/sshtest"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// BenchmarkConnect measures connect, one command and close on 50 addresses of
// one sshd, all at once, against a bare loop over x/crypto/ssh that checks host
// keys too. Both run in turn, so that they meet the same weather.
// It reports the medians and their ratio.
func BenchmarkConnect(b *testing.B) {
	const hosts, rounds = 50, 9
	s := sshtest.Start(b, sshtest.Options{Listen: "0.0.0.0", Config: "MaxStartups 1000"})
	var addrs []string
	for i := range hosts {
		addrs = append(addrs, fmt.Sprintf("127.1.0.%d", i+1))
	}
	s.Trust(b, addrs...)
	d := New(Options{Home: b.TempDir(), Agent: "none"})
	defer d.Close()
	bare := bareLoop(b, s)
	ours := func(addr string) error {
		t := s.Target(addr)
		t.Address = addr
		c, err := d.Dial(b.Context(), t)
		if err != nil {
			return err
		}
		defer c.Close()
		r, err := c.Run(b.Context(), conn.Cmd{Argv: []string{"/bin/echo", "hello"}})
		if err == nil && r.Stdout.String() != "hello\n" {
			err = fmt.Errorf("%+v", r)
		}
		return err
	}
	round := func(each func(addr string) error) time.Duration {
		start := time.Now()
		var all sync.WaitGroup
		for _, a := range addrs {
			all.Go(func() {
				if err := each(a); err != nil {
					b.Error(a, err)
				}
			})
		}
		all.Wait()
		return time.Since(start)
	}
	round(bare)
	round(ours)
	for b.Loop() {
		var theirs, mine []time.Duration
		for range rounds {
			theirs = append(theirs, round(bare))
			mine = append(mine, round(ours))
		}
		report(b, theirs, mine)
	}
	b.ReportMetric(0, "ns/op")
}

func bareConfig(b *testing.B, s *sshtest.Server) *ssh.ClientConfig {
	known, err := xknownhosts.New(s.KnownHosts)
	if err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(s.KeyFile)
	if err != nil {
		b.Fatal(err)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		b.Fatal(err)
	}
	return &ssh.ClientConfig{User: s.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: known,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, Timeout: conn.DialLimit}
}

func bareRun(c *ssh.Client) error {
	session, err := c.NewSession()
	if err != nil {
		return err
	}
	out, err := session.Output("/bin/echo hello")
	if err == nil && string(out) != "hello\n" {
		err = fmt.Errorf("%q", out)
	}
	return err
}

func bareLoop(b *testing.B, s *sshtest.Server) func(addr string) error {
	config := bareConfig(b, s)
	return func(addr string) error {
		c, err := ssh.Dial("tcp", net.JoinHostPort(addr, strconv.Itoa(s.Port)), config)
		if err != nil {
			return err
		}
		defer c.Close()
		return bareRun(c)
	}
}

// BenchmarkCommands measures 20 commands, one after the other, on each of 20
// open connections at once.
func BenchmarkCommands(b *testing.B) {
	const hosts, commands, rounds = 20, 20, 5
	s := sshtest.Start(b, sshtest.Options{Config: "MaxStartups 1000"})
	config := bareConfig(b, s)
	d := New(Options{Home: b.TempDir(), Agent: "none"})
	defer d.Close()
	var bare []*ssh.Client
	var ours []conn.Conn
	for range hosts {
		r, err := ssh.Dial("tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), config)
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		c, err := d.Dial(b.Context(), s.Target("web"))
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		bare, ours = append(bare, r), append(ours, c)
	}
	round := func(one func(host int) error) time.Duration {
		start := time.Now()
		var all sync.WaitGroup
		for h := range hosts {
			all.Go(func() {
				for range commands {
					if err := one(h); err != nil {
						b.Error(err)
					}
				}
			})
		}
		all.Wait()
		return time.Since(start)
	}
	for b.Loop() {
		var theirs, mine []time.Duration
		for range rounds {
			theirs = append(theirs, round(func(h int) error { return bareRun(bare[h]) }))
			mine = append(mine, round(func(h int) error {
				_, err := ours[h].Run(b.Context(), conn.Cmd{Argv: []string{"/bin/echo", "hello"}})
				return err
			}))
		}
		report(b, theirs, mine)
	}
	b.ReportMetric(0, "ns/op")
}

// report gives the medians and their ratio.
func report(b *testing.B, bare, dayops []time.Duration) {
	slices.Sort(bare)
	slices.Sort(dayops)
	theirs, mine := bare[len(bare)/2], dayops[len(dayops)/2]
	b.ReportMetric(float64(theirs.Milliseconds()), "bare-ms")
	b.ReportMetric(float64(mine.Milliseconds()), "dayops-ms")
	b.ReportMetric(float64(mine)/float64(theirs), "ratio")
}

// BenchmarkMemory holds 200 connections and reports the heap they take.
func BenchmarkMemory(b *testing.B) {
	const hosts = 200
	s := sshtest.Start(b, sshtest.Options{Listen: "0.0.0.0", Config: "MaxStartups 1000"})
	d := New(Options{Home: b.TempDir(), Agent: "none"})
	defer d.Close()
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range hosts {
			addr := fmt.Sprintf("127.1.0.%d", i+1)
			s.Trust(b, addr)
			t := s.Target(addr)
			t.Address = addr
			c, err := d.Dial(b.Context(), t)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Run(b.Context(), conn.Cmd{Argv: []string{"true"}}); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapInuse-before.HeapInuse)/hosts/1024, "KiB/host")
	}
	b.ReportMetric(0, "ns/op")
}
