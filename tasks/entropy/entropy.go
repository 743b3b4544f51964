// Package entropy is the task that looks at the kernel's random numbers.
package entropy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/facts"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/task"
	"github.com/dayops/dayops/tasks/internal/daemon"
)

// Params are the parameters of entropy. The numbers are bits, as in
// /proc/sys/kernel/random/entropy_avail, and the guide's (2.2).
type Params struct {
	Ideal     int  `yaml:"ideal" default:"1000" doc:"enough; kernels whose pool holds 256 bits have enough when it is full"`
	WarnBelow int  `yaml:"warn_below" default:"800" doc:"less is a warning"`
	FailBelow int  `yaml:"fail_below" default:"0" doc:"less is a failure; 0 is never"`
	Fix       bool `yaml:"fix" default:"false" doc:"install rng-tools and enable rngd, where that still makes sense"`
}

// Validate checks that the limits are in order.
func (p *Params) Validate() error {
	if p.FailBelow < 0 || p.FailBelow > p.WarnBelow || p.WarnBelow > p.Ideal {
		return errors.New("want 0 <= fail_below <= warn_below <= ideal")
	}
	return nil
}

// State is what the kernel says.
type State struct {
	Avail   int           `plan:"volatile"` // entropy_avail
	Pool    int           // poolsize, bits; 256 since Linux 5.18 and where that was taken over
	Source  string        // hardware generator in use: virtio_rng.0, tpm-rng-0; "" is none
	Device  bool          // /dev/hwrng is there
	Daemon  string        // unit that feeds the kernel and runs
	Units   []reader.Unit // those of the known daemons that the host has
	Package string        // installed package with rngd, "" is none
}

// smallPool is the pool of kernels that stop counting once they are seeded.
const smallPool = 256

// daemons feed the kernel; those of rng-tools first. jitterentropy and haveged do as well.
func daemons() []string {
	return []string{"rngd.service", "rng-tools.service", "rng-tools-debian.service", "jitterentropy.service", "haveged.service"}
}

// Result is what register sees.
type Result struct {
	Msg    string `yaml:"msg" doc:"one line"`
	Avail  int    `yaml:"avail" doc:"bits of entropy"`
	Pool   int    `yaml:"pool" doc:"bits that the pool holds; 256: a modern kernel, which needs no more"`
	Ready  bool   `yaml:"ready" doc:"whether random numbers come without waiting"`
	Source string `yaml:"source" doc:"hardware generator in use, or empty"`
	Daemon string `yaml:"daemon" doc:"unit that feeds the kernel, or empty"`
}

// Define is the task.
func Define() *task.Definition {
	return task.Define(task.Spec[Params]{
		Name: "entropy",
		Doc:  "Judges the kernel's supply of random numbers; can enable rngd.",
		Long: `Too little entropy means time-outs and refused TLS connections. The limits are those of the OpenShift 3.10 Day 2 Operations Guide (2.2): 1000 bits are ideal, below 800 is a warning.
Since Linux 5.18, and on older kernels that took the change over (RHEL 9), the pool holds 256 bits and never runs dry once it has been filled: there 256 is full, and less means that the generator is not initialised.
fix: yes installs rng-tools and enables rngd on older kernels, and on any with a hardware or virtio generator that the host may use. Where it would be of no use, the step says why and changes nothing. In a container the kernel is the machine's.`,
		Example: `- name: There is enough entropy
  entropy:
    fail_below: 200
`,
		Kind: func(p Params) task.Kind {
			if p.Fix {
				return task.State
			}
			return task.Assert
		},
		Facts:  true,
		Result: Result{},
	}, entropy{})
}

type entropy struct{}

// Check reads /proc and /sys.
func (entropy) Check(ctx context.Context, r task.Reader, p Params) (State, error) {
	var s State
	var err error
	if s.Avail, err = number(ctx, r, "entropy_avail"); err != nil {
		return s, err
	}
	if s.Pool, err = number(ctx, r, "poolsize"); err != nil {
		return s, err
	}
	res, err := r.Probe(ctx, "cat", "/sys/class/misc/hw_random/rng_current")
	if err != nil {
		return s, err
	}
	if name := strings.TrimSpace(res.Stdout.String()); res.Code == 0 && name != "none" {
		s.Source = reader.Printable(name)
	}
	dev, err := r.Stat(ctx, "/dev/hwrng")
	if err != nil {
		return s, err
	}
	s.Device = dev[0].Type == reader.CharDev
	if err := s.units(ctx, r); err != nil || !p.Fix {
		return s, err
	}
	installed, err := r.Packages(ctx, "rng-tools", "rng-tools5", "rng-tools-debian")
	if err != nil && !errors.Is(err, reader.ErrNoPackages) {
		return s, err
	}
	if len(installed) > 0 {
		s.Package = installed[0].Name
	}
	return s, nil
}

func (s *State) units(ctx context.Context, r task.Reader) error {
	units, err := r.Units(ctx, daemons()...)
	if errors.Is(err, reader.ErrNoSystemd) {
		return nil
	}
	for _, u := range units {
		if u.Exists() {
			s.Units = append(s.Units, u)
		}
		if u.Active() && s.Daemon == "" {
			s.Daemon = u.Name
		}
	}
	return err
}

