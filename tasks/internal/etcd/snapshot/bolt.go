package snapshot

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"io"
)

// bbolt's format, little-endian: pages of one size; the first two are metas,
// the one with the higher transaction and a right sum counts. A page has a head
// of 16 bytes: number (8), type (2), count (2), further pages (4).
const (
	minPage, maxPage = 512, 64 << 10
	pageHead         = 16
	elementSize      = 16
	metaSize         = 64
	bucketHead       = 16

	magic       = 0xED0CDAED
	boltVersion = 2
	noFreelist  = ^uint64(0)

	branchPage, leafPage, metaPage, freelistPage = 0x01, 0x02, 0x04, 0x10
	bucketEntry                                  = 0x01

	// maxSpan bounds one page with all that belongs to it. etcd refuses requests
	// above 1.5 MiB; a site may have raised that, to 100 MiB at most sensibly.
	maxSpan = 128 << 20
	// maxDepth of a tree: with two keys a page, 2^48 pages.
	maxDepth = 48
)

type meta struct {
	pageSize       int64
	root, freelist uint64
	pages          uint64 // high-water mark: numbers below it are used
	txid           uint64
}

// boltFile reads pages of a database that ends at end.
type boltFile struct {
	ctx  context.Context
	f    io.ReaderAt
	end  int64
	meta meta
	used bitmap // pages that were met
	buf  [maxDepth + 1][]byte
}

// page is one page with all that belongs to it.
type page struct {
	id    uint64
	kind  uint16
	count int
	data  []byte // head included
}

func openBolt(ctx context.Context, f io.ReaderAt, end int64) (*boltFile, error) {
	b := &boltFile{ctx: ctx, f: f, end: end}
	first, err := b.readMeta(0)
	if err != nil {
		return nil, err
	}
	var second *meta
	if first != nil {
		second, err = b.readMeta(first.pageSize)
	} else { // the size is where the second meta says that it lies
		for at := int64(minPage); at <= maxPage && second == nil && err == nil; at *= 2 {
			if second, err = b.readMeta(at); second != nil && second.pageSize != at {
				second = nil
			}
		}
	}
	switch {
	case err != nil:
		return nil, err
	case first == nil && second == nil:
		return nil, damaged("it is no etcd database, or its first two pages are damaged: neither has bbolt's mark with a right sum")
	case second != nil && (first == nil || second.txid > first.txid && second.pageSize == first.pageSize):
		b.meta = *second
	default:
		b.meta = *first
	}
	m := b.meta
	have := uint64(end / m.pageSize)
	switch {
	case m.pages > have:
		return nil, damaged("it is cut off: %d pages of %d bytes are used, the file has %d", m.pages, m.pageSize, have)
	case m.pages < 3 || m.root < 2 || m.root >= m.pages:
		return nil, damaged("its first pages are damaged: the tree begins at page %d of %d", m.root, m.pages)
	}
	b.used = make(bitmap, m.pages/8+1)
	b.used.set(0)
	b.used.set(1)
	return b, nil
}

// readMeta gives nil where there is no valid meta page.
func (b *boltFile) readMeta(at int64) (*meta, error) {
	if at+pageHead+metaSize > b.end {
		return nil, nil
	}
	var raw [pageHead + metaSize]byte
	if err := b.read(raw[:], at); err != nil {
		return nil, err
	}
	d, le := raw[pageHead:], binary.LittleEndian
	sum := fnv.New64a()
	sum.Write(d[:56])
	if le.Uint32(d) != magic || le.Uint32(d[4:]) != boltVersion || le.Uint64(d[56:]) != sum.Sum64() {
		return nil, nil
	}
	m := &meta{pageSize: int64(le.Uint32(d[8:])), root: le.Uint64(d[16:]), freelist: le.Uint64(d[32:]), pages: le.Uint64(d[40:]), txid: le.Uint64(d[48:])}
	if m.pageSize < minPage || m.pageSize > maxPage || m.pageSize&(m.pageSize-1) != 0 {
		return nil, damaged("its first pages are damaged: pages of %d bytes", m.pageSize)
	}
	return m, nil
}

