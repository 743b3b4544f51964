package change

import (
	"io"
	"io/fs"
	"time"

	"github.com/dayops/dayops/engine/reader"
)

// Content is the bytes of a Write: small ones at hand, large ones a hash and an opener.
type Content struct {
	Size   int64
	SHA256 string
	Bytes  []byte                        // nil for a large file
	Blob   string                        // where a Keeper has them: Decode makes Open of it
	Open   func() (io.ReadCloser, error) `json:"-"`
}

// Force, in the changes of files and units, leaves out the comparison with
// Before: what somebody made of it since is overwritten. Forced sets it.

// Attr is a mode and an ownership; nil and "" leave things as they are.
type Attr struct {
	Mode  *fs.FileMode
	Owner string
	Group string
}

// Write gives a file its content, in one step.
type Write struct {
	Path   string
	Before reader.File // as planned from, with SHA256; Exists false: made new
	Was    []byte      // the old text where it was read, for the diff
	After  Content
	Attr   Attr
	Backup bool // keep the old file beside it, named by the time
	Hide   bool // never show a diff: no_log, or not text
	Force  bool
}

// Attrs changes mode and ownership of what is there.
type Attrs struct {
	Path      string
	Before    reader.File
	Attr      Attr
	Recursive bool
	Touch     bool // also set the times of Path itself to now: an action, always done
	Force     bool
}

// Dir makes a folder, with its parents.
type Dir struct {
	Path   string
	Before reader.File
	Attr   Attr
	Force  bool
	// Staging: Path has a StagingName; what takes it back removes all that is in
	// it. The plan removes it in Finally, by a Remove with Staging.
	Staging bool
}

// Link makes a symbolic or hard link, in one step.
type Link struct {
	Path   string
	Target string
	Hard   bool
	Before reader.File
	Attr   Attr // owner and group of a symlink; it has no mode
	Force  bool
}

// Move renames on one host. Without Over, To must not exist.
type Move struct {
	From, To string
	Before   reader.File  // what is at From
	Over     *reader.File // what is at To and goes, unless it is gone already; no folder
	Kept     bool         // From lies aside: its record there goes too
	Force    bool
}

// Remove moves what is at Path aside; it never deletes, but what dayops made for
// itself.
type Remove struct {
	Path      string
	Before    reader.File
	OnlyEmpty bool // a folder that must be empty; nothing is kept of it
	Staging   bool // a folder with a StagingName, for good and with all that is in it; whatever Before says
	Force     bool
}

// Unit changes a systemd unit's state.
type Unit struct {
	Name         string
	Before       reader.Unit
	Active       *bool // want it running, or stopped
	Enabled      *bool
	Masked       *bool
	Restart      bool // an action: always done
	Reload       bool
	DaemonReload bool // before anything else
	// NoBlock does not wait until a unit that is started says that it runs, also
	// where a stop is taken back: members of a cluster come up only together.
	NoBlock bool
	// Unless is a path: where it exists on the host, the unit is left as it is, and
	// a note says so. What it marks is half done, to be resumed or taken back.
	Unless string
	Force  bool
}

// Package installs, upgrades or removes packages through the host's manager.
type Package struct {
	Manager string   // apt, dnf, yum
	Install []string // names, or name=version (apt), name-version (dnf, yum)
	Remove  []string
	Latest  bool             // upgrade Install to the newest
	Refresh bool             // read the repositories' lists first
	Before  []reader.Package // what is installed of them
	NoStart bool             // apt: do not let the package start its daemons
	// Back says that this takes an earlier Package back: older versions are
	// installed, and configuration files of what is removed are moved aside.
	Back bool
	// Was is every package that was installed when Back was made, until Refine
	// has compared it with what is installed afterwards.
	Was  []reader.Package
	Left []string // apt, Back: packages whose configuration was left on the host before
}

// Exec runs a command whose effect dayops cannot know. Only command and shell
// may leave Done empty.
type Exec struct {
	Argv  []string
	Env   map[string]string
	Dir   string
	Stdin []byte
	// Login, instead of Stdin, names a service ("etcd"): the command reads the
	// password of the user of Argv's --user, which is found when the command runs and
	// stands in no plan and no journal.
	Login   string
	Limit   time.Duration
	Done    *Probe // tells whether it has been done already
	Class   Risk
	Purpose string // for Summary; "" shows Argv
	// Words stand in words of Argv: "{member}" is what the query of that key finds
	// when the command runs. Every key stands in Argv; nothing found is a *NotFoundError.
	Words map[string]Query
	// Undo takes it back, in this order; each has its own Done, and no Undo. None: it cannot be.
	Undo    []*Exec
	UndoWhy string // what stays all the same: the Reversal is Partial
	Staging bool   // all that it leaves lies in a staging folder, which the plan removes in Finally
	// While it fails and says Again, it is given again, for AgainFor: what it asks is
	// not ready for it yet.
	Again    string
	AgainFor time.Duration
	// NoReturn: once it is made, nothing of its plan is taken back by an undo: the
	// old state is out of reach, and what the plan did besides goes with it.
	NoReturn bool
}

