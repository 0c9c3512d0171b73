package resilience

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// replica is one operator's process.
type replica struct {
	*cluster.Operator
	name  string
	ended chan struct{} // closed when the process has ended
	state *os.ProcessState
}

var replicaCount atomic.Int32

// startReplica starts a replica and waits until it is ready: it is a standby with synced caches, or the leader. server is as of
// cluster.Replica.
func (tc *testCluster) startReplica(t *testing.T, server string, lease time.Duration) *replica {
	t.Helper()
	name := fmt.Sprintf("replica-%d", replicaCount.Add(1))
	o, err := tc.Replica(context.Background(), name, tc.program, server,
		"--leader-elect", "--leader-election-namespace", cluster.Namespace, "--leader-elect-lease-duration", lease.String(), "--verbosity", "1")
	cluster.Must(t, err)
	r := &replica{Operator: o, name: name, ended: make(chan struct{})}
	go func() {
		r.state, _ = o.Wait()
		close(r.ended)
	}()
	t.Cleanup(func() {
		// On SIGTERM it releases the lease, and the next test need not wait for it.
		r.signal(t, syscall.SIGCONT)
		r.signal(t, syscall.SIGTERM)
		select {
		case <-r.ended:
		case <-time.After(15 * time.Second):
			r.signal(t, syscall.SIGKILL)
			<-r.ended
		}
		if t.Failed() {
			output, _ := os.ReadFile(o.Log)
			const tail = 3000
			t.Logf("the end of the log of %s:\n%s", name, output[max(0, len(output)-tail):])
		}
	})
	cluster.Must(t, o.AwaitReady(context.Background()))
	return r
}

// signal sends a signal to a process that may have ended.
func (r *replica) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	select {
	case <-r.ended:
	default:
		if err := r.Signal(signal); err != nil && !strings.Contains(err.Error(), "finished") {
			t.Fatal(err)
		}
	}
}

// awaitEnd waits until the process has ended, and returns its exit code.
func (r *replica) awaitEnd(t *testing.T) int {
	t.Helper()
	select {
	case <-r.ended:
		return r.state.ExitCode()
	case <-time.After(cluster.Timeout):
		t.Fatalf("%s has not ended after %s", r.name, cluster.Timeout)
		return 0
	}
}

// leads reports whether the replica is the leader, by its metrics.
func (r *replica) leads(t *testing.T) bool {
	t.Helper()
	text, err := r.Scrape(context.Background())
	cluster.Must(t, err)
	return strings.Contains(text, `leader_election_master_status{name="platformprofile.dev"} 1`)
}

// startPair starts two replicas, of which the first leads. The leader reaches the API server at the given address. A standby is ready
// before it has read the resources of the profiles' rules, hence the wait for one of them.
func (tc *testCluster) startPair(t *testing.T, server string, lease time.Duration) (leader, standby *replica) {
	t.Helper()
	leader = tc.startReplica(t, server, lease)
	cluster.Eventually(t, "the first replica leads", func() (bool, string) { return leader.leads(t), "" })
	standby = tc.startReplica(t, "", lease)
	if standby.leads(t) {
		t.Fatal("both replicas lead")
	}
	cluster.Eventually(t, "the standby reads the resources of rules", func() (bool, string) {
		return metric(standby.Operator, `platformprofile_source_last_heard_timestamp_seconds{source="widgets.faults.example.com"}`) > 0, ""
	})
	return leader, standby
}
