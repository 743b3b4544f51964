package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/dayops/dayops/engine"
	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/ssh"
	"github.com/dayops/dayops/engine/guard"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/secret"
)

// flags are what the commands share, under Ansible's names.
type flags struct {
	force, leave []string // of an undo
	inventory    []string
	texts        map[string][]byte // of files of the inventory, where they are not read as they are
	limit        string
	forks        int
	extra        []string

	user       string
	keyFile    string
	askPass    bool
	common     string
	hostKeys   string
	become     bool
	becomeUser string
	askBecome  bool
	becomeFile string
	passFile   string

	tags, skipTags []string
	check, diff    bool
	listHosts      bool
	listTasks      bool
	listTags       bool
	syntaxCheck    bool
	detailed       bool

	yes                 bool          // -y
	approve             string        // the highest risk that is approved
	loseQuorum          []string      // hosts on which a loss of the etcd quorum is meant
	readOnly            bool          // the commands only read
	lockExpiry          time.Duration // of the locks on hosts
	applied, appliedSum string        // the saved plan that is applied, and its sum
	planFile            string        // of dayops plan -o
	adhoc               bool          // the playbook is one command line, and no file

	output     string
	verbose    int
	showOutput bool // of commands, in any case
	quiet      bool
}

func (f *flags) inventoryFlags(fs *pflag.FlagSet) {
	fs.StringArrayVarP(&f.inventory, "inventory", "i", nil, "inventory file, folder, or list of hosts with a comma (repeatable; default: $DAYOPS_INVENTORY, ./inventory.yml)")
}

// reachFlags say which hosts are meant and how to get to them.
func (f *flags) reachFlags(fs *pflag.FlagSet) {
	f.inventoryFlags(fs)
	fs.StringVarP(&f.limit, "limit", "l", "", "only hosts that also match this pattern")
	fs.IntVarP(&f.forks, "forks", "f", engine.DefaultForks, "hosts worked on at once")
	fs.StringVarP(&f.user, "user", "u", "", "log in as this user, where the inventory sets no ansible_user")
	fs.StringVar(&f.common, "ssh-common-args", "", "ssh options for every host: -o ProxyJump=..., -o ProxyCommand=..., -J, -F")
}

// loginFlags say as whom, and with what.
func (f *flags) loginFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.keyFile, "private-key", "", "log in with this private key")
	fs.StringVar(&f.keyFile, "key-file", "", "the same")
	_ = fs.MarkHidden("key-file")
	fs.BoolVarP(&f.askPass, "ask-pass", "k", false, "ask for the login password")
	fs.StringVar(&f.passFile, "conn-pass-file", "", "file that holds the login password (0600)")
	fs.StringVar(&f.hostKeys, "host-key-checking", "", "strict: unknown hosts are refused (default); accept-new: they are added to known_hosts")
	fs.BoolVarP(&f.become, "become", "b", false, "work as root through sudo")
	fs.StringVar(&f.becomeUser, "become-user", "", "work as this user through sudo (with -b)")
	fs.BoolVarP(&f.askBecome, "ask-become-pass", "K", false, "ask for the sudo password")
	fs.StringVar(&f.becomeFile, "become-pass-file", "", "file that holds the sudo password (0600)")
}

func (f *flags) connectFlags(fs *pflag.FlagSet) {
	f.reachFlags(fs)
	f.loginFlags(fs)
	fs.StringArrayVarP(&f.extra, "extra-vars", "e", nil, "variables that win over all others: k=v, {json}, @file (repeatable)")
	f.outputFlags(fs)
}

// changeFlags are those of commands that change hosts.
func (f *flags) changeFlags(fs *pflag.FlagSet) {
	fs.BoolVarP(&f.yes, "yes", "y", false, "approve disruptive changes: restarts of what others rely on, reboots; never a loss of data")
	fs.StringVar(&f.approve, "approve", "", "approve changes up to this risk without asking: disruptive or destructive")
	fs.StringSliceVar(&f.loseQuorum, "lose-quorum", nil, "changes on this host may take the etcd quorum away, or cannot be weighed, and are meant all the same (repeatable)")
	fs.DurationVar(&f.lockExpiry, "lock-expiry", guard.Expiry, "how long a host stays locked after the last sign of life of this program")
}

func (f *flags) outputFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&f.output, "output", "o", "text", "text, or json: one event a line and nothing else on standard output")
	fs.CountVarP(&f.verbose, "verbose", "v", "show more: outputs of commands (-v), results as data (-vv)")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "show only what went wrong")
}

func (f *flags) playbookFlags(fs *pflag.FlagSet) {
	f.connectFlags(fs)
	fs.StringSliceVarP(&f.tags, "tags", "t", nil, "only tasks with one of these tags")
	fs.StringSliceVar(&f.skipTags, "skip-tags", nil, "no tasks with one of these tags")
	fs.BoolVar(&f.listHosts, "list-hosts", false, "list the hosts of each play and do nothing")
	fs.BoolVar(&f.listTasks, "list-tasks", false, "list the tasks of each play and do nothing")
	fs.BoolVar(&f.listTags, "list-tags", false, "list the tags and do nothing")
	fs.BoolVar(&f.syntaxCheck, "syntax-check", false, "look for mistakes in the files and do nothing")
}

// addCompletion makes the shell complete what it can know.
func addCompletion(cmd *cobra.Command, flag string, values ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values, cobra.ShellCompDirectiveNoFileComp
	})
}

// login turns flags into what the engine wants, and asks for passwords.
func (a *app) login(f *flags) (engine.Login, error) {
	l := engine.Login{User: f.user, KeyFile: f.keyFile, Become: f.become || f.becomeUser != "", BecomeUser: f.becomeUser}
	if f.forks < 1 {
		return l, usage("1 is one host after the other", "--forks=%d: at least one host must be worked on", f.forks)
	}
	switch f.hostKeys {
	case "":
	case string(conn.Strict), string(conn.AcceptNew):
		l.HostKeys = conn.HostKeyPolicy(f.hostKeys)
	default:
		return l, usage("strict or accept-new; a changed key is refused by both", "--host-key-checking=%s is not known", f.hostKeys)
	}
	var err error
	if l.CommonArgs, err = inventory.SplitWords(f.common); err == nil {
		err = ssh.CheckArgs(l.CommonArgs)
	}
	if err != nil {
		return l, usage("", "--ssh-common-args: %s", err)
	}
	if l.Password, err = a.password(f.askPass, f.passFile, "SSH password: "); err != nil {
		return l, err
	}
	l.BecomePassword, err = a.password(f.askBecome, f.becomeFile, "sudo password: ")
	return l, err
}

// password asks on the terminal, or reads the first line of a private file.
func (a *app) password(ask bool, file, prompt string) (secret.Value, error) {
	if file != "" {
		return passwordFile(file)
	}
	if !ask {
		return secret.Value{}, nil
	}
	in, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return secret.Value{}, usage("use --conn-pass-file or --become-pass-file", "there is no terminal to ask for a password")
	}
	fmt.Fprint(a.err, prompt)
	text, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(a.err)
	return secret.New(string(text)), err
}

const maxPasswordFile = 64 << 10

func passwordFile(path string) (secret.Value, error) {
	f, err := os.Open(path)
	if err != nil {
		return secret.Value{}, usage("", "%v", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return secret.Value{}, err
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return secret.Value{}, usage("chmod 600 "+path, "%s can be read by others (mode %#o)", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPasswordFile))
	if err != nil {
		return secret.Value{}, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return secret.New(strings.TrimSuffix(line, "\r")), nil
}
