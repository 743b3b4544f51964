// Command dayops-lab boots throwaway hosts to try dayops on and to test it against.
package main

import (
	"os"

	"github.com/dayops/dayops/cmd/dayops-lab/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr)) }
