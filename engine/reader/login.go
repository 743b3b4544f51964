package reader

import (
	"bytes"
	"context"
	"slices"

	"github.com/dayops/dayops/engine/conn"
)

// Logins tells under which name, and with which password, a service on the host
// is asked ("etcd"); "" where it is asked without. The password goes into the
// input of the program that asks, and nowhere else.
type Logins func(service string) (user string, password []byte, err error)

// With is a reader that asks services under these names.
func (r *Reader) With(l Logins) *Reader {
	with := *r
	with.logins = l
	return &with
}

// User is the name under which a service is asked; "" without one.
func (r *Reader) User(service string) (string, error) {
	if r.logins == nil {
		return "", nil
	}
	user, _, err := r.logins(service)
	return user, err
}

// Input is what a program that asks for the password of user reads.
func (l Logins) Input(service, user string) ([]byte, error) {
	if l == nil {
		return nil, &NoLoginError{Service: service, User: user}
	}
	known, password, err := l(service)
	if err != nil {
		return nil, err
	}
	if known != user || len(password) == 0 {
		return nil, &NoLoginError{Service: service, User: user}
	}
	return append(slices.Clone(password), '\n'), nil
}

// NoLoginError: a program was to be given the password of a user, and there is none.
type NoLoginError struct{ Service, User string }

func (e *NoLoginError) Error() string {
	return "the variables " + e.Service + "_user and " + e.Service + "_password of the host have no password of " + Printable(e.User)
}

// fed runs a row of the table FedProbes. The prompt that etcdctl prints before
// its answer is left out.
func (r *Reader) fed(ctx context.Context, argv []string) (conn.Result, error) {
	input, err := r.logins.Input(EtcdService, EtcdUser(argv))
	if err != nil {
		return conn.Result{}, err
	}
	res, err := r.probe(ctx, bytes.NewReader(input), argv)
	if rest, ok := bytes.CutPrefix(res.Stdout.Head, []byte(prompt)); ok {
		res.Stdout.Head = rest
	}
	return res, err
}

// prompt is etcdctl's (3.4 to 3.7), on its output also where that is no terminal.
const prompt = "Password: \n"

// EtcdService is etcd's name among the services.
const EtcdService = "etcd"

// EtcdUser is the user whose password an etcdctl asks for; "" where it asks for none.
func EtcdUser(argv []string) string {
	i := slices.Index(argv, "--user")
	if i < 0 || i+1 >= len(argv) {
		return ""
	}
	return argv[i+1]
}
