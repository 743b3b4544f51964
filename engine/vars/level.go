package vars

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Level is where a variable was set. A higher level wins; within a level the
// layer given last wins.
type Level int

// The levels from low to high. The first ten are inventory's, in its order.
const (
	LevelDefault Level = iota
	LevelGroupAll
	LevelGroup
	LevelGroupVarsAll
	LevelPlaybookGroupVarsAll
	LevelGroupVars
	LevelPlaybookGroupVars
	LevelHost
	LevelHostVars
	LevelPlaybookHostVars
	LevelFacts
	LevelPlay
	LevelVarsFiles
	LevelBlock
	LevelTask
	LevelSetFact
	LevelLoop
	LevelExtra
)

// levelDocs is the one table of precedence: code, documentation and tests read it.
func levelDocs() []string {
	return []string{
		"defaults that dayops itself gives",
		"inventory file: the group all",
		"inventory file: other groups (a child wins over its parent, then ansible_group_priority)",
		"group_vars/all beside the inventory",
		"group_vars/all beside the playbook",
		"group_vars/GROUP beside the inventory",
		"group_vars/GROUP beside the playbook",
		"inventory file: the host",
		"host_vars/HOST beside the inventory",
		"host_vars/HOST beside the playbook",
		"facts of the host (ansible_facts, ansible_*)",
		"vars of the play",
		"vars_files of the play (a later file wins)",
		"vars of a block",
		"vars of the task",
		"set_fact and registered results",
		"loop variables (item)",
		"extra variables: -e (always win)",
	}
}

// String says in words where variables of the level are set.
func (l Level) String() string {
	docs := levelDocs()
	if l < 0 || int(l) >= len(docs) {
		return fmt.Sprintf("level %d", int(l))
	}
	return docs[l]
}

// PrecedenceDoc is the table as `dayops doc variables` and README show it.
func PrecedenceDoc() string {
	var b strings.Builder
	for i, d := range levelDocs() {
		fmt.Fprintf(&b, "%2d. %s\n", i+1, d)
	}
	return b.String()
}

// LanguageDoc lists the filters, tests, functions and methods of templates, as
// `dayops doc variables` shows them.
func LanguageDoc() string {
	return "filters: " + strings.Join(filterNames(), ", ") +
		"\ntests: " + strings.Join(testNames(), ", ") +
		"\nfunctions: " + strings.Join(slices.Sorted(maps.Keys(builtin.functions)), ", ") +
		"\nmethods: " + strings.Join(slices.Sorted(slices.Values(methodNames())), ", ") +
		"\nvariables that are always there: " + strings.Join(magicNames(), ", ") + "\n"
}
