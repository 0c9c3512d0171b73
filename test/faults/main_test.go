// Package faults shows that what the operator says is true while and after what is around it fails: the API server, etcd,
// the network between them, single kinds, CRDs, aggregated APIs. The operator runs as its own process and ServiceAccount on
// a real control plane, behind proxies that the tests own. Most of a fault is waiting, so that several control planes are
// tried at the same time, each by one test.
package faults

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

var (
	sequences = flag.Int("sequences", 200, "how many random sequences of changes and faults to try on the control planes")
	soak      = flag.Duration("soak", 30*time.Second, "how long to churn while memory, goroutines and watches must stay flat")
	clusters  = flag.Int("clusters", 3, "how many control planes there are at most, each for one test at a time")
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	folder, err := os.MkdirTemp("", "platformprofile-faults-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // it holds what was built
	program, err := (&cluster.Cluster{Dir: folder}).Build(ctx)
	if err != nil {
		return 1, err
	}
	grounds = newPool(program, max(1, *clusters))
	defer grounds.close()
	for name, value := range map[string]string{
		"test.parallel":    "100",                                  // how many run is decided by how many grounds there are
		"rapid.checks":     strconv.Itoa((*sequences-1)/parts + 1), // each part of the sequences tries as many
		"rapid.shrinktime": "0s",                                   // what fails on a control plane is not made smaller by trying
		"rapid.nofailfile": "true",
	} {
		if err := flag.Set(name, value); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}
