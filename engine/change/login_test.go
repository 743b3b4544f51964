package change

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dayops/dayops/engine/conn"
	"github.com/dayops/dayops/engine/conn/local"
	"github.com/dayops/dayops/engine/reader"
)

// A command that names a login is fed its user's password, which is in nothing
// that is kept of the command.
func TestExecLogin(t *testing.T) {
	c, err := local.New(conn.Target{Name: "here"})
	require.NoError(t, err)
	h := Host{Name: "here", Conn: c, Logins: func(service string) (string, []byte, error) {
		require.Equal(t, "etcd", service)
		return "root", []byte("s3cret-word"), nil
	}}
	e := &Exec{Argv: []string{"sh", "-c", "cat; printenv; echo $*", "sh", "--user", "root"}, Login: "etcd"}
	out, err := Apply(t.Context(), h, e)
	require.NoError(t, err)
	require.Contains(t, out.Exec.Stdout.String(), "s3cret-word\n")
	raw, err := Encode(e, EncodeOptions{Content: true})
	require.NoError(t, err)
	require.NotContains(t, string(raw), "s3cret")
	back, err := Decode("exec", raw, DecodeOptions{})
	require.NoError(t, err)
	require.Equal(t, Digest(e), Digest(back))
	require.NotEqual(t, Digest(e), Digest(&Exec{Argv: e.Argv}))

	var none *reader.NoLoginError
	_, err = Apply(t.Context(), h, &Exec{Argv: []string{"true", "--user", "other"}, Login: "etcd"})
	require.ErrorAs(t, err, &none)
	h.Logins = nil
	_, err = Apply(t.Context(), h, e)
	require.ErrorAs(t, err, &none)
	_, err = Apply(t.Context(), h, &Exec{Argv: e.Argv, Login: "etcd", Stdin: []byte("x")})
	require.ErrorIs(t, err, errTwoInputs)
	_, err = words(&Exec{Argv: []string{"true"}, Login: "etcd"})
	require.ErrorContains(t, err, "no input")
	require.True(t, json.Valid(raw))
}
