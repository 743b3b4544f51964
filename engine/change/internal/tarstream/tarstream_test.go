package tarstream_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/change/internal/tarstream"
)

func always(tarstream.Member) (bool, error) { return true, nil }

// made is what the host's tar makes of a folder that a script fills.
func made(t testing.TB, script string, options ...string) []byte {
	dir := t.TempDir()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	b, err := exec.Command("tar", append([]string{"-C", dir, "-c", "--sparse", "--sort=name", "--format=pax"}, append(options, ".")...)...).Output()
	require.NoError(t, err)
	return b
}

const script = `echo hello > a; ln a b; ln -s a c; mkdir d; truncate -s 3M sp; printf x >> sp; printf '%0300d' 3 > "$(printf '%0240d' 1)"; : > empty; truncate -s 1M holes`

func TestMembersPutTogetherAgain(t *testing.T) {
	whole := made(t, script)
	members, err := tarstream.Scan(context.Background(), iotest.OneByteReader(bytes.NewReader(whole)), always)
	require.NoError(t, err)
	require.Len(t, members, 9)
	var again bytes.Buffer
	for i, m := range members {
		if i > 0 {
			require.Equal(t, members[i-1].End, m.Start)
		}
		if m.Name != "./c" {
			again.Write(whole[m.Start:m.End])
		}
	}
	again.Write(tarstream.Trailer())
	list := exec.Command("tar", "-t")
	list.Stdin = &again
	out, err := list.CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("./\n./%0240d\n./a\n./b\n./d/\n./empty\n./holes\n./sp\n", 1), string(out))
}

func TestUnhashedMembersArePassedOver(t *testing.T) {
	whole := made(t, script)
	all, err := tarstream.Scan(context.Background(), bytes.NewReader(whole), always)
	require.NoError(t, err)
	none, err := tarstream.Scan(context.Background(), bytes.NewReader(whole), func(tarstream.Member) (bool, error) { return false, nil })
	require.NoError(t, err)
	require.Len(t, none, len(all))
	for i := range all {
		all[i].SHA256 = ""
	}
	require.Equal(t, all, none)
}

func TestCutStreamsAreErrors(t *testing.T) {
	whole := made(t, `echo hello > a; mkdir d`)
	n := len(bytes.TrimRight(whole, "\x00"))
	end := (n+511)/512*512 + 1024
	for _, cut := range []int{0, 1, 511, 512, 1024, 1536, end - 1024, end - 512, end - 1} {
		_, err := tarstream.Scan(context.Background(), bytes.NewReader(whole[:cut]), always)
		require.Error(t, err, "cut at %d of %d", cut, end)
	}
	_, err := tarstream.Scan(context.Background(), bytes.NewReader(whole[:end]), always)
	require.NoError(t, err)
}

// A stream that two programs read differently is how a member gets past a check.
func TestAmbiguousStreamsAreRefused(t *testing.T) {
	pax := func(h *tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		require.NoError(t, w.WriteHeader(h))
		_, _ = w.Write(make([]byte, h.Size))
		require.NoError(t, w.Close())
		return b.Bytes()
	}
	for name, stream := range map[string][]byte{
		"GNU format":            made(t, "echo x > a", "--format=gnu"),
		"old format":            made(t, "echo x > a", "--format=oldgnu"),
		"a global header":       pax(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "g", PAXRecords: map[string]string{"path": "b"}}),
		"a strange key":         pax(&tar.Header{Name: "a", PAXRecords: map[string]string{"GNU.dumpdir": "Yb"}}),
		"sparse 0.1":            made(t, "truncate -s 1M a; echo x >> a", "--sparse-version=0.1"),
		"sparse 0.0":            made(t, "truncate -s 1M a; echo x >> a", "--sparse-version=0.0"),
		"a folder with content": pax(&tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 1, Format: tar.FormatPAX}),
	} {
		if name == "a folder with content" {
			stream = bytes.Clone(stream)
			stream[156] = tar.TypeDir
			sum(stream[:512])
		}
		_, err := tarstream.Scan(context.Background(), bytes.NewReader(stream), always)
		require.Error(t, err, name)
	}
}

func sum(h []byte) {
	copy(h[148:156], "        ")
	n := 0
	for _, c := range h {
		n += int(c)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", n))
}

func TestAnEndlessHoleEndsWithTheContext(t *testing.T) {
	stream := made(t, "truncate -s 8000000000000 a; echo x >> a")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := tarstream.Scan(ctx, bytes.NewReader(stream), always)
	require.ErrorIs(t, err, context.Canceled)
	_, err = tarstream.Scan(context.Background(), bytes.NewReader(stream), func(m tarstream.Member) (bool, error) { return m.Size < 1<<30, nil })
	require.NoError(t, err, "not wanted, not read")
}

func FuzzScan(f *testing.F) {
	f.Add(made(f, script))
	f.Add(made(f, "echo x > a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		members, err := tarstream.Scan(context.Background(), bytes.NewReader(b), func(m tarstream.Member) (bool, error) { return m.Size < 1<<20, nil })
		if err != nil {
			return
		}
		at := int64(0)
		for _, m := range members {
			if m.Start != at || m.End <= m.Start || m.End > int64(len(b)) {
				t.Fatalf("blocks %d to %d after %d", m.Start, m.End, at)
			}
			at = m.End
		}
	})
}
