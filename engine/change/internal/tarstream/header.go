package tarstream

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// known are the keys of extended headers that GNU tar makes when dayops calls
// it. Another key could mean one thing to archive/tar and another to the tar
// that unpacks the backup.
func known(key string) bool {
	switch key {
	case "path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime",
		"SCHILY.acl.access", "SCHILY.acl.default", "RHT.security.selinux", "SCHILY.realsize",
		sparseMajor, "GNU.sparse.minor", "GNU.sparse.name", "GNU.sparse.realsize":
		return true
	}
	return strings.HasPrefix(key, "SCHILY.xattr.")
}

const sparseMajor = "GNU.sparse.major"

// member checks one member's headers, raw as they came, against what
// archive/tar made of them, and works out where its blocks end.
func member(h *tar.Header, raw []byte, start int64) (Member, error) {
	m := Member{Name: h.Name, Link: h.Linkname, Type: h.Typeflag, Size: h.Size, Mode: h.Mode & 0o7777,
		UID: h.Uid, GID: h.Gid, ModTime: h.ModTime, Start: start}
	bad := func(format string, args ...any) (Member, error) {
		return m, &StreamError{h.Name, fmt.Sprintf(format, args...)}
	}
	header, records, n, err := headers(raw)
	if err != nil {
		return bad("%v", err)
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeSymlink, tar.TypeLink:
		if strings.HasSuffix(h.Name, "/") {
			return bad("a file's name ends in a slash")
		}
	case tar.TypeDir:
		m.Name = strings.TrimSuffix(m.Name, "/")
	case tar.TypeFifo, tar.TypeChar, tar.TypeBlock: // something took the file's place
	default:
		return bad("type %q", h.Typeflag)
	}
	if header[156] != h.Typeflag {
		return bad("type %q in the header, %q as read", header[156], h.Typeflag)
	}
	stored := int64(0)
	if h.Typeflag == tar.TypeReg {
		if stored, err = storedSize(header, records); err != nil {
			return bad("%v", err)
		}
	} else if n, err := storedSize(header, records); err != nil || n != 0 {
		return bad("it has content")
	}
	if records[sparseMajor] == "" && h.Typeflag == tar.TypeReg && stored != h.Size {
		return bad("%d bytes stored for a file of %d", stored, h.Size)
	}
	m.End = start + n + roundUp(stored)
	return m, nil
}

// headers takes the blocks before a member's content apart: at most one
// extended header, then the header itself. n is their length.
func headers(raw []byte) (header []byte, records map[string]string, n int64, err error) {
	header, rest, err := cut(raw, block)
	if err != nil {
		return nil, nil, 0, err
	}
	if err := posix(header); err != nil {
		return nil, nil, 0, err
	}
	if header[156] != tar.TypeXHeader {
		return header, nil, block, nil
	}
	size, err := number(header[124:136])
	if err != nil {
		return nil, nil, 0, err
	}
	text, rest, err := cut(rest, roundUp(size))
	if err != nil {
		return nil, nil, 0, err
	}
	if records, err = parseRecords(text[:size]); err != nil {
		return nil, nil, 0, err
	}
	header, _, err = cut(rest, block)
	if err != nil {
		return nil, nil, 0, err
	}
	return header, records, 2*block + roundUp(size), posix(header)
}

func cut(b []byte, n int64) (head, rest []byte, err error) {
	if n < 0 || n > int64(len(b)) {
		return nil, nil, fmt.Errorf("its headers are cut off")
	}
	return b[:n], b[n:], nil
}

func posix(header []byte) error {
	if !bytes.Equal(header[257:265], []byte("ustar\x0000")) {
		return fmt.Errorf("not in POSIX format")
	}
	return nil
}

// parseRecords reads "30 mtime=1350244992.023960108\n"...
func parseRecords(b []byte) (map[string]string, error) {
	out := map[string]string{}
	for len(b) > 0 {
		digits, _, ok := bytes.Cut(b[:min(len(b), 20)], []byte(" "))
		n, err := strconv.Atoi(string(digits))
		if !ok || err != nil || n < len(digits)+3 || n > len(b) || b[n-1] != '\n' || digits[0] < '1' || digits[0] > '9' {
			return nil, fmt.Errorf("a damaged extended header")
		}
		key, value, ok := strings.Cut(string(b[len(digits)+1:n-1]), "=")
		if !ok || !known(key) {
			return nil, fmt.Errorf("extended header %q", key)
		}
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("extended header %q twice", key)
		}
		out[key] = value
		b = b[n:]
	}
	return out, sparseWhole(out)
}

// sparseWhole: of the sparse formats only 1.0, whole, is what tar --format=pax makes.
func sparseWhole(r map[string]string) error {
	any := false
	for _, k := range []string{sparseMajor, "GNU.sparse.minor", "GNU.sparse.name", "GNU.sparse.realsize"} {
		_, has := r[k]
		any = any || has
	}
	_, path := r["path"]
	if any && (r[sparseMajor] != "1" || r["GNU.sparse.minor"] != "0" || r["GNU.sparse.name"] == "" || r["GNU.sparse.realsize"] == "" || path) {
		return fmt.Errorf("a sparse file in another format than 1.0")
	}
	return nil
}

// storedSize is how many bytes of content the stream has for a member.
func storedSize(header []byte, records map[string]string) (int64, error) {
	if s, ok := records["size"]; ok {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 || n > 1<<60 {
			return 0, fmt.Errorf("size %q", s)
		}
		return n, nil
	}
	return number(header[124:136])
}

// number reads a header's octal field, or the binary form of a large one.
func number(f []byte) (int64, error) {
	if f[0] == 0x80 {
		n := int64(binary.BigEndian.Uint64(f[len(f)-8:]))
		if n < 0 || n > 1<<60 || len(bytes.Trim(f[1:len(f)-8], "\x00")) > 0 {
			return 0, fmt.Errorf("a damaged number")
		}
		return n, nil
	}
	s := strings.Trim(string(f), " \x00")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 8, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("a damaged number")
	}
	return n, nil
}
