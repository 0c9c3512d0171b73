// The operator watches a cluster and writes the status of every PlatformProfile. The command line is in cmd/platformprofile.
package main

import (
	"os"

	"github.com/platformprofile/platformprofile/internal/operator"
)

func main() {
	os.Exit(operator.Run(os.Args[1:], os.Stderr))
}
