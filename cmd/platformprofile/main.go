// Command platformprofile discovers the components of a cluster's platform, and evaluates the cluster against a PlatformProfile. Under
// the name kubectl-platformprofile it is a kubectl plugin.
package main

import (
	"os"
	"path/filepath"

	"github.com/platformprofile/platformprofile/internal/cli"
)

func main() {
	os.Exit(cli.ExecuteAs(filepath.Base(os.Args[0]), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
