package change

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/dayops/dayops/engine/reader"
)

// MaxPeerFile is the size up to which a file goes from one host to another.
const MaxPeerFile = 1 << 20

var (
	errPeer   = errors.New("a transfer between hosts has the names of a host and of a file there, a file here, and nothing else")
	errNoPeer = errors.New("no other host is at hand here")
)

// peer is a file on its way from one host to another. Here it is written as by
// a Write, whose way to compare, to apply and to take back it has.
func (t *Transfer) checkPeer() error {
	if t.FromPeer == "" || t.FromPath == "" || t.ToFile == "" || t.FromFile != nil || t.FromTree != nil || t.ToLocal != "" || t.ToSet != nil || t.ToDir != "" {
		return errPeer
	}
	return errors.Join(cleanPath(t.FromPath), cleanPath(t.ToFile), t.Attr.check())
}

// between tells a transfer from another host.
func (t *Transfer) between() bool { return t.FromPeer != "" || t.FromPath != "" || t.ToFile != "" }

// source is the other host and its file as it is now.
func (t *Transfer) source(ctx context.Context, h Host) (Host, reader.File, error) {
	if err := t.checkPeer(); err != nil {
		return Host{}, reader.File{}, err
	}
	if h.Peer == nil {
		return Host{}, reader.File{}, errNoPeer
	}
	from, err := h.Peer(ctx, t.FromPeer)
	if err != nil {
		return Host{}, reader.File{}, err
	}
	f, err := from.look(ctx, t.FromPath)
	return from, f, err
}

// write is what t does here.
func (t *Transfer) write(f reader.File) *Write {
	return &Write{Path: t.ToFile, Before: t.Before, After: Content{Size: f.Size, SHA256: f.SHA256}, Attr: t.Attr, Hide: true}
}

// wanted refuses what is no small regular file.
func (t *Transfer) wanted(f reader.File) error {
	at := reader.Printable(t.FromPeer) + ":" + reader.Printable(t.FromPath)
	switch {
	case f.Type != reader.Regular || f.SHA256 == "":
		return fmt.Errorf("%s is not a regular file but %s", at, presence(f))
	case f.Size > MaxPeerFile:
		return fmt.Errorf("%s has %d bytes, more than the %d that go from host to host", at, f.Size, MaxPeerFile)
	}
	return nil
}

// observePeer: where the other host has the file no more, only Before can be told.
func (t *Transfer) observePeer(ctx context.Context, h Host) (Where, error) {
	_, f, err := t.source(ctx, h)
	if err != nil {
		return Neither, err
	}
	return t.write(f).observe(ctx, h)
}

func (t *Transfer) applyPeer(ctx context.Context, h Host) (Outcome, error) {
	from, f, err := t.source(ctx, h)
	if err == nil {
		err = t.wanted(f)
	}
	if err != nil {
		return Outcome{}, err
	}
	var b bytes.Buffer
	if _, err := from.Conn.Get(ctx, from.As, t.FromPath, &counted{to: &b, total: f.Size}); err != nil {
		return Outcome{}, err
	}
	if got := hexSum(b.Bytes()); got != f.SHA256 {
		return Outcome{}, &MovedError{Path: t.FromPath, What: "content", Planned: "sha256 " + f.SHA256, Found: "sha256 " + got + " when it was read"}
	}
	w := t.write(f)
	w.After.Bytes = b.Bytes()
	return w.apply(ctx, h)
}

// invertPeer keeps what was there on the host itself: such files are often keys,
// which have no place in a journal.
func (t *Transfer) invertPeer(ctx context.Context, h Host, _ Keeper) ([]Change, error) {
	_, f, err := t.source(ctx, h)
	if err == nil {
		err = t.wanted(f)
	}
	if err != nil {
		return nil, err
	}
	return t.write(f).invert(ctx, h, nil)
}

// effectPeer: a file will be there; what it holds the other host knows.
func (t *Transfer) effectPeer(o *Overlay) { o.put(path.Clean(t.ToFile), OverlayFile{Unknown: true}) }
