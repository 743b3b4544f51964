package snapshot

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"hash"
	"hash/crc32"
	"hash/maphash"
	"io"
	"regexp"
	"slices"
)

// Names of etcd's buckets and of entries in its bucket meta.
const (
	keyBucket     = "key"
	metaBucket    = "meta"
	memberBucket  = "members"
	removedBucket = "members_removed"
	authBucket    = "auth"
	userBucket    = "authUsers"

	indexEntry   = "consistent_index"
	versionEntry = "storageVersion"
	authEntry    = "authEnabled"

	maxMembers = 1000 // in a file: 7 is many
	maxUsers   = 1000
	maxUser    = 256 // bytes of a name
	maxRecord  = 64 << 10
)

var storageVersion = regexp.MustCompile(`^\d{1,9}\.\d{1,9}\.\d{1,9}$`)

// database checks the tree and reads what etcd keeps in it.
func (facts *Facts) database(ctx context.Context, f io.ReaderAt, end int64) error {
	b, err := openBolt(ctx, f, end)
	if err != nil {
		return err
	}
	names, heads, err := b.root()
	if err != nil {
		return err
	}
	if !slices.Contains(names, keyBucket) || !slices.Contains(names, metaBucket) {
		return damaged("it is a bbolt database, but not etcd's: it has no bucket %s or %s", keyBucket, metaBucket)
	}
	facts.TotalSize = int64(b.meta.pages) * b.meta.pageSize
	c := &contents{facts: facts, hash: crc32.New(crc32.MakeTable(crc32.Castagnoli)), alive: &census{most: keysAtOnce, seed: maphash.MakeSeed()}, members: map[string]Member{}}
	for i, name := range names {
		io.WriteString(c.hash, name) //nolint:errcheck // a hash never fails
		if err := b.bucket(name, heads[i], c.see(name)); err != nil {
			return err
		}
	}
	if err := b.free(); err != nil {
		return err
	}
	facts.Hash = c.hash.Sum32()
	if c.users <= maxUsers {
		facts.Users = c.names // a bucket's keys are in order
	}
	for _, m := range c.members {
		facts.Members = append(facts.Members, m)
	}
	slices.SortFunc(facts.Members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	facts.Keys = c.alive.count()
	key := heads[slices.Index(names, keyBucket)]
	for c.alive.next() { // the tree is known to be good
		clear(b.used)
		if err := b.bucket(keyBucket, key, c.alive.see); err != nil {
			return err
		}
		facts.Keys += c.alive.count()
	}
	return nil
}

// contents gathers what the entries say.
type contents struct {
	facts   *Facts
	hash    hash.Hash32
	alive   *census
	members map[string]Member
	names   []string // of users
	users   int
}

func (c *contents) see(bucket string) visit {
	return func(flags uint32, key, value []byte) error {
		c.hash.Write(key)
		c.hash.Write(value)
		c.facts.TotalKeys++
		switch bucket {
		case keyBucket:
			if len(key) >= 8 {
				c.facts.Revision = int64(binary.BigEndian.Uint64(key))
			}
			return c.alive.see(flags, key, value)
		case metaBucket:
			c.record(string(key), value)
		case memberBucket:
			return c.member(string(key), value)
		case removedBucket: // comes after members
			delete(c.members, string(key))
		case authBucket:
			if string(key) == authEntry {
				c.facts.Auth = len(value) == 1 && value[0] == 1
			}
		case userBucket:
			c.user(key)
		}
		return nil
	}
}

func (c *contents) user(name []byte) {
	if c.users++; c.users <= maxUsers && len(name) <= maxUser {
		c.names = append(c.names, string(name))
	}
}

func (c *contents) record(name string, value []byte) {
	switch {
	case name == indexEntry && len(value) == 8:
		c.facts.Index = binary.BigEndian.Uint64(value)
	case name == versionEntry && len(value) < maxRecord && storageVersion.Match(value):
		c.facts.Version = string(value)
	}
}

func (c *contents) member(key string, value []byte) error {
	if len(value) > maxRecord || len(c.members) == maxMembers {
		return damaged("its list of members is longer than any")
	}
	var m struct {
		ID      uint64   `json:"id"`
		Peers   []string `json:"peerURLs"`
		Clients []string `json:"clientURLs"`
		Learner bool     `json:"isLearner"`
		Name    string   `json:"name"`
	}
	if err := json.Unmarshal(value, &m); err != nil {
		return damaged("its list of members is damaged")
	}
	c.members[key] = Member{ID: m.ID, Name: m.Name, PeerURLs: m.Peers, ClientURLs: m.Clients, Learner: m.Learner}
	return nil
}

// keysAtOnce bounds the memory of a census to some 40 MB.
const keysAtOnce = 2 << 20

// census counts the keys whose last event is a put. It keeps a hash of each;
// where there are too many it takes a part of them at a time, in more rounds.
type census struct {
	most        int
	seed        maphash.Seed
	keys        map[uint64]struct{}
	parts, part uint64 // parts is a power of two
}

// see takes one entry of etcd's bucket key: revision and event.
func (c *census) see(_ uint32, key, value []byte) error {
	if len(key) != 17 && (len(key) != 18 || key[17] != 't') || key[8] != '_' {
		return damaged("an entry of bucket %s is no revision: %.40q", keyBucket, key)
	}
	if len(value) == 0 && len(key) == 17 { // the revision was raised by a restore (--bump-revision)
		return nil
	}
	name, ok := eventKey(value)
	if !ok {
		return damaged("revision %d is damaged", binary.BigEndian.Uint64(key))
	}
	h := maphash.Bytes(c.seed, name)
	if c.keys == nil {
		c.keys, c.parts = map[uint64]struct{}{}, max(c.parts, 1)
	}
	if h&(c.parts-1) != c.part {
		return nil
	}
	if len(key) == 18 { // a deletion
		delete(c.keys, h)
		return nil
	}
	c.keys[h] = struct{}{}
	for len(c.keys) > c.most && c.part == 0 {
		c.parts *= 2
		for h := range c.keys {
			if h&(c.parts-1) != 0 {
				delete(c.keys, h)
			}
		}
	}
	return nil
}

func (c *census) count() int64 { return int64(len(c.keys)) }

// next begins another round; false when every part was counted.
func (c *census) next() bool {
	clear(c.keys)
	c.part++
	return c.part < c.parts
}

// eventKey is field 1 of the event, a protobuf message.
func eventKey(event []byte) ([]byte, bool) {
	for len(event) > 0 {
		tag, n := binary.Uvarint(event)
		if n <= 0 {
			return nil, false
		}
		event = event[n:]
		switch tag & 7 {
		case 0:
			if _, n = binary.Uvarint(event); n <= 0 {
				return nil, false
			}
			event = event[n:]
		case 2:
			size, n := binary.Uvarint(event)
			if n <= 0 || size > uint64(len(event)-n) {
				return nil, false
			}
			if tag>>3 == 1 {
				return event[n : n+int(size)], true
			}
			event = event[n+int(size):]
		default:
			return nil, false
		}
	}
	return nil, false
}
