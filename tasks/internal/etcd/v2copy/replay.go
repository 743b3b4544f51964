package v2copy

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// maxDepth is of folders in the v2 store.
const maxDepth = 256

// readStore reads the v2 store as raft's snapshot has it, name by name; values
// are passed over one at a time.
func readStore(r io.Reader) (*node, error) {
	d := json.NewDecoder(r)
	var root *node
	err := object(d, func(key string) (err error) {
		if key == "Root" {
			root, err = readNode(d, 0)
			return err
		}
		return skip(d)
	})
	if err == nil && (root == nil || root.kind != folder) {
		err = fmt.Errorf("no folder at its root")
	}
	return root, err
}

const never = "0001-01-01T00:00:00Z"

func readNode(d *json.Decoder, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d folders in one another", maxDepth)
	}
	n, mortal := newNode(lasting), false
	err := object(d, func(key string) error {
		switch key {
		case "ExpireTime":
			t, err := d.Token()
			mortal = t != never
			return err
		case "Children": // null of a key
			return objectOrNull(d, func() { n.kind, n.kids = folder, map[string]*node{} }, func(name string) (err error) {
				n.kids[name], err = readNode(d, depth+1)
				return err
			})
		}
		return skip(d)
	})
	if mortal && n.kind == folder {
		return newNode(unknown), err
	} else if mortal {
		return newNode(perhaps), err
	}
	return n, err
}

func object(d *json.Decoder, field func(key string) error) error {
	found := false
	err := objectOrNull(d, func() { found = true }, field)
	if err == nil && !found {
		err = fmt.Errorf("null in place of an object")
	}
	return err
}

// objectOrNull calls begin and then field for each of an object's fields.
func objectOrNull(d *json.Decoder, begin func(), field func(key string) error) error {
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("no object")
	}
	begin()
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("a field without a name")
		}
		if err := field(key); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// skip passes over one value.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// readState takes the v2 store out of the data of raft's snapshot, and reads r to
// its end or to where it is not one; nil then.
func readState(r *bufio.Reader) *node {
	const stateTag = 1<<3 | 2
	if tag, err := r.ReadByte(); err != nil || tag != stateTag {
		return nil
	}
	size, err := binary.ReadUvarint(r)
	if err != nil || size > maxSize {
		return nil
	}
	root, err := readStore(io.LimitReader(r, int64(size)))
	if err != nil {
		return nil
	}
	return root
}

// count replays the log on what raft's snapshot has.
func (c *copied) count(names []string) {
	c.facts.Keys, c.facts.Others = -1, -1
	root := c.store
	if c.snap == "" {
		root = newStore()
	}
	if root == nil {
		return
	}
	var all []request
	for _, n := range names {
		l := c.logs[n]
		if l.unread {
			return
		}
		for _, q := range l.requests { // a later entry takes the place of those from it on
			for len(all) > 0 && all[len(all)-1].index >= q.index {
				all = all[:len(all)-1]
			}
			all = append(all, q)
		}
	}
	for _, q := range all {
		if q.index > c.facts.Snap && q.index <= c.facts.Last {
			root.apply(q)
		}
	}
	c.facts.Keys, c.facts.Others = root.users().census()
}

// Fields of etcd's messages.
const (
	requestMethod, requestPath, requestDir    = 2, 3, 5
	requestPrevValue, requestPrevIndex        = 6, 7
	requestPrevExist, requestExpiration       = 8, 9
	requestRecursive, requestRefresh          = 12, 17
	entryType, entryIndex, entryData, v2Field = 1, 3, 4, 2
)

func isMethod(b []byte) bool {
	switch string(b) {
	case "GET", "QGET", "HEAD", "SYNC", "PUT", "POST", "DELETE":
		return true
	}
	return false
}

// readRequest takes a v2 request out of an entry of raft's; ok is false of
// others, which have an index alone. It is the entry's data, or a field of them.
func readRequest(entry message) (q request, ok, good bool) {
	q.index = entry.number[entryIndex]
	if entry.number[entryType] != 0 || len(entry.data[entryData]) == 0 { // of members
		return q, false, true
	}
	m, read := fields(entry.data[entryData])
	if !read {
		return q, false, false
	}
	if m.data[requestMethod] == nil { // of v3
		return q, false, true
	}
	if !isMethod(m.data[requestMethod]) {
		if m, read = fields(m.data[v2Field]); !read || !isMethod(m.data[requestMethod]) {
			return q, false, false
		}
	}
	q.method, q.path = string(m.data[requestMethod]), string(m.data[requestPath])
	q.dir, q.recursive = m.number[requestDir] != 0, m.number[requestRecursive] != 0
	q.mortal, q.refresh = m.number[requestExpiration] != 0, m.number[requestRefresh] != 0
	q.conditional = len(m.data[requestPrevValue]) > 0 || m.number[requestPrevIndex] != 0
	q.exist, q.existSet = m.number[requestPrevExist], m.set[requestPrevExist]
	return q, q.method == "PUT" || q.method == "POST" || q.method == "DELETE", true
}
