package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/gofrs/flock"
)

// Files of a run's folder.
const (
	journalFile = "journal.jsonl"
	lockFile    = "lock"
)

// Journal is what a run is about to do and has done, on disk before and after.
// Its methods may be called at the same time.
type Journal struct {
	dir   string
	run   string
	file  *os.File
	lock  *flock.Flock
	blobs blobs
	seal  sealer
	crash crasher

	mu      sync.Mutex
	wake    *sync.Cond
	last    int64  // id of a change
	taken   int    // how often the run was taken up again
	pending []byte // encoded, not written yet
	sync    bool   // some of it must reach the disk
	put     int    // records put
	safe    int    // of them written
	size    int64  // of the file
	synced  int64  // as much of it is on disk for certain
	marked  int64  // as much the file itself says is
	busy    bool   // somebody is writing
	err     error  // the first; nothing is written after it
}

// ErrHeld: another process has the run under way.
var ErrHeld = errors.New("the run is under way in another process")

// Create begins the journal of a run whose folder Begin has made. The folder is
// locked as long as the journal is open.
func (h *History) Create(run string) (*Journal, error) {
	return h.open(run, os.O_CREATE|os.O_EXCL)
}

func (h *History) open(run string, how int) (*Journal, error) {
	dir := filepath.Join(h.dir, run)
	seal, err := newSealer(filepath.Dir(h.dir))
	if err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err == nil && !ok {
		err = ErrHeld
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", run, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, journalFile), how|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	j := &Journal{dir: dir, run: run, file: f, lock: l, seal: seal, blobs: blobs{dir: filepath.Join(dir, blobFolder)}}
	j.wake = sync.NewCond(&j.mu)
	return j, syncDir(dir)
}

// Held tells whether a process has the run under way.
func (h *History) Held(run string) bool {
	l := flock.New(filepath.Join(h.dir, run, lockFile), flock.SetFlag(os.O_RDONLY))
	ok, err := l.TryLock()
	if ok {
		_ = l.Close()
	}
	return !ok && !errors.Is(err, fs.ErrNotExist)
}

// Blob keeps bytes and returns the name by which OpenBlob finds them. They are
// on disk when it returns.
func (j *Journal) Blob(b []byte) (string, error) { return j.blobs.put(b) }

// NextID numbers a change.
func (j *Journal) NextID() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	return j.last
}

// Taken tells how often the run was taken up again, by this process too.
func (j *Journal) Taken() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.taken
}

// TakeUp notes that this process goes on with the run, and which places are to
// be done again. m is as a later controller will read it.
func (j *Journal) TakeUp(r Record, m *Memory, forget []Place) error {
	r.Kind = Taken
	if err := j.Append(r); err != nil {
		return err
	}
	m.add(r)
	j.mu.Lock()
	j.taken = m.Taken
	j.mu.Unlock()
	for _, at := range forget {
		again := Record{Kind: Forgotten, Time: r.Time, At: at}
		if err := j.Append(again); err != nil {
			return err
		}
		m.add(again)
	}
	return nil
}

// Append writes a record and returns when it is on disk. What several
// goroutines append at the same time is synced together. After the first
// error every call fails: what is not journalled must not be done.
func (j *Journal) Append(r Record) error { return j.write(r, true) }

// Note writes a record that may be lost with the machine's power, not with the
// process: what can be found out again.
func (j *Journal) Note(r Record) error { return j.write(r, false) }

// Announce puts a record before the next one, with which it is written: what
// means nothing alone.
func (j *Journal) Announce(r Record) error {
	line, err := encode(r, j.seal)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.put++
	j.pending = append(j.pending, line...)
	return j.err
}

func (j *Journal) write(r Record, sync bool) error {
	line, err := encode(r, j.seal)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return j.err
	}
	j.pending = append(j.pending, line...)
	j.put++
	j.sync = j.sync || sync
	for mine := j.put; j.safe < mine && j.err == nil; {
		if j.busy {
			j.wake.Wait()
			continue
		}
		j.flush()
	}
	return j.err
}

// flush writes what is pending; the mutex is free while it does.
func (j *Journal) flush() {
	j.busy = true
	batch, upTo, sync := j.pending, j.put, j.sync
	if j.synced > j.marked {
		batch, j.marked = append(syncedMark(j.synced), batch...), j.synced
	}
	j.pending, j.sync = nil, false
	j.mu.Unlock()
	j.crash.before(j.file, batch)
	_, err := j.file.Write(batch)
	if err == nil && sync {
		err = j.file.Sync()
	}
	j.crash.after()
	j.mu.Lock()
	if j.size += int64(len(batch)); sync && err == nil {
		j.synced = j.size
	}
	if err != nil {
		j.err = &WriteError{What: "the journal of run " + j.run + " cannot be written", Err: err}
	}
	j.safe, j.busy = upTo, false
	j.wake.Broadcast()
}

// syncedMark is the line that says up to where the file was on disk before it.
// An end of line goes first: damage to what is before it does not take it along.
func syncedMark(upTo int64) []byte {
	return append([]byte("\n"), line(strconv.AppendInt([]byte(syncedWord), upTo, 10))...)
}

// syncedWord begins a mark, which is no record: it has no JSON.
const syncedWord = "synced "

// Close lets go of the run.
func (j *Journal) Close() error { return errors.Join(j.file.Close(), j.lock.Close()) }

// encode makes a line: the checksum of the JSON, and the JSON.
func encode(r Record, s sealer) ([]byte, error) {
	r, err := r.each(s.seal)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return line(text), nil
}

func line(text []byte) []byte { return fmt.Appendf(nil, "%08x %s\n", checksum(text), text) }

func checksum(text []byte) uint32 { return crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)) }

var errChecksum = errors.New("the checksum of a line is wrong")

// decode reads one line without its end.
func decode(line []byte, s sealer) (Record, error) {
	var r Record
	sum, text, ok := bytes.Cut(line, []byte(" "))
	if !ok || fmt.Sprintf("%08x", checksum(text)) != string(sum) {
		return r, errChecksum
	}
	if n, ok := bytes.CutPrefix(text, []byte(syncedWord)); ok {
		upTo, err := strconv.ParseInt(string(n), 10, 64)
		return Record{Kind: Synced, ID: upTo}, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, err
	}
	return r.each(s.open)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// WriteError: this machine, and no host, could not keep what a run must keep
// before it changes anything.
type WriteError struct {
	What string // that could not be kept
	Err  error
}

func (e *WriteError) Error() string { return e.What + ": " + e.Err.Error() }
func (e *WriteError) Unwrap() error { return e.Err }
