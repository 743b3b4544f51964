package engine

import (
	"context"
	"maps"

	"github.com/dayops/dayops/engine/conn"
)

// envConn adds a step's `environment` to every command of a connection.
type envConn struct {
	conn.Conn
	env map[string]string
}

func withEnv(c conn.Conn, env map[string]string) conn.Conn {
	if len(env) == 0 {
		return c
	}
	return envConn{c, env}
}

// Run runs c with the environment; what the command itself asks for wins.
func (e envConn) Run(ctx context.Context, c conn.Cmd) (conn.Result, error) {
	env := maps.Clone(e.env)
	maps.Copy(env, c.Env)
	c.Env = env
	return e.Conn.Run(ctx, c)
}
