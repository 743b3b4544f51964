package snapshot

import (
	"bytes"
	"encoding/binary"
)

// visit gets the entries of a tree in order; what it is given lives until it returns.
type visit func(flags uint32, key, value []byte) error

// walk goes through the tree whose root is page id. Keys are at least low and
// below high (nil: no bound), and each is above the one before.
func (b *boltFile) walk(id uint64, depth int, low, high []byte, see visit) error {
	p, err := b.page(id, depth)
	if err != nil {
		return err
	}
	switch p.kind {
	case leafPage:
		return p.walkLeaf(low, high, see)
	case branchPage:
	default:
		return damaged("page %d has the type %#x, want a branch or a leaf", id, p.kind)
	}
	if p.count == 0 {
		return damaged("page %d has no entries", id)
	}
	for i := range p.count {
		key, child, err := p.branch(i)
		if err != nil {
			return err
		}
		next := high
		if i+1 < p.count {
			if next, _, err = p.branch(i + 1); err != nil {
				return err
			}
			if bytes.Compare(key, next) >= 0 {
				return damaged("the keys of page %d are not in order", id)
			}
		}
		if i == 0 && low != nil && bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return damaged("the keys of page %d are not between its parent's", id)
		}
		if err := b.walk(child, depth+1, key, next, see); err != nil {
			return err
		}
	}
	return nil
}

func (p page) walkLeaf(low, high []byte, see visit) error {
	var last []byte
	for i := range p.count {
		flags, key, value, err := p.leaf(i)
		if err != nil {
			return err
		}
		if i > 0 && bytes.Compare(last, key) >= 0 {
			return damaged("the keys of page %d are not in order", p.id)
		}
		if i == 0 && low != nil && bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return damaged("the keys of page %d are not between its parent's", p.id)
		}
		if err := see(flags, key, value); err != nil {
			return err
		}
		last = key
	}
	return nil
}

// root lists the buckets: name and what stands for it. They are copied, for
// their page's room is used again.
func (b *boltFile) root() (names []string, heads [][]byte, err error) {
	const maxBuckets = 1000 // etcd has 12
	err = b.walk(b.meta.root, 0, nil, nil, func(flags uint32, key, value []byte) error {
		switch {
		case flags != bucketEntry:
			return damaged("it is no etcd database: %.40q beside its buckets", key)
		case len(value) < bucketHead:
			return damaged("bucket %.40q is damaged", key)
		case len(names) == maxBuckets:
			return damaged("it is no etcd database: more than %d buckets", maxBuckets)
		}
		names, heads = append(names, string(key)), append(heads, bytes.Clone(value))
		return nil
	})
	return names, heads, err
}

// bucket goes through the entries of one bucket.
func (b *boltFile) bucket(name string, head []byte, see visit) error {
	entries := func(flags uint32, key, value []byte) error {
		if flags != 0 {
			return damaged("it is no etcd database: %.40q in bucket %.40q has the flags %#x", key, name, flags)
		}
		return see(flags, key, value)
	}
	if id := binary.LittleEndian.Uint64(head); id != 0 {
		return b.walk(id, 0, nil, nil, entries)
	}
	// A small bucket's only page is in its entry.
	in := head[bucketHead:]
	if len(in) < pageHead {
		return damaged("bucket %.40q is damaged", name)
	}
	p := page{kind: binary.LittleEndian.Uint16(in[8:]), count: int(binary.LittleEndian.Uint16(in[10:])), data: in}
	if p.kind != leafPage {
		return damaged("bucket %.40q is damaged: a page of type %#x", name, p.kind)
	}
	return p.walkLeaf(nil, nil, entries)
}

// free checks the list of free pages: below the end, each once, none of them
// used; and that every page is used or free. Databases of etcd 3.4 and newer
// have no list: what is not used is free.
func (b *boltFile) free() error {
	if b.meta.freelist == noFreelist {
		return nil
	}
	p, err := b.page(b.meta.freelist, 0)
	if err != nil {
		return err
	}
	if p.kind != freelistPage {
		return damaged("page %d has the type %#x, want the list of free pages", p.id, p.kind)
	}
	ids, count := p.data[pageHead:], uint64(p.count)
	if count == 0xFFFF { // then the first entry is the count
		count, ids = binary.LittleEndian.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return damaged("the list of free pages goes beyond its page")
	}
	free := make(bitmap, len(b.used))
	for i := range count {
		id := binary.LittleEndian.Uint64(ids[8*i:])
		switch {
		case id < 2 || id >= b.meta.pages:
			return damaged("page %d is listed as free, there are %d", id, b.meta.pages)
		case b.used.has(id):
			return damaged("page %d is used and listed as free", id)
		case free.set(id):
			return damaged("page %d is listed as free twice", id)
		}
	}
	for id := range b.meta.pages {
		if !b.used.has(id) && !free.has(id) {
			return damaged("page %d is neither used nor free", id)
		}
	}
	return nil
}
