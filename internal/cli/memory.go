package cli

import (
	"context"
	"math"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// boundMemory has the garbage collector keep the heap small. What the operator keeps lives long and changes little, so that
// collecting it twice as often costs next to nothing. GOGC, where it is set, wins.
func boundMemory() {
	if os.Getenv("GOGC") == "" {
		const percent = 50
		debug.SetGCPercent(percent)
	}
	// The Deployment sets GOMEMLIMIT to the container's limit, which also counts the program's own pages and the stacks: the
	// collector must begin to hurry before it.
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		debug.SetMemoryLimit(limit / 10 * 9)
	}
}

// givingBack returns memory to the system once the first look at the cluster is over: lists take several times what is kept
// of them, and nothing takes as much again.
type givingBack struct{ ready healthz.Checker }

var _ manager.LeaderElectionRunnable = givingBack{}

// NeedLeaderElection says that a standby does so too.
func (givingBack) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (g givingBack) Start(ctx context.Context) error {
	const often, settle = time.Second, 3 * time.Second
	for g.ready(&http.Request{}) != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(often):
		}
	}
	select {
	case <-ctx.Done():
	case <-time.After(settle): // for the first statuses
		debug.FreeOSMemory()
	}
	return nil
}
