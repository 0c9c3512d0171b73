// Command crds writes the Prometheus Operator's CustomResourceDefinitions, for tests to hold manifests against.
package main

import (
	"fmt"
	"os"

	crd "github.com/prometheus-operator/prometheus-operator/example"
)

func main() {
	if err := crd.PrintAllFull(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "writing the CRDs:", err)
		os.Exit(1)
	}
}
