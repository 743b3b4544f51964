package ssh

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kevinburke/ssh_config"
)

// forks bounds how many ssh programs resolve hosts at the same time.
const forks = 4

// systemConfig is where OpenSSH reads settings for all accounts.
const systemConfig = "/etc/ssh/ssh_config"

// lookups answers what the configuration files say about a host, once each.
type lookups struct {
	mu      sync.Mutex
	answers map[string]*answer
	matter  map[string]bool // configuration file -> says something about connecting
	slots   chan struct{}
}

type answer struct {
	once sync.Once
	opts []option
	err  error
}

// lookup returns what the configuration says about name. given are options
// that beat it; they matter to its Match blocks. file replaces the usual files.
//
// The ssh program is asked where there is one, because nothing else reads
// Match exec as it does; but not where no file says a word about connecting.
func (d *Dialer) lookup(name string, given []option, file string) ([]option, error) {
	file = cmp.Or(d.expandHome(file), d.opts.ConfigFile)
	files := []string{file}
	if file == "" {
		files = []string{filepath.Join(d.opts.Home, ".ssh", "config"), systemConfig}
	}
	if file == "none" || !d.configMatters(files) {
		return nil, nil
	}
	var key strings.Builder
	fmt.Fprintf(&key, "%q %q %q", file, name, given)
	d.lookups.mu.Lock()
	a := d.lookups.answers[key.String()]
	if a == nil {
		a = &answer{}
		d.lookups.answers[key.String()] = a
	}
	d.lookups.mu.Unlock()
	a.once.Do(func() {
		if d.opts.SSHProgram != "" {
			a.opts, a.err = d.askSSH(name, given, file)
		} else {
			a.opts, a.err = readConfigs(name, files)
		}
		for _, o := range a.opts {
			d.noticeUnchecked(name, o.name, o.value)
		}
	})
	return a.opts, a.err
}

// askSSH runs ssh -G.
func (d *Dialer) askSSH(name string, given []option, file string) ([]option, error) {
	d.lookups.slots <- struct{}{}
	defer func() { <-d.lookups.slots }()
	ctx, cancel := context.WithTimeout(context.Background(), d.limits.dial)
	defer cancel()
	argv := []string{"-G"}
	accountHome := d.accountHome()
	if file == "" && accountHome != d.opts.Home {
		// ssh looks into the account's home whatever $HOME says.
		file = filepath.Join(d.opts.Home, ".ssh", "config")
		if _, err := os.Stat(file); err != nil {
			file = systemConfig
		}
	}
	if file != "" {
		argv = append(argv, "-F", file)
	}
	for _, o := range given {
		argv = append(argv, "-o", o.name+"="+o.value)
	}
	cmd := exec.CommandContext(ctx, d.opts.SSHProgram, append(argv, "--", name)...)
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ssh -G %s: %w: %s", name, err, strings.TrimSpace(said.String()))
	}
	var opts []option
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if !slices.Contains(honoured(), key) {
			continue
		}
		if strings.HasSuffix(key, "knownhostsfile") && accountHome != d.opts.Home {
			value = strings.ReplaceAll(value, filepath.Join(accountHome, ".ssh")+"/", filepath.Join(d.opts.Home, ".ssh")+"/")
		}
		opts = append(opts, option{key, value})
	}
	return opts, nil
}

// readConfigs is the way without an ssh program. Match exec is an error there.
func readConfigs(name string, files []string) ([]option, error) {
	var opts []option
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		config, err := ssh_config.DecodeBytes(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w (install the ssh program: it reads what this cannot)", file, err)
		}
		for _, h := range config.Hosts {
			if !h.Matches(name) {
				continue
			}
			for _, n := range h.Nodes {
				more, err := nodeOptions(name, n)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", file, err)
				}
				opts = append(opts, more...)
			}
		}
	}
	return opts, nil
}

// nodeOptions are the options of one line of a configuration.
func nodeOptions(name string, n ssh_config.Node) (opts []option, err error) {
	switch n := n.(type) {
	case *ssh_config.KV:
		if key := strings.ToLower(n.Key); slices.Contains(honoured(), key) {
			opts = append(opts, option{key, n.Value})
		}
	case *ssh_config.Include:
		for _, key := range honoured() {
			values, err := n.GetAll(name, key)
			if err != nil {
				return nil, err
			}
			for _, v := range values {
				opts = append(opts, option{key, v})
			}
		}
	}
	return opts, nil
}

// noticeUnchecked says that a wish for unchecked host keys is not granted.
func (d *Dialer) noticeUnchecked(name, key, value string) {
	if key == "stricthostkeychecking" && (value == "no" || value == "off" || value == "false") {
		d.notice(fmt.Sprintf("%s: the ssh configuration says StrictHostKeyChecking no; dayops checks host keys all the same", name))
	}
}

// configMatters tells whether one of files, or what they include, has an
// option that dayops honours.
func (d *Dialer) configMatters(files []string) bool {
	for _, f := range files {
		d.lookups.mu.Lock()
		matters, known := d.lookups.matter[f]
		d.lookups.mu.Unlock()
		if !known {
			matters = d.mentions(f, 0)
			d.lookups.mu.Lock()
			d.lookups.matter[f] = matters
			d.lookups.mu.Unlock()
		}
		if matters {
			return true
		}
	}
	return false
}

func (d *Dialer) mentions(file string, depth int) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) // let ssh say what is wrong with it
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		key, value, _ := strings.Cut(strings.Replace(line, "=", " ", 1), " ")
		key = strings.ToLower(key)
		if slices.Contains(honoured(), key) || strings.HasPrefix(key, "canonical") {
			return true
		}
		if key != "include" {
			continue
		}
		for _, pattern := range strings.Fields(value) {
			pattern = d.expandHome(strings.Trim(pattern, `"`))
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(file), pattern)
			}
			found, err := filepath.Glob(pattern)
			if err != nil || depth > 8 || slices.ContainsFunc(found, func(f string) bool { return d.mentions(f, depth+1) }) {
				return true
			}
		}
	}
	return lines.Err() != nil
}

func (d *Dialer) localUser() (string, error) {
	me, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("no user is given, and the name of this account is not known: %w", err)
	}
	return me.Username, nil
}

func (d *Dialer) accountHome() string {
	if me, err := user.Current(); err == nil {
		return me.HomeDir
	}
	return d.opts.Home
}
