// Command dayops does the day-2 work of clusters over SSH.
package main

import (
	"os"

	"github.com/dayops/dayops/cmd/dayops/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
