// Package vars holds what a play knows by name: the precedence of variables,
// the templates that read them, and the rule that what comes from a host is
// data. It is the only package that imports the template library (gonja).
package vars
