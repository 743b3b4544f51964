package engine

import (
	"fmt"
	"strings"

	"github.com/dayops/dayops/engine/playbook"
	"github.com/dayops/dayops/engine/reader"
	"github.com/dayops/dayops/engine/vars"
)

// logins are the accounts of services on a host, by its variables SERVICE_user
// and SERVICE_password (etcd_user, etcd_password). They are read when they are
// needed, so that no plan and no journal has a password; and from what people
// wrote alone, never from what a host said.
func (r *run) logins(s *playbook.BoundStep, name string) reader.Logins {
	return func(service string) (user string, password []byte, err error) {
		h := r.host(name)
		own := r.base(h)
		if s != nil {
			own = r.scope(h, s).Scope
		}
		own = own.Connection()
		word, err := textOf(own, service+"_password")
		if err != nil || word == "" { // a SERVICE_user alone may be an account of the host
			return "", nil, err
		}
		r.opt.Redactor.Add(word)
		user, err = textOf(own, service+"_user")
		return user, []byte(word), err
	}
}

// LoginError: a variable that names an account cannot be one.
type LoginError struct{ Variable, Why string }

func (e *LoginError) Error() string { return fmt.Sprintf("the variable %s %s", e.Variable, e.Why) }

func textOf(own *vars.Scope, name string) (string, error) {
	if !own.Has(name) {
		return "", nil
	}
	v, _, err := own.Lookup(name)
	if err != nil || v == nil {
		return "", err
	}
	text, ok := v.(string)
	switch {
	case !ok:
		return "", &LoginError{name, "is no text: put it in quotes"}
	case strings.ContainsAny(text, "\r\n\x00"):
		return "", &LoginError{name, "has more than one line"}
	}
	return text, nil
}
