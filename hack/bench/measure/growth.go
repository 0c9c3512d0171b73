package measure

import (
	"context"
	"time"

	"github.com/platformprofile/platformprofile/hack/bench/fill"
)

// Growth is what further workloads cost.
type Growth struct {
	// PerWorkload is how many bytes of live heap each takes.
	PerWorkload float64
	// LiveHeap is that before they came, in MiB.
	LiveHeap float64
}

// Grow adds Deployments that no definition recognises, and compares what the garbage collector leaves.
func Grow(ctx context.Context, clients *fill.Clients, o *Operator, scale *fill.Scale) (Growth, error) {
	before, err := liveHeap(ctx, o)
	if err != nil {
		return Growth{}, err
	}
	if err := fill.Further(ctx, clients, scale); err != nil {
		return Growth{}, err
	}
	after, err := liveHeap(ctx, o)
	if err != nil {
		return Growth{}, err
	}
	return Growth{PerWorkload: (after - before) / float64(scale.Further), LiveHeap: before / (1 << 20)}, nil
}

// liveHeap waits until what happened is digested, and says how many bytes are in use.
func liveHeap(ctx context.Context, o *Operator) (float64, error) {
	if err := sleep(ctx, 3*time.Second); err != nil {
		return 0, err
	}
	if err := o.Collect(ctx); err != nil {
		return 0, err
	}
	counters, err := o.Counters(ctx)
	return counters.LiveHeap, err
}
