package resilience

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// randomChooser draws from a seeded generator.
type randomChooser struct{ *rand.Rand }

func (d randomChooser) pick(_ string, n int) int { return d.IntN(n) }

// resourceUsage is what an operator uses.
type resourceUsage struct {
	goroutines, heap, resident, descriptors float64
}

func (f resourceUsage) String() string {
	return fmt.Sprintf("%.0f goroutines, %.1f MiB of heap, %.1f MiB resident, %.0f file descriptors",
		f.goroutines, f.heap/(1<<20), f.resident/(1<<20), f.descriptors)
}

// measure returns the operator's usage after a garbage collection: the least of several measurements, because connections and
// watches take a moment to end. The heap profile is an artifact of the test (go test -artifacts).
func (r *proxiedOperator) measure(t *testing.T, pprof, when string) resourceUsage {
	t.Helper()
	var least resourceUsage
	for look := range 10 {
		profile := r.heap(t, pprof, "gc=1")
		cluster.Must(t, artifact(t, "heap-"+when+".pb.gz", profile))
		// The text form of the profile has the size of the heap right after the collection. A metric would include what this request
		// has allocated since, which is megabytes.
		var alive float64
		_, after, _ := strings.Cut(string(r.heap(t, pprof, "gc=1&debug=1")), "# HeapAlloc = ")
		if _, err := fmt.Sscanf(after, "%g", &alive); err != nil {
			t.Fatalf("the profile does not say how large the heap is: %v", err)
		}
		f := resourceUsage{
			metric(r.operator, "go_goroutines "),
			alive,
			metric(r.operator, "process_resident_memory_bytes "),
			metric(r.operator, "process_open_fds "),
		}
		if look == 0 {
			least = f
		}
		least = resourceUsage{
			min(least.goroutines, f.goroutines),
			min(least.heap, f.heap),
			min(least.resident, f.resident),
			min(least.descriptors, f.descriptors),
		}
		time.Sleep(500 * time.Millisecond)
	}
	return least
}

// heap returns the operator's heap profile for a query.
func (r *proxiedOperator) heap(t *testing.T, pprof, query string) []byte {
	t.Helper()
	profile, err := get("http://" + pprof + "/debug/pprof/heap?" + query)
	cluster.Must(t, err)
	return profile
}

// keepIfFailed writes the operator's goroutines and metrics as artifacts if the test fails: hours of churn are hard to repeat.
func (r *proxiedOperator) keepIfFailed(t *testing.T, pprof string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for name, url := range map[string]string{"goroutines.txt": "http://" + pprof + "/debug/pprof/goroutine?debug=2", "metrics.txt": r.operator.Metrics} {
			dump, err := get(url)
			if err == nil {
				err = artifact(t, name, dump)
			}
			if err != nil {
				t.Logf("%s: %v", name, err)
			}
		}
	})
}

// watches returns the number of the operator's open watches by path, once it has opened all that it needs. The statuses may be
// right before that, because an earlier operator wrote them.
func (r *proxiedOperator) watches(t *testing.T) map[string]int {
	t.Helper()
	var profiles v1alpha1.PlatformProfileList
	cluster.Must(t, r.Client.List(context.Background(), &profiles))
	var open map[string]int
	var since time.Time
	cluster.Eventually(t, "the operator has evaluated every profile, and opens no further watches", func() (bool, string) {
		evaluations := metric(r.operator, "platformprofile_evaluation_duration_seconds_count ")
		if now := r.api.openWatches(); !maps.Equal(now, open) {
			open, since = now, time.Now()
		}
		return evaluations >= float64(len(profiles.Items)) &&
				time.Since(since) > 3*time.Second,
			fmt.Sprintf("%.0f evaluations of %d profiles, and since %s the watches %v", evaluations, len(profiles.Items), since, open)
	})
	return open
}

// TestSoak changes workloads, classes, custom resources, CRDs, definitions and profiles, with faults in between: goroutines, heap,
// connections and watches stay flat.
func TestSoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("it takes long: make test-long and make soak run it")
	}
	tc, ctx := acquireCluster(t), context.Background()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	cluster.Must(t, err)
	pprof := listener.Addr().String()
	cluster.Must(t, listener.Close())
	r := tc.startProxiedOperator(t, "--pprof-bind-address", pprof)
	r.keepIfFailed(t, pprof)
	tc.awaitMatchesCheck(t)
	watched := r.watches(t) // before any fault
	d := randomChooser{newRandom(t)}
	changes, faults := 0, 0
	churn := func(lasting time.Duration) {
		for end := time.Now().Add(lasting); time.Now().Before(end); {
			if d.pick("fault", 40) == 0 {
				what, err := r.injectRandomFault(ctx, d)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				time.Sleep(time.Duration(d.pick("milliseconds", 1000)) * time.Millisecond)
				r.restoreNetwork()
				faults++
			}
			what, err := tc.applyRandomChange(ctx, d)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			changes++
		}
		cluster.Must(t, tc.restore(ctx))
		tc.awaitMatchesCheck(t)
	}
	r.restarts = 1                      // the API server stays: its restarts have a test of their own
	churn(max(*soak/10, 5*time.Second)) // what is made once is made
	before := r.measure(t, pprof, "before")
	changes, faults = 0, 0
	churn(*soak)
	after := r.measure(t, pprof, "after")
	t.Logf("%s of churn, %d changes and %d faults\nbefore: %s\nafter:  %s", *soak, changes, faults, before, after)
	// A few goroutines belong to connections that come and go. Heap that grows with each change would be far beyond this.
	if after.goroutines > before.goroutines+15 {
		t.Errorf("goroutines grew from %.0f to %.0f", before.goroutines, after.goroutines)
	}
	if after.heap > before.heap*1.15+2<<20 {
		t.Errorf("the heap grew from %.1f to %.1f MiB", before.heap/(1<<20), after.heap/(1<<20))
	}
	if after.descriptors > before.descriptors+10 {
		t.Errorf("file descriptors grew from %.0f to %.0f", before.descriptors, after.descriptors)
	}
	// After a fault a watch may take half a minute to be opened again.
	cluster.Eventually(t, "what is watched is what was watched at first", func() (bool, string) {
		open := r.api.openWatches()
		return maps.Equal(open, watched), fmt.Sprintf("by how many watches each, then and now:\n%v\n%v", watched, open)
	})
}