func (b *boltFile) read(p []byte, at int64) error {
	n, err := b.f.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return short(err)
}

// page reads page id into the buffer of its depth and counts it as used.
func (b *boltFile) page(id uint64, depth int) (page, error) {
	if err := b.ctx.Err(); err != nil {
		return page{}, err
	}
	if depth > maxDepth {
		return page{}, damaged("page %d lies deeper than any tree", id)
	}
	if id < 2 || id >= b.meta.pages {
		return page{}, damaged("page %d is referred to, there are %d", id, b.meta.pages)
	}
	size, at := b.meta.pageSize, int64(id)*b.meta.pageSize
	buf := b.room(depth, size)
	if err := b.read(buf, at); err != nil {
		return page{}, err
	}
	le := binary.LittleEndian
	p := page{id: id, kind: le.Uint16(buf[8:]), count: int(le.Uint16(buf[10:]))}
	more := uint64(le.Uint32(buf[12:]))
	if own := le.Uint64(buf); own != id {
		return p, damaged("page %d says that it is page %d", id, own)
	}
	if more >= b.meta.pages-id {
		return p, damaged("page %d goes beyond the end", id)
	}
	for i := id; i <= id+more; i++ {
		if b.used.set(i) {
			return p, damaged("page %d belongs to two places", i)
		}
	}
	if span := (int64(more) + 1) * size; span > size {
		if span > maxSpan {
			return p, damaged("page %d has %d bytes, more than etcd writes", id, span)
		}
		buf = b.room(depth, span)
		if err := b.read(buf[size:], at+size); err != nil {
			return p, err
		}
	}
	p.data = buf
	return p, nil
}

// room is the buffer of a depth; what is in it stays.
func (b *boltFile) room(depth int, n int64) []byte {
	if have := b.buf[depth]; int64(cap(have)) >= n {
		b.buf[depth] = have[:n]
	} else {
		b.buf[depth] = append(make([]byte, 0, n), have...)[:n]
	}
	return b.buf[depth]
}

// branch is element i of a branch page.
func (p page) branch(i int) (key []byte, child uint64, err error) {
	at := pageHead + i*elementSize
	if at+elementSize > len(p.data) {
		return nil, 0, p.overrun(i)
	}
	e, le := p.data[at:], binary.LittleEndian
	key, err = p.slice(i, at, uint64(le.Uint32(e)), uint64(le.Uint32(e[4:])))
	return key, le.Uint64(e[8:]), err
}

// leaf is element i of a leaf page.
func (p page) leaf(i int) (flags uint32, key, value []byte, err error) {
	at := pageHead + i*elementSize
	if at+elementSize > len(p.data) {
		return 0, nil, nil, p.overrun(i)
	}
	e, le := p.data[at:], binary.LittleEndian
	pos, k, v := uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
	if key, err = p.slice(i, at, pos, k); err == nil {
		value, err = p.slice(i, at, pos+k, v)
	}
	return le.Uint32(e), key, value, err
}

// slice is n bytes at pos behind an element's place.
func (p page) slice(i, at int, pos, n uint64) ([]byte, error) {
	from := uint64(at) + pos
	if from+n > uint64(len(p.data)) {
		return nil, p.overrun(i)
	}
	return p.data[from : from+n], nil
}

func (p page) overrun(i int) error {
	return damaged("entry %d of page %d goes beyond the page", i, p.id)
}

// bitmap has one bit a page.
type bitmap []byte

// set sets a bit and tells what it was.
func (m bitmap) set(i uint64) (was bool) {
	was = m[i/8]&(1<<(i%8)) != 0
	m[i/8] |= 1 << (i % 8)
	return was
}

func (m bitmap) has(i uint64) bool { return m[i/8]&(1<<(i%8)) != 0 }
