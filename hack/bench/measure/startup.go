package measure

import (
	"context"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/hack/bench/fill"
)

// Startup is how an operator started.
type Startup struct {
	// Took is the time from the start of the process until every profile had the verdicts that it kept.
	Took time.Duration
	// Peak is the most memory that it took, in MiB.
	Peak float64
	// Unknown are the messages of verdicts that are Unknown, by requirement.
	Unknown []string
}

// AwaitStartup waits until every profile has a status and none changes its verdicts for a while. A status that is there
// early and wrong does not count: the time is that of the last change.
func AwaitStartup(ctx context.Context, o *Operator, p *Profiles, scale *fill.Scale, settle time.Duration) (Startup, error) {
	if err := p.await(ctx, 3*time.Minute, "evaluated", allOwn(scale, v1alpha1.VerdictSatisfied)); err != nil {
		return Startup{}, err
	}
	if err := sleep(ctx, settle); err != nil {
		return Startup{}, err
	}
	started := Startup{}
	said := map[string]bool{}
	for _, view := range p.Views() {
		started.Took = max(started.Took, view.Since.Sub(o.Started))
		for _, message := range view.Unknown {
			if !said[message] {
				said[message] = true
				started.Unknown = append(started.Unknown, message)
			}
		}
	}
	memory, err := o.Memory()
	started.Peak = memory.Peak
	return started, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
