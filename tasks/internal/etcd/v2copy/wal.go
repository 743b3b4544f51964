package v2copy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// logFacts are what one file of raft's log says.
type logFacts struct {
	state, entries           bool
	commit, term, vote, last uint64
	end                      int64  // where the next record would be
	sum                      uint32 // checksum up to there
	requests                 []request
	unread                   bool // an entry may be a request that is not understood
}

// Types of records.
const (
	entryRecord = 2
	stateRecord = 3
	crcRecord   = 4
)

// readLog reads the records of one file up to its preallocated rest. Each begins
// with 8 bytes, little-endian: its size, and where the uppermost bit is set in the
// uppermost byte how many bytes fill it up. It is a message of type (1), checksum
// (2) and data (3); the checksum goes on from record to record, and the first one
// says from where.
func readLog(name string, r io.Reader) (f logFacts, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	var head [8]byte
	var buf []byte
	for first := true; ; first = false {
		if _, err := io.ReadFull(b, head[:]); errors.Is(err, io.EOF) {
			return f, nil
		} else if err != nil {
			return f, cutOff(name, err)
		}
		word := binary.LittleEndian.Uint64(head[:])
		if word == 0 {
			_, err := io.Copy(io.Discard, b)
			return f, err
		}
		size, fill := word&^(uint64(0xff)<<56), uint64(0)
		if word>>63 == 1 {
			fill = word >> 56 & 7
		}
		if size == 0 || size > maxRecord {
			return f, damaged("%s is damaged: a record of %d bytes", name, size)
		}
		if uint64(cap(buf)) < size+fill {
			buf = make([]byte, size+fill)
		}
		buf = buf[:size+fill]
		if _, err := io.ReadFull(b, buf); err != nil {
			return f, cutOff(name, err)
		}
		m, ok := fields(buf[:size])
		if !ok || first && m.number[1] != crcRecord {
			return f, damaged("%s is damaged: a record that cannot be read", name)
		}
		if m.number[1] == crcRecord {
			f.sum, f.end = uint32(m.number[2]), f.end+int64(len(head))+int64(len(buf))
			continue
		}
		if f.sum = crc32.Update(f.sum, castagnoli(), m.data[3]); uint64(f.sum) != m.number[2] {
			return f, damaged("%s is damaged: a record's checksum is not that of its data", name)
		}
		if err := f.take(name, m); err != nil {
			return f, err
		}
		f.end += int64(len(head)) + int64(len(buf))
	}
}

// committed is the record that says that all of the log is committed.
func (f logFacts) committed(term, vote, last uint64) []byte {
	number := func(p []byte, field, v uint64) []byte {
		return binary.AppendUvarint(binary.AppendUvarint(p, field<<3), v)
	}
	state := number(number(number(nil, 1, term), 2, vote), 3, last)
	record := number(number(nil, 1, stateRecord), 2, uint64(crc32.Update(f.sum, castagnoli(), state)))
	record = append(binary.AppendUvarint(binary.AppendUvarint(record, 3<<3|2), uint64(len(state))), state...)
	const unit = 8
	fill := (unit - len(record)%unit) % unit
	word := uint64(len(record))
	if fill > 0 {
		word |= uint64(0x80|fill) << 56
	}
	return append(append(binary.LittleEndian.AppendUint64(nil, word), record...), make([]byte, fill)...)
}

func (f *logFacts) take(name string, record message) error {
	m, ok := fields(record.data[3])
	switch t := record.number[1]; {
	case t == entryRecord && ok:
		q, ok, good := readRequest(m)
		// One that is no request counts too where it takes the place of others.
		if f.unread = f.unread || !good; ok || !f.entries || q.index <= f.last {
			f.requests = append(f.requests, q)
		}
		f.entries, f.last = true, q.index
	case t == stateRecord && ok:
		f.state, f.term, f.vote, f.commit = true, m.number[1], m.number[2], m.number[3]
	case t == entryRecord, t == stateRecord:
		return damaged("%s is damaged: a record that cannot be read", name)
	}
	return nil
}

// message is the first fields of a protobuf message.
type message struct {
	number [requestRefresh + 1]uint64
	set    [requestRefresh + 1]bool // of numbers
	data   [requestRefresh + 1][]byte
}

func fields(p []byte) (m message, ok bool) {
	for len(p) > 0 {
		tag, n := binary.Uvarint(p)
		if n <= 0 {
			return m, false
		}
		p = p[n:]
		field := tag >> 3
		v, n := binary.Uvarint(p)
		if n <= 0 {
			return m, false
		}
		p = p[n:]
		switch tag & 7 {
		case 0:
			if field < uint64(len(m.number)) {
				m.number[field], m.set[field] = v, true
			}
		case 2:
			if v > uint64(len(p)) {
				return m, false
			}
			if field < uint64(len(m.data)) {
				m.data[field] = p[:v]
			}
			p = p[v:]
		default:
			return m, false
		}
	}
	return m, true
}
