package etcdmember

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dayops/dayops/engine/change"
	"github.com/dayops/dayops/engine/inventory"
	"github.com/dayops/dayops/engine/source"
	"github.com/dayops/dayops/engine/task"
)

// Regroup is a host's move between groups of the inventory; To "" takes it out.
type Regroup struct{ Host, From, To string }

// Inventory edits the inventory's files on the control machine. The old files
// are kept beside them. What cannot be edited is printed, and left.
func (k *Making) Inventory(f *Findings, files []task.InventoryFile, moves []Regroup) {
	was := map[string]task.InventoryFile{}
	var now []inventory.File
	for _, x := range files {
		was[x.Path] = x
		now = append(now, inventory.File{Path: x.Path, Text: x.Text, Editable: x.Editable})
	}
	for _, m := range moves {
		var edits []inventory.Edit
		var err error
		if m.To == "" {
			edits, err = inventory.RemoveHost(now, m.Host, m.From)
		} else {
			edits, err = inventory.MoveHost(now, m.Host, m.From, m.To)
		}
		if err != nil {
			f.inventory(m, err)
			continue
		}
		for _, e := range edits {
			for i := range now {
				if now[i].Path == e.Path {
					now[i].Text = e.After
				}
			}
		}
	}
	var steps []task.Step
	for _, x := range now {
		if old := was[x.Path]; old.Text != x.Text {
			w := write(File{File: old.File, Text: []byte(old.Text)}, x.Text, change.Attr{})
			w.Path, w.Backup = x.Path, true
			steps = append(steps, task.Step{Host: task.ControlMachine, Change: w})
		}
	}
	k.Stage("inventory", 0, steps...)
}

// inventory prints an edit that a person has to make.
func (f *Findings) inventory(m Regroup, err error) {
	var hand *source.ByHand
	what := fmt.Sprintf("%s stays in group %s of the inventory", m.Host, m.From)
	if errors.As(err, &hand) {
		f.Warn("", fmt.Sprintf("%s: %s: %s", what, hand.Pos.String(), hand.Why), "by hand: "+strings.ReplaceAll(hand.Do, "\n", " "))
		return
	}
	f.Warn("", fmt.Sprintf("%s: %s", what, strings.ReplaceAll(err.Error(), "\n", " ")), "by hand")
}
