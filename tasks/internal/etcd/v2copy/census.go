package v2copy

import (
	"path"
	"strings"
)

// kind is what is known of a name in the v2 store.
type kind int

const (
	folder  kind = iota
	lasting      // a key without a time to live
	perhaps      // a key that may be there: it has a time to live, or hangs on a condition
	unknown      // it may be a key, a folder, or nothing
)

// node is one name in the v2 store. The keys that are there for certain are
// counted, no others, so that a whole copy never has fewer: neither values nor
// the store's own index are followed, on which conditions hang, and no clock.
type node struct {
	kind kind
	kids map[string]*node
}

func newNode(k kind) *node {
	n := &node{kind: k}
	if k == folder {
		n.kids = map[string]*node{}
	}
	return n
}

// anyName stands for names that only the store's index tells.
const anyName = ""

// newStore is one without keys: members' own things and users' keys.
func newStore() *node {
	root := newNode(folder)
	root.kids["0"], root.kids[userKeys] = newNode(folder), newNode(folder)
	return root
}

const userKeys = "1"

// census counts the keys that a listing shows: names that begin with _ are hidden.
func (n *node) census() (keys, others int64) {
	for name, kid := range n.kids {
		switch {
		case strings.HasPrefix(name, "_"):
		case kid.kind == lasting:
			keys++
		case kid.kind == folder:
			k, o := kid.census()
			keys, others = keys+k, others+o
		default:
			others++
		}
	}
	return keys, others
}

// users is the folder of what users wrote.
func (n *node) users() *node {
	if u := n.kids[userKeys]; u != nil {
		return u
	}
	return newNode(folder)
}

// request is one of etcd's v2 requests, without its value.
type request struct {
	index                               uint64
	method, path                        string
	dir, recursive, mortal, conditional bool
	refresh                             bool // of the time to live alone
	exist                               uint64
	existSet                            bool
}

// apply does to the store what etcd would, of what is certain.
func (n *node) apply(q request) {
	parts := strings.Split(strings.TrimPrefix(path.Clean("/"+q.path), "/"), "/")
	own := len(parts) == 1 && q.method != "POST" // etcd's own folders cannot be written
	switch q.method {
	case "PUT":
		switch {
		case own:
		case q.existSet && q.exist == 0:
			n.put(parts, q, true)
		case q.existSet, q.conditional:
			n.update(parts, q)
		default:
			n.put(parts, q, false)
		}
	case "POST":
		if d := n.folderAt(parts, true); d != nil {
			d.kids[anyName] = newNode(unknown)
		}
	case "DELETE":
		if !own {
			n.remove(parts, q)
		}
	}
}

// folderAt goes down to a folder; nil where it is none for certain, after what is
// then known to be unknown was noted.
func (n *node) folderAt(parts []string, create bool) *node {
	for _, name := range parts {
		kid := n.kids[name]
		switch {
		case kid == nil && !create:
			return nil
		case kid == nil:
			kid = n.fresh(folder)
			n.kids[name] = kid
		case kid.kind == perhaps && create: // a folder now, where it was not there
			kid.kind = unknown
		}
		if kid.kind != folder {
			return nil
		}
		n = kid
	}
	return n
}

// fresh is a node for a name that n was not known to have.
func (n *node) fresh(k kind) *node {
	if n.kids[anyName] != nil {
		k = unknown
	}
	return newNode(k)
}

func (n *node) put(parts []string, q request, create bool) {
	d, name := n.folderAt(parts[:len(parts)-1], true), parts[len(parts)-1]
	if d == nil {
		return
	}
	was, to := d.kids[name], q.becomes()
	switch {
	case was == nil && q.refresh: // refused, or not
		d.kids[name] = newNode(unknown)
	case was == nil:
		d.kids[name] = d.fresh(to)
	case was.kind == perhaps && (create || q.refresh):
		if q.dir {
			was.kind = unknown
		}
	case was.kind == perhaps, was.kind == lasting && !create:
		d.kids[name] = newNode(to)
	}
}

// becomes is what a name is when the request was obeyed.
func (q request) becomes() kind {
	switch {
	case q.dir && q.mortal:
		return unknown
	case q.dir:
		return folder
	case q.mortal:
		return perhaps
	}
	return lasting
}

// update changes what is there: all that counts of it is a time to live.
func (n *node) update(parts []string, q request) {
	d, name := n.folderAt(parts[:len(parts)-1], false), parts[len(parts)-1]
	if d == nil || d.kids[name] == nil || !q.mortal {
		return
	}
	switch d.kids[name].kind {
	case lasting:
		d.kids[name] = newNode(perhaps)
	case folder:
		d.kids[name] = newNode(unknown)
	}
}

func (n *node) remove(parts []string, q request) {
	d, name := n.folderAt(parts[:len(parts)-1], false), parts[len(parts)-1]
	if d == nil || d.kids[name] == nil {
		return
	}
	was := d.kids[name]
	switch {
	case q.conditional: // of a key alone
		if was.kind == lasting {
			was.kind = perhaps
		}
	case was.kind == lasting, was.kind == perhaps, q.recursive:
		delete(d.kids, name)
	case was.kind == folder && q.dir:
		if left := was.emptiness(); left == lasting {
			return
		} else if left == unknown {
			d.kids[name] = newNode(unknown)
			return
		}
		delete(d.kids, name)
	}
}

// emptiness is lasting of a folder that holds something for certain, folder of an empty one.
func (n *node) emptiness() kind {
	out := folder
	for _, kid := range n.kids {
		if kid.kind == lasting || kid.kind == folder {
			return lasting
		}
		out = unknown
	}
	return out
}
