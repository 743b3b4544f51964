// Package vars holds what a play knows by name: the precedence of variables,
// the templates that read them, and the rule that what comes from a host is
// data. It is the only package that imports the template library (gonja).
//
// The language is Jinja2 as Ansible uses it. gonja gives the tokens, the tree
// and the nesting of blocks; expressions are read and evaluated here, because
// its evaluator can neither be bounded nor tell where an error stands, and its
// expression grammar differs from Jinja2's without a word (see exprParser).
//
// What a template can do is bounded: no file, environment, command, network,
// clock or randomness; at most maxSteps steps (see there); and nothing that it
// makes is ever evaluated again. A variable is evaluated when it is read, if
// its own definition in the user's files is a template.
//
// Conditions (when, until, changed_when, that) are stricter than Python: a
// string is neither true nor false, because "false" given with -e would count
// as true. Write `x | bool` or `x | length > 0`. Numbers, lists, dictionaries
// and none count as in Python. Within and, or, not and {% if %} Python's rules
// hold for strings too.
package vars
