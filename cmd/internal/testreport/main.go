// Command testreport reads `go test -json` and prints what a person needs:
// failures with their output, skipped tests with their reason, and a closing
// line of totals. It fails on a failure, on no tests at all and, with
// DAYOPS_NO_SKIP=1, on a skipped test.
package main

import (
	"os"
)

func main() {
	total := ""
	if len(os.Args) == 3 && os.Args[1] == "-total" {
		total = os.Args[2]
	}
	os.Exit(report(os.Stdin, os.Stdout, total, os.Getenv("DAYOPS_NO_SKIP") == "1"))
}