func number(ctx context.Context, r task.Reader, name string) (int, error) {
	file := "/proc/sys/kernel/random/" + name
	res, err := r.Probe(ctx, "cat", file)
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(res.Stdout.String())
	n, err := strconv.Atoi(text)
	if res.Code != 0 || err != nil || n < 0 {
		return 0, fmt.Errorf("%s: want a number, got %q %s", file, reader.Printable(text), reader.Printable(strings.TrimSpace(res.Stderr.String())))
	}
	return n, nil
}

// ready: random numbers come without waiting. Older kernels block /dev/random
// when the pool runs low, whatever the generator behind /dev/urandom does.
func (s State) ready(p Params) bool {
	if s.Pool == smallPool {
		return s.Avail >= smallPool
	}
	return s.Avail >= p.WarnBelow
}

func (s State) line() string {
	text := fmt.Sprintf("%d of %d bits", s.Avail, s.Pool)
	if s.Pool == smallPool && s.Avail >= smallPool {
		text = fmt.Sprintf("%d bits, which is full on this kernel", s.Avail)
	}
	if s.Source != "" {
		text += ", hardware generator " + s.Source
	}
	if s.Daemon != "" {
		text += ", " + strings.TrimSuffix(s.Daemon, ".service") + " runs"
	}
	return text
}

// Plan judges, and with fix enables rngd.
func (entropy) Plan(in task.Input[Params, State]) (task.Plan, error) {
	p, s := in.Params, in.State
	plan := task.Plan{}
	if p.Fix {
		changes, why, err := fix(s, in.Facts)
		if err != nil {
			return plan, err
		}
		plan = task.Do(changes...)
		if why != "" {
			plan.Findings = append(plan.Findings, task.Finding{Host: in.Target, Status: task.OK, Text: why})
		}
	}
	if f := judge(in.Target, p, s, len(plan.Stages) > 0); f.Status != task.OK { // enough is the result's line
		plan.Findings = append(plan.Findings, f)
	}
	return plan, nil
}

func judge(host string, p Params, s State, fixing bool) task.Finding {
	f := task.Finding{Host: host, Status: task.OK, Text: "entropy " + s.line()}
	small := s.Pool == smallPool
	switch {
	case s.ready(p):
		return f
	case small:
		f.Status, f.Text = task.Warn, fmt.Sprintf("entropy %s: the kernel's generator is not initialised", s.line())
		f.Hint = "give the machine a virtio or hardware generator, or wait: it has just started"
	default:
		f.Status, f.Text = task.Warn, fmt.Sprintf("entropy %s, below %d", s.line(), p.WarnBelow)
		f.Hint = "set fix: yes, or: yum install rng-tools && systemctl enable --now rngd"
	}
	if fixing {
		f.Hint = "" // it is being done
		return f
	}
	if s.Avail < p.FailBelow {
		f.Status = task.Fail
	}
	return f
}

// fix enables a daemon that feeds the kernel, or says why not. What it does
// must not hang on the entropy of the moment, or a second run could differ.
func fix(s State, f facts.Host) (changes []change.Change, why string, err error) {
	switch {
	case daemon.Container(f.Virt):
		return nil, "nothing to fix here: in a container (" + reader.Printable(f.Virt) + ") the kernel and its entropy are the machine's", nil
	case s.Pool == smallPool && s.Source == "":
		return nil, "nothing to fix: this kernel needs no rngd, and there is no hardware generator for it to read", nil
	case s.Pool == smallPool && !s.Device:
		return nil, "nothing to fix: this kernel reads " + s.Source + " by itself, and there is no /dev/hwrng for rngd", nil
	}
	if u := daemon.Choose(s.Units); u.Exists() {
		if c := daemon.Enable(u); c != nil {
			changes = append(changes, c)
		}
		return changes, "", nil
	}
	name := "rng-tools"
	switch f.OS.Family() {
	case "redhat":
	case "debian":
		name = "rng-tools5"
	default:
		return nil, "", fmt.Errorf("no package with rngd is known for %q", reader.Printable(f.OS.Name))
	}
	if s.Package != "" {
		return nil, "", fmt.Errorf("%s is installed, but the host has none of its units: is it complete?", s.Package)
	}
	return []change.Change{
		&change.Package{Manager: f.Packager, Install: []string{name}, Refresh: f.Packager == "apt"},
		daemon.Enable(reader.Unit{Name: "rngd.service", LoadState: "not-found"}),
	}, "", nil
}

// Result tells what was found.
func (entropy) Result(in task.Input[Params, State], _ task.Outcome) any {
	s := in.State
	msg := s.line()
	if s.ready(in.Params) && s.Pool != smallPool && s.Avail < in.Params.Ideal {
		msg += fmt.Sprintf(", ideal are %d", in.Params.Ideal)
	}
	return Result{Msg: msg, Avail: s.Avail, Pool: s.Pool, Ready: s.ready(in.Params), Source: s.Source, Daemon: s.Daemon}
}