// Probe asks a host a question. Argv must be in the reader's table of
// read-only programs, or Path or Find must be set.
type Probe struct {
	Argv   []string
	Code   int    // exit code that means yes
	Path   string // yes when this exists
	Find   *Query // yes when it finds something; with nothing else but Is
	Is     string // and Field reads so, where this is not empty; an absent Field reads as "false"
	Absent bool   // yes when Path does not exist, or Find says no
}

// Query finds one thing in the JSON that a probe answers: what exists only at
// the time, as a member's ID. Keys are paths, with dots between objects. A probe
// that exits with another code than 0, an answer that is no JSON, and two
// elements that fit (where a Field is wanted of one), are errors: nothing is
// concluded from them.
type Query struct {
	Argv   []string // a row of the reader's table that answers in JSON
	List   string   // key of the list to look in: "members"; "" is the answer itself
	Key    string   // of the element: "peerURLs", "name"; "" is any element
	Value  string   // which Key has, or has in its list
	Field  string   // what is wanted of the element: "ID"; "" is the element itself
	Hex    bool     // Field is a number and is wanted in hexadecimal
	AtMost int64    // Field is a number, and only one that is no larger counts; 0: whatever it is
	What   string   // for people: "the ID of etcd-3"
}

// Transfer moves bytes between a host, the control machine, the store and
// another host. Exactly one From and one To; FromPeer goes with ToFile.
type Transfer struct {
	FromFile *reader.File // a file of the host
	FromTree *Tree        // many files of the host
	ToLocal  string       // a file of the control machine, written in one step, 0600
	ToSet    *SetTarget   // a new backup set
	ToDir    string       // a folder of the same host: 0700
	Note     string       // of a tree, for Summary: what was there when it was planned

	FromPeer string // another host of the plan, whose regular file FromPath, of at most MaxPeerFile bytes, goes to ToFile
	FromPath string
	ToFile   string      // a file of this host; the bytes go through memory, into no event and no journal
	Attr     Attr        // of ToFile
	Before   reader.File // of ToFile, as planned from
}

// Tree is what a Transfer takes of a host. See ListTree for what it finds.
type Tree struct {
	Root     string // "" or the folder that stands for /
	Items    []TreeItem
	Exclude  []string // globs below Root; one without a slash matches a name at any depth
	MaxFile  int64    // larger files are reported as missed; 0: no limit
	MaxTotal int64    // more bytes than this are refused; 0: no limit
	Packages bool     // also packages.txt: the installed packages
	Trust    bool     // also trust.txt: the certificates that the host trusts, where it has the tool
}

// TreeItem is one path or glob of a Tree.
type TreeItem struct {
	Path     string // absolute, without Root
	Optional bool   // its absence is listed, not missed
	Quiet    bool   // of an Optional one: its absence is not even listed
	Why      string // for people: "guide 4.1"
}

// SetTarget names the backup set that a Transfer makes.
type SetTarget struct {
	Dir   string // of the control machine; "" is Host.Store
	Host  string
	Kind  string            // host_backup
	Facts map[string]string // for the manifest
	Raw   []RawFile         // files of the host that are artefacts of their own, beside the tree
	// Missed is what the set lacks, as is known beforehand: it is partial.
	Missed []Missed
}

// RawFile is a regular file of the host that becomes an artefact of a set, as it is.
type RawFile struct {
	Path  string // absolute, no symlink
	Name  string // of the artefact: "snapshot.db"
	Proof string // names one of Host.Proofs: what it refuses never becomes a set; "" is none
}

// Wait holds the run until the host answers a question, or Limit is over.
type Wait struct {
	Port    int      // TCP port at Address that must accept, or refuse with Gone
	Address string   // "" is the loopback address of the host itself
	Path    string   // must exist, or not with Gone
	Match   string   // regular expression that Path's content or the port's banner must have
	Unit    string   // must be active
	Argv    []string // a probe from the reader's table that must exit 0
	Find    *Query   // must find something
	Is      string   // and its Field must read so, where this is not empty; an absent one reads as "false"
	Gone    bool
	Delay   time.Duration
	Every   time.Duration // 0: one second
	Limit   time.Duration // never 0
	What    string        // for people: "etcd-2 to be healthy"; "": what is asked
}

// Reboot starts the host anew and waits until it is back.
type Reboot struct {
	BootID  string        // as planned from
	Limit   time.Duration // until it is back; 0: RebootLimit
	Delay   time.Duration // wait this long before
	Settle  time.Duration // and this long when it is back
	Message string        // for those who are logged in
	Test    []string      // a probe from the reader's table that must exit 0 before it counts as back
}

// Bracket does Do and then always Then, on the host itself: when a change of Do
// fails, when we die and when the connection breaks. Only Units and Execs.
type Bracket struct {
	Do   []Change
	Then []Change
}
