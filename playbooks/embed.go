// Package playbooks holds the playbooks inside the program.
package playbooks

import "embed"

// FS has one file for each playbook.
//
//go:embed *.yml
var FS embed.FS
