package plain

import (
	"encoding/json"
	"io/fs"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type inner struct {
	SHA256 string
	UID    int
}

type sample struct {
	Path     string
	FromFile *inner
	Mode     fs.FileMode
	ModePtr  *fs.FileMode
	When     time.Time
	Limit    time.Duration
	Bytes    []byte
	Words    []string
	Env      map[string]string
	Inner    inner
	Big      uint64
	Off      *bool
	Raw      json.RawMessage
	Call     func()
}

func TestRoundTrip(t *testing.T) {
	zero := fs.FileMode(0)
	for want, in := range map[string]sample{
		`{}`: {},
		`{"path":"/a<b>&\u0001\"","from_file":{"sha256":"x","uid":-1},"mode":"4755","mode_ptr":"0000","when":"2026-01-02T03:04:05.000000006Z","limit":"1m30s","words":["a",""],"env":{"A":"1","B":""},"inner":{"uid":3},"big":18446744073709551615,"off":false,"raw":{"x":1}}`: {
			Path: "/a<b>&\x01\"", FromFile: &inner{"x", -1}, Mode: 0o755 | fs.ModeSetuid, ModePtr: &zero,
			When: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Limit: 90 * time.Second, Words: []string{"a", ""},
			Env: map[string]string{"A": "1", "B": ""}, Inner: inner{UID: 3}, Big: 1<<64 - 1, Off: new(bool), Raw: json.RawMessage(`{"x":1}`),
		},
		`{"path":{"base64":"L/8="},"bytes":{"base64":"AP8="}}`: {Path: "/\xff", Bytes: []byte{0, 0xff}},
	} {
		got, err := Marshal(in)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		require.True(t, json.Valid(got))
		var back sample
		require.NoError(t, Unmarshal(got, &back))
		require.Equal(t, in, back)
	}
}

func TestMistakes(t *testing.T) {
	for in, want := range map[string]string{
		`{"nope":1}`:                  `unknown key "nope"`,
		`{"call":1}`:                  `unknown key`,
		`{"path":1}`:                  `is no string`,
		`{"path":null}`:               `null`,
		`{"path":{"base64":"%"}}`:     `is no string`,
		`{"mode":"8"}`:                `is no fs.FileMode`,
		`{"mode":"77777"}`:            `is no fs.FileMode`,
		`{"inner":{"uid":1.5}}`:       `inner: uid: `,
		`{"words":{}}`:                `is no []string`,
		`{"limit":"x"}`:               `is no time.Duration`,
		`{"when":""}`:                 `is no time.Time`,
		`{"big":-1}`:                  `is no uint64`,
		`{"off":"yes"}`:               `is no bool`,
		`{"env":[]}`:                  `is no map`,
		`{} {}`:                       `more than one`,
		`{`:                           `EOF`,
		`[]`:                          `is no plain.sample`,
		`{"from_file":{"sha256":{}}}`: `from_file: sha256`,
	} {
		var s sample
		require.ErrorContains(t, Unmarshal([]byte(in), &s), want, in)
	}
	require.Error(t, Unmarshal([]byte("{}"), sample{}))
	_, err := Marshal(struct{ X any }{1})
	require.ErrorContains(t, err, "not plain data")
	_, err = Marshal(struct{ X map[string]string }{map[string]string{"\xff": ""}})
	require.Error(t, err)
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"path":{"base64":"L/8="},"mode":"0644","env":{"a":"b"},"raw":[1]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s sample
		if Unmarshal(data, &s) != nil {
			return
		}
		out, err := Marshal(s)
		require.NoError(t, err)
		var again sample
		require.NoError(t, Unmarshal(out, &again), string(out))
		twice, err := Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(out), string(twice))
	})
}
