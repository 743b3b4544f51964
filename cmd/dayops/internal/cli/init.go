package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/dayops/dayops/inventories"
)

// started is the playbook that init writes: enough to see every part once.
const started = `# A first playbook. Try: dayops plan site.yml, then dayops run site.yml
- name: First steps
  hosts: all
  tasks:
    - name: What are you?
      debug:
        msg: "{{ ansible_distribution }} {{ ansible_distribution_version }}, kernel {{ ansible_kernel }}"

    - name: Is the clock right?
      ntp:
`

func (a *app) initCommand() *cobra.Command {
	var dir, sample string
	cmd := &cobra.Command{
		Use: "init", Short: "Write an inventory and a playbook to start from", GroupID: "work",
		Example: "  dayops init\n  dayops init --sample ocp3.yml",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.init(dir, sample) },
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "folder to write into")
	cmd.Flags().StringVar(&sample, "sample", "small.yml", "inventory to start from: small.yml or ocp3.yml")
	addCompletion(cmd, "sample", "small.yml", "ocp3.yml")
	return cmd
}

func (a *app) init(dir, sample string) error {
	text, err := fs.ReadFile(inventories.FS, sample)
	if err != nil {
		return usage("small.yml or ocp3.yml", "there is no sample inventory %q", sample)
	}
	for _, f := range []struct {
		name string
		text []byte
	}{{"inventory.yml", text}, {"site.yml", []byte(started)}} {
		path := filepath.Join(dir, f.name)
		if err := writeNew(path, f.text); err != nil {
			return err
		}
		say(a.out, "wrote %s\n", path)
	}
	say(a.out, "\nPut your hosts into inventory.yml. Then:\n  dayops inventory --graph\n  dayops trust all\n  dayops ping\n  dayops plan site.yml\n")
	return nil
}

// writeNew never replaces what is there.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usage("choose another --dir, or move it away", "%s is there already and was left alone", path)
	}
	if err != nil {
		return usage("", "%s", err)
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
