// Command platformprofile discovers the platform components of a Kubernetes cluster and checks them against a PlatformProfile. Under the
// name kubectl-platformprofile it is a plugin of kubectl.
package main

import (
	"os"
	"path/filepath"

	"github.com/platformprofile/platformprofile/internal/cli"
)

func main() {
	os.Exit(cli.ExecuteAs(filepath.Base(os.Args[0]), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
