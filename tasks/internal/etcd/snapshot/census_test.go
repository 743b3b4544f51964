package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"testing"

	"github.com/stretchr/testify/require"
)

// With room for a few keys at once, the count is the same.
func TestCensusInParts(t *testing.T) {
	type entry struct{ key, value []byte }
	var all []entry
	add := func(name string, gone bool) {
		k := binary.BigEndian.AppendUint64(nil, uint64(len(all)+2))
		k = append(append(k, '_'), make([]byte, 8)...)
		if gone {
			k = append(k, 't')
		}
		all = append(all, entry{k, append([]byte{0x0a, byte(len(name))}, name...)})
	}
	for i := range 1000 {
		add(fmt.Sprint("k", i), false)
	}
	for i := range 200 {
		add(fmt.Sprint("k", i), true)
	}
	for i := range 50 {
		add(fmt.Sprint("k", i), false)
	}
	for _, most := range []int{1 << 20, 1000, 100, 7} {
		c := &census{most: most, seed: maphash.MakeSeed()}
		rounds, n := 1, int64(0)
		for {
			for _, e := range all {
				require.NoError(t, c.see(0, e.key, e.value))
			}
			n += c.count()
			if !c.next() {
				break
			}
			rounds++
		}
		require.EqualValues(t, 850, n, "at most %d at once", most)
		require.Equal(t, most < 1000, rounds > 1)
	}
}
