package cluster

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"
)

// Tests are the tests of a package: testing.M is one.
type Tests interface{ Run() int }

// Main runs tests on a control plane that is started with these flags and on which the operator is installed, but does not
// run, and ends the process with their exit code. prepare readies what they need beside it; what it returns, which may be
// nil, is done when they are over, told whether they failed.
func Main(tests Tests, flags []string, prepare func(context.Context, *Cluster) (func(failed bool), error)) {
	flag.Parse()
	code, err := runOn(tests, flags, prepare)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runOn(tests Tests, flags []string, prepare func(context.Context, *Cluster) (func(failed bool), error)) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute) // building the operator included
	defer cancel()
	c, err := Start(flags...)
	if err != nil {
		return 1, err
	}
	defer c.Stop()
	if err := c.Install(ctx); err != nil {
		return 1, fmt.Errorf("installing the operator: %w", err)
	}
	over, err := prepare(ctx, c)
	if err != nil {
		return 1, err
	}
	code := tests.Run()
	if over != nil {
		over(code != 0)
	}
	return code, nil
}
