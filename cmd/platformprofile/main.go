// Command platformprofile says what a Kubernetes cluster's platform is made of, and whether it is what it should be. Under the
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
