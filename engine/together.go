package engine

import (
	"strings"

	"github.com/hashicorp/go-multierror"
)

// together makes one error of all that went wrong on a host: the change that
// failed, and what failed after it while things were put in order. It reads as
// one line; errors.As and errors.Is see each part.
func together(errs ...error) error {
	var all *multierror.Error
	for _, err := range errs {
		if err != nil {
			all = multierror.Append(all, err)
		}
	}
	if all == nil {
		return nil
	}
	if len(all.Errors) == 1 {
		return all.Errors[0]
	}
	all.ErrorFormat = func(errs []error) string {
		parts := make([]string, len(errs))
		for i, err := range errs {
			parts[i] = err.Error()
		}
		return strings.Join(parts, "; then: ")
	}
	return all
}
