// Package resilience tests that statuses are right during and after failures of the API server, etcd, the network, single kinds,
// CRDs and aggregated APIs, and that a standby takes over from a leader that is killed, ended, paused, cut off or replaced. The
// operator runs as its own process and ServiceAccount on a real control plane, behind proxies of the tests. Most of a fault is
// waiting, so that several tests run at the same time, each on its own control plane.
package resilience

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/platformprofile/platformprofile/test/cluster"
)

var (
	sequences   = flag.Int("sequences", 40, "how many random sequences of changes and faults to try on the control planes")
	soak        = flag.Duration("soak", 0, "how long to churn while memory, goroutines and watches must stay flat; 0 skips the soak")
	maxClusters = flag.Int("clusters", 3, "how many control planes there are at most, each for one test at a time")
	rounds      = flag.Int("rounds", 3, "how often to kill the leader in the moment that it writes")
	seed        = flag.Uint64("seed", 0, "the seed of random choices, 0 for another one each time; random sequences have -rapid.seed")
)

// newRandom returns a generator of random numbers with the seed of the flag, and logs its seed.
func newRandom(t *testing.T) *rand.Rand {
	t.Helper()
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("random choices by -seed %d", from)
	return rand.New(rand.NewPCG(from, 0))
}

func TestMain(m *testing.M) {
	cluster.Run(m, prepare)
}

// prepare builds the operator, and has the tests run in parallel.
func prepare(ctx context.Context) error {
	folder, err := os.MkdirTemp("", "platformprofile-resilience-")
	if err != nil {
		return err
	}
	cluster.Cleanup(func(bool) { _ = os.RemoveAll(folder) })
	program, err := (&cluster.Cluster{Dir: folder}).Build(ctx)
	if err != nil {
		return err
	}
	pool = newClusterPool(program, max(1, *maxClusters))
	cluster.Cleanup(func(bool) { pool.close() })
	for name, value := range map[string]string{
		"test.parallel":    "100",                                  // how many run is decided by how many grounds there are
		"rapid.checks":     strconv.Itoa((*sequences-1)/parts + 1), // each part of the sequences tries as many
		"rapid.shrinktime": "0s",                                   // what fails on a control plane is not made smaller by trying
		"rapid.nofailfile": "true",
	} {
		if err := flag.Set(name, value); err != nil {
			return err
		}
	}
	return nil
}
