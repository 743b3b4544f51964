package change

import (
	"context"
	"errors"
	"time"

	"github.com/dayops/dayops/engine/reader"
)

var _ Change = (*Reboot)(nil)

// RebootLimit is how long a host may take to come back. It is printed by
// --help; change it there too.
const RebootLimit = 10 * time.Minute

// Kind is "reboot".
func (r *Reboot) Kind() string { return "reboot" }

// Summary is one line for people.
func (r *Reboot) Summary() string {
	return "reboot, back within " + r.limit().String()
}

func (r *Reboot) limit() time.Duration {
	if r.Limit <= 0 {
		return RebootLimit
	}
	return r.Limit
}

// Diff is "".
func (r *Reboot) Diff() string { return "" }

// Risk is Disruptive.
func (r *Reboot) Risk() Risk { return Disruptive }

// Reversal is None.
func (r *Reboot) Reversal() Reversal { return Reversal{None, "a reboot cannot be taken back"} }

// Opaque is false.
func (r *Reboot) Opaque() bool { return false }

func (r *Reboot) observe(ctx context.Context, h Host) (Where, error) {
	now, err := h.bootID(ctx)
	if err != nil {
		return Neither, err
	}
	return side(r.BootID != "" && now != r.BootID, true), nil
}

func (h Host) bootID(ctx context.Context) (string, error) {
	id, err := h.read().ReadFile(ctx, "/proc/sys/kernel/random/boot_id", 100)
	return reader.Printable(string(id)), err
}

func (r *Reboot) apply(context.Context, Host) (Outcome, error) {
	return Outcome{}, errors.New("not there yet: reboot")
}

func (r *Reboot) effect(*Overlay) {}
