// Package journal keeps what runs did. For now it is their history: the
// events of each run, one JSON line each, in a private folder of its own.
package journal

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dayops/dayops/engine/event"
)

// eventsFile is the record of a run inside its folder.
const eventsFile = "events.jsonl"

// maxLine bounds one event when a record is read back: outputs are bounded at
// twice half a MiB, and JSON may escape each byte as six.
const maxLine = 16 << 20

// History is a folder with one folder for each run.
type History struct{ dir string }

// Open names the folder: stateDir/runs. Nothing is made before the first run.
func Open(stateDir string) *History { return &History{dir: filepath.Join(stateDir, "runs")} }

// Begin makes the folder of a run, 0700, and returns its record, 0600, to be
// written line by line.
func (h *History) Begin(run string) (io.WriteCloser, error) {
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return nil, err
	}
	dir := filepath.Join(h.dir, run)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, eventsFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

// Reopen goes on with the record of a run where a crash cut it off.
func (h *History) Reopen(run string) (io.WriteCloser, error) {
	f, err := os.OpenFile(filepath.Join(h.dir, run, eventsFile), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	whole, err := wholeLines(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// wholeLines is the length of the lines that have an end.
func wholeLines(f io.Reader) (int64, error) {
	in, whole := bufio.NewReader(f), int64(0)
	for {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return 0, err
		}
		whole += int64(len(line))
	}
}

// Entry is one run as the list shows it.
type Entry struct {
	Run       string    `json:"run"`
	Start     time.Time `json:"start"`
	Playbook  string    `json:"playbook"`
	Inventory string    `json:"inventory"`
	Hosts     int       `json:"hosts"`
	Check     bool      `json:"check"`
	Ended     bool      `json:"ended"` // false: still running, or it died
	Code      int       `json:"code"`
	Seconds   float64   `json:"seconds"`
	Changes   int       `json:"changes"`

	hosts []string
}

// List gives all runs, the newest last, and how many records could not be read.
func (h *History) List() (entries []Entry, unreadable int, err error) {
	dirs, err := h.runs()
	if err != nil {
		return nil, 0, err
	}
	for _, d := range dirs {
		e := Entry{Run: d.Name()}
		if err := h.Replay(d.Name(), e.add); err != nil || e.Start.IsZero() {
			unreadable++
			continue
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, byStart)
	return entries, unreadable, nil
}

// runs lists the folders of runs; those on their way out are none any more.
func (h *History) runs() ([]os.DirEntry, error) {
	dirs, err := os.ReadDir(h.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return slices.DeleteFunc(dirs, func(d os.DirEntry) bool {
		return !d.IsDir() || strings.HasPrefix(d.Name(), prunedPrefix)
	}), err
}

func byStart(a, b Entry) int {
	return cmp.Or(a.Start.Compare(b.Start), strings.Compare(a.Run, b.Run))
}

func (e *Entry) add(ev event.Event) {
	switch ev.Kind {
	case event.RunStart:
		if e.Start.IsZero() {
			e.Start = ev.Time
		}
		e.Ended, e.Playbook, e.Hosts = false, ev.Text, len(ev.Hosts) // a run that is taken up again has not ended
		e.hosts = ev.Hosts
		e.Check, _ = ev.Data["check"].(bool)
		e.Inventory, _ = ev.Data["inventory"].(string)
	case event.RunEnd:
		e.Ended, e.Seconds = true, ev.Seconds
		if ev.Code != nil {
			e.Code = *ev.Code
		}
		if n, ok := ev.Data["changes"].(float64); ok {
			e.Changes = int(n)
		}
	}
}

// UnknownRunError: no run has that id, or several begin with it.
type UnknownRunError struct {
	Run  string
	Like []string // runs that begin so
}

func (e *UnknownRunError) Error() string {
	if len(e.Like) > 0 {
		return fmt.Sprintf("run %s: several begin so: %s", e.Run, strings.Join(e.Like, ", "))
	}
	return fmt.Sprintf("no run %s", e.Run)
}

// Find completes the beginning of a run's id.
func (h *History) Find(prefix string) (string, error) {
	dirs, err := h.runs()
	if err != nil {
		return "", err
	}
	var like []string
	for _, d := range dirs {
		if d.Name() == prefix {
			return prefix, nil
		}
		if prefix != "" && strings.HasPrefix(d.Name(), prefix) {
			like = append(like, d.Name())
		}
	}
	if len(like) == 1 {
		return like[0], nil
	}
	return "", &UnknownRunError{Run: prefix, Like: like}
}

// Replay gives f every event of a run in order. A last line that a crash cut
// off ends the record; a bad line elsewhere is an error.
func (h *History) Replay(run string, f func(event.Event)) error {
	file, err := os.Open(filepath.Join(h.dir, run, eventsFile))
	if err != nil {
		return err
	}
	defer file.Close()
	sc := bufio.NewScanner(file)
	sc.Buffer(make([]byte, 64<<10), maxLine)
	var bad error
	for sc.Scan() {
		if bad != nil {
			return bad
		}
		var e event.Event
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			bad = fmt.Errorf("%s: %w", file.Name(), err)
			continue
		}
		f(e)
	}
	return sc.Err()
}
