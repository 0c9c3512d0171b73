package measure

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// Quiet is what an operator does while nothing happens.
type Quiet struct {
	// PerMinute is how many requests it made a minute beside watches and the renewal of its lease.
	PerMinute float64
	// Requests are all of them, by verb and resource.
	Requests map[string]int
	// Memory is in MiB, at the end.
	Memory float64
	// CPU is the share of one processor that it took.
	CPU float64
}

// BeQuiet does nothing for a while and looks at what the operator did in it.
func BeQuiet(ctx context.Context, c *cluster.Cluster, o *Operator, span time.Duration) (Quiet, error) {
	log, err := beginAudit(c)
	if err != nil {
		return Quiet{}, err
	}
	before, err := o.Counters(ctx)
	if err != nil {
		return Quiet{}, err
	}
	if err := sleep(ctx, span); err != nil {
		return Quiet{}, err
	}
	after, err := o.Counters(ctx)
	if err != nil {
		return Quiet{}, err
	}
	memory, err := o.Memory()
	if err != nil {
		return Quiet{}, err
	}
	requests, err := log.requests()
	if err != nil {
		return Quiet{}, err
	}
	q := Quiet{Requests: map[string]int{}, Memory: memory.Now, CPU: (after.CPU - before.CPU).Seconds() / span.Seconds()}
	disturbing := 0
	for _, r := range requests {
		q.Requests[r.Verb+" "+r.ObjectRef.Resource]++
		if !allowedInQuiet(r) {
			disturbing++
		}
	}
	q.PerMinute = math.Round(float64(disturbing)*60/span.Seconds()*10) / 10
	if q.Requests["update leases"] == 0 && span >= 10*time.Second {
		return q, fmt.Errorf("the audit log shows no renewal of the lease: it does not show what the operator does")
	}
	return q, nil
}

// allowedInQuiet tells whether an operator with nothing to do may make a request.
func allowedInQuiet(r request) bool {
	return r.Verb == "watch" || r.ObjectRef.Resource == "leases" && (r.Verb == "get" || r.Verb == "update")
}
