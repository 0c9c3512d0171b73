package cluster

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// Tests are the tests of a package: testing.M is one.
type Tests interface{ Run() int }

var cleanups struct {
	mu  sync.Mutex
	all []func(failed bool)
}

// Cleanup registers a function that Run calls when all tests have ended, with whether one of them failed. Functions are called
// in reverse order.
func Cleanup(cleanup func(failed bool)) {
	cleanups.mu.Lock()
	defer cleanups.mu.Unlock()
	cleanups.all = append(cleanups.all, cleanup)
}

// Run prepares and runs the tests of a package, and ends the process with their exit code.
func Run(tests Tests, prepare func(context.Context) error) {
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	code, err := 1, prepare(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = tests.Run()
	}
	for _, cleanup := range slices.Backward(cleanups.all) {
		cleanup(code != 0)
	}
	os.Exit(code)
}

// startTimeout includes building the operator from an empty cache.
const startTimeout = 8 * time.Minute

// Main runs tests on a control plane that is started with these flags and on which the operator is installed but does not run.
// prepare adds what the tests need.
func Main(tests Tests, flags []string, prepare func(context.Context, *Cluster) error) {
	Run(tests, func(ctx context.Context) error {
		c, err := StartInstalled(ctx, flags...)
		if err != nil {
			return err
		}
		return prepare(ctx, c)
	})
}

// StartInstalled starts a control plane with the operator installed on it, and stops it when all tests of the package have ended.
func StartInstalled(ctx context.Context, flags ...string) (*Cluster, error) {
	c, err := Start(flags...)
	if err != nil {
		return nil, err
	}
	Cleanup(func(bool) { c.Stop() })
	if err := c.Install(ctx); err != nil {
		return nil, fmt.Errorf("installing the operator: %w", err)
	}
	return c, nil
}

// OnDemand returns a function that calls start the first time a test calls it, and fails each test where start failed.
func OnDemand(start func(context.Context) error) func(testing.TB) {
	once := sync.OnceValue(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		return start(ctx)
	})
	return func(t testing.TB) {
		t.Helper()
		if err := once(); err != nil {
			t.Fatal(err)
		}
	}
}
