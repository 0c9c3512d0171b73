package measure

import (
	"context"
	"sync"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/hack/bench/fill"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// Storm is how the operator bore one.
type Storm struct {
	// Workloads is how many changed at once, Writing the time that it took to change them.
	Workloads int
	Writing   time.Duration
	// Behind is the time from the beginning of the last write until every profile was right.
	Behind time.Duration
	// WritesPerSecond is the most writes of one profile's status within a second.
	WritesPerSecond int
	// Writes is how many statuses were written in all.
	Writes int
}

// MakeStorm breaks all workloads of all custom components at once, and then mends them at once. A component is healthy
// only when its last workload is: the second half shows when the last change arrived. The figures are the worse of both.
func MakeStorm(ctx context.Context, c *cluster.Cluster, clients *fill.Clients, p *Profiles, scale *fill.Scale) (Storm, error) {
	log, err := beginAudit(c)
	if err != nil {
		return Storm{}, err
	}
	components := scale.Profiles * fill.OwnComponents
	storm := Storm{Workloads: components * scale.PerComponent()}
	for _, available := range []bool{false, true} {
		want := v1alpha1.VerdictDegraded
		if available {
			want = v1alpha1.VerdictSatisfied
		}
		var mu sync.Mutex
		begun, last := time.Now(), time.Time{}
		if err := fill.Each(ctx, storm.Workloads, func(ctx context.Context, i int) error {
			mu.Lock()
			last = time.Now()
			mu.Unlock()
			// One of each component after the other, so that all profiles are concerned all the time.
			return flip(ctx, clients, i%components, i/components, available)
		}); err != nil {
			return storm, err
		}
		storm.Writing = max(storm.Writing, last.Sub(begun))
		if err := p.await(ctx, 3*time.Minute, "right after the storm", allOwn(scale, want)); err != nil {
			return storm, err
		}
		for _, view := range p.Views() {
			storm.Behind = max(storm.Behind, view.Since.Sub(last))
		}
	}
	requests, err := log.requests()
	if err != nil {
		return storm, err
	}
	writes := map[string][]time.Time{}
	for _, r := range requests {
		if r.ObjectRef.Resource == "platformprofiles" && r.ObjectRef.Subresource == "status" {
			writes[r.ObjectRef.Name] = append(writes[r.ObjectRef.Name], r.Received)
			storm.Writes++
		}
	}
	for _, moments := range writes {
		storm.WritesPerSecond = max(storm.WritesPerSecond, MostWithin(moments, time.Second))
	}
	return storm, nil
}
