package lab

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// state is what Down needs to find everything; it is on disk before anything is made.
type state struct {
	Version  int         `json:"version"`
	ID       string      `json:"id"` // random; names the control group, marks the processes
	Bridge   string      `json:"bridge"`
	Subnet   string      `json:"subnet"` // "10.x.y"
	Etcd     string      `json:"etcd"`   // release line of the members
	Offers   string      `json:"offers"` // release line that the spares' package source has
	Closed   bool        `json:"closed"`
	Pods     bool        `json:"pods"`
	Password string      `json:"password"`
	Seed     uint64      `json:"seed"`
	Owner    *process    `json:"owner,omitempty"`
	Ready    bool        `json:"ready"`
	Hosts    []hostState `json:"hosts"`
}

type hostState struct {
	Name    string   `json:"name"`
	IP      string   `json:"ip"`
	Roles   []string `json:"roles"`
	Machine string   `json:"machine"` // short: the port on the bridge is "vb-" + Machine
	UUID    string   `json:"uuid"`
	Base    string   `json:"base"` // the image that its own disk lies over
}

// process is a process that cannot be taken for a later one of the same number.
type process struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // clock ticks since boot, field 22 of /proc/PID/stat
	Boot  string `json:"boot"`
}

const stateVersion = 1

func statePath(dir string) string { return filepath.Join(dir, "state.json") }
func lockPath(dir string) string  { return filepath.Join(dir, ".lock") }

func readState(dir string) (state, error) {
	var s state
	text, err := os.ReadFile(statePath(dir))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("%s: %w", statePath(dir), err)
	}
	if s.Version != stateVersion || !validID(s.ID) {
		return s, fmt.Errorf("%s: not the state of a lab of this version", statePath(dir))
	}
	return s, nil
}

func validID(id string) bool {
	_, err := hex.DecodeString(id)
	return err == nil && len(id) == 16
}

func writeState(dir string, s state) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(statePath(dir), append(text, '\n'), 0o600)
}

// claimDir makes dir, or takes it when it is empty or a lab's already.
func claimDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(lockPath(dir)); err != nil && len(found) > 0 {
		return fmt.Errorf("%s is not empty and not a lab's folder", dir)
	}
	return nil
}

// plan lays down everything about the lab but its images, bridge and addresses.
func plan(o Options) (state, error) {
	s := state{Version: stateVersion, ID: randomHex(8), Etcd: o.Etcd, Offers: o.SpareEtcd, Closed: o.Closed, Pods: o.Pods, Password: randomHex(8), Seed: o.Seed}
	if o.Owned {
		p, err := self()
		if err != nil {
			return s, err
		}
		s.Owner = &p
	}
	s.Hosts = o.hosts()
	for i := range s.Hosts {
		s.Hosts[i].Machine = fmt.Sprintf("d%sh%d", s.ID[:6], i)
		u := randomHex(16)
		s.Hosts[i].UUID = strings.Join([]string{u[:8], u[8:12], "4" + u[13:16], "8" + u[17:20], u[20:]}, "-")
	}
	return s, nil
}

// hosts names the hosts and their roles.
func (o *Options) hosts() []hostState {
	var out []hostState
	add := func(n int, name string, roles ...string) {
		for i := range n {
			out = append(out, hostState{Name: fmt.Sprintf("%s-%d", name, i), Roles: roles})
		}
	}
	add(o.Masters, "master", "master", "node")
	for i := range o.Members {
		out[i].Roles = []string{"master", "node", "etcd"}
	}
	add(o.Nodes, "node", "node")
	add(o.Etcds, "etcd", "etcd")
	add(o.Spares, "spare", "new_etcd")
	return out
}

// shape tells labs that can stand for one another from those that cannot.
func (s *state) shape() string {
	out := fmt.Sprintf("etcd %s, offered %s, closed %t, pods %t:", s.Etcd, s.Offers, s.Closed, s.Pods)
	for _, h := range s.Hosts {
		out += fmt.Sprint(" ", h.Name, h.Roles)
	}
	return out
}

func (o *Options) shape() string {
	s := state{Etcd: o.Etcd, Offers: o.SpareEtcd, Closed: o.Closed, Pods: o.Pods, Hosts: o.hosts()}
	return s.shape()
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return hex.EncodeToString(b)
}

// registry is a folder with one file per running lab, which names the lab's folder.
func registry() (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	d := filepath.Join(cache, "labs")
	return d, os.MkdirAll(d, 0o755)
}

func registryName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:8])
}

// register notes an owned lab, so that a later sweep finds it.
func register(s state, dir string) error {
	if s.Owner == nil {
		return writeState(dir, s)
	}
	reg, err := registry()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(reg, registryName(dir)), []byte(dir), 0o600); err != nil {
		return err
	}
	return writeState(dir, s)
}

func unregister(dir string) {
	if reg, err := registry(); err == nil {
		_ = os.Remove(filepath.Join(reg, registryName(dir)))
	}
}

// sweep removes owned labs whose owner is dead: a test run that was killed.
func sweep(ctx context.Context, log io.Writer) error {
	reg, err := registry()
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(reg)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		note := filepath.Join(reg, e.Name())
		dir, err := os.ReadFile(note)
		if err != nil {
			continue // another sweep was quicker
		}
		s, err := readState(string(dir))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // being made just now, or half removed: the note costs nothing
		case err != nil || s.Owner == nil || s.Owner.alive():
			continue
		}
		fmt.Fprintf(log, "removing %s, whose owner is gone\n", dir)
		errs = append(errs, Down(ctx, string(dir)))
	}
	return errors.Join(errs...)
}

func self() (process, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return process{}, err
	}
	start, err := startTime(os.Getpid())
	return process{PID: os.Getpid(), Start: start, Boot: strings.TrimSpace(string(boot))}, err
}

func (p process) alive() bool {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	start, err := startTime(p.PID)
	return err == nil && start == p.Start && strings.TrimSpace(string(boot)) == p.Boot
}

// startTime reads field 22 of /proc/PID/stat; the name in field 2 may hold anything.
func startTime(pid int) (string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(text[max(0, strings.LastIndexByte(string(text), ')')):]), ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 20 {
		return "", fmt.Errorf("/proc/%d/stat: not understood", pid)
	}
	return f[19], nil
}
