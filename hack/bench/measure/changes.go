package measure

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/hack/bench/fill"
)

// Changed is how changes reached statuses.
type Changed struct {
	// Times are those from just before a write until a watch of profiles showed the verdict.
	Times []time.Duration
	// Writes are those until the API server had answered a write.
	Writes []time.Duration
	// Rate is how many changes a second there really were.
	Rate float64
	Cost
}

// flight is a change that was written, or is being written, and not yet seen.
type flight struct {
	begun time.Time
	want  v1alpha1.Verdict
}

// changer flips Deployments of custom components one after the other, each component only once its last change was seen.
type changer struct {
	mu      sync.Mutex
	flying  map[int]flight
	idle    []int
	broken  map[int]bool // the components that are not available now
	times   []time.Duration
	writes  []time.Duration
	refused error
}

// MakeChanges makes so many changes a second for a while. Each flips one Deployment of a custom component between
// available and not. They do not wait for each other: an operator that is slow is not spared.
func MakeChanges(
	ctx context.Context, clients *fill.Clients, o *Operator, p *Profiles, scale *fill.Scale, rate float64, span time.Duration,
) (Changed, error) {
	before, err := o.Counters(ctx)
	if err != nil {
		return Changed{}, err
	}
	c := &changer{flying: map[int]flight{}, broken: map[int]bool{}}
	random := rand.New(rand.NewPCG(1, 2))
	c.idle = random.Perm(scale.Profiles * fill.OwnComponents)
	p.onArrival(c.arrived)
	defer p.onArrival(nil)

	var writes sync.WaitGroup
	begun, made := time.Now(), 0
	ticker := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer ticker.Stop()
	for time.Since(begun) < span && ctx.Err() == nil {
		<-ticker.C
		if component, available, ok := c.next(random); ok {
			made++
			writes.Go(func() { c.write(ctx, clients, component, available) })
		}
	}
	took := time.Since(begun)
	writes.Wait()
	if err := c.landed(ctx, 2*time.Minute); err != nil {
		return Changed{}, err
	}
	after, err := o.Counters(ctx)
	if err != nil {
		return Changed{}, err
	}
	if err := c.mend(ctx, clients, p, scale); err != nil {
		return Changed{}, err
	}
	return Changed{Times: c.times, Writes: c.writes, Rate: float64(made) / took.Seconds(), Cost: costOf(before, after, made)}, nil
}

// next takes an idle component, one of the longest idle half by chance, and notes that its change begins now.
func (c *changer) next(random *rand.Rand) (component int, available, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) == 0 {
		return 0, false, false
	}
	at := random.IntN(len(c.idle)/2 + 1)
	component = c.idle[at]
	c.idle = append(c.idle[:at], c.idle[at+1:]...)
	available = c.broken[component]
	c.broken[component] = !available
	want := v1alpha1.VerdictDegraded
	if available {
		want = v1alpha1.VerdictSatisfied
	}
	c.flying[component] = flight{begun: time.Now(), want: want}
	return component, available, true
}

// arrived notes which changes a status shows.
func (c *changer) arrived(profile string, v *View, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for component, change := range c.flying {
		if fill.Owner(component) == profile && v.Verdicts[fill.ComponentName(component)] == change.want {
			c.times = append(c.times, at.Sub(change.begun))
			delete(c.flying, component)
			c.idle = append(c.idle, component)
		}
	}
}

func (c *changer) write(ctx context.Context, clients *fill.Clients, component int, available bool) {
	begun := time.Now()
	err := flip(ctx, clients, component, 0, available)
	took := time.Since(begun)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes = append(c.writes, took)
	if err != nil && c.refused == nil {
		c.refused = err
	}
}

// landed waits until every change was seen.
func (c *changer) landed(ctx context.Context, patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; {
		c.mu.Lock()
		left, refused := len(c.flying), c.refused
		c.mu.Unlock()
		switch {
		case refused != nil:
			return refused
		case left == 0:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d changes are in no status %s after the last write", left, patience)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// mend makes everything available again.
func (c *changer) mend(ctx context.Context, clients *fill.Clients, p *Profiles, scale *fill.Scale) error {
	for component, broken := range c.broken {
		if broken {
			if err := flip(ctx, clients, component, 0, true); err != nil {
				return err
			}
		}
	}
	return p.await(ctx, 2*time.Minute, "mended", allOwn(scale, v1alpha1.VerdictSatisfied))
}

// flip makes one Deployment of a custom component available, or not.
func flip(ctx context.Context, clients *fill.Clients, component, member int, available bool) error {
	name := fill.MemberName(component, member)
	patch, err := fill.Flip(name, available)
	if err != nil {
		return err
	}
	deployments := clients.Typed.AppsV1().Deployments(fill.ComponentName(component))
	_, err = deployments.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("changing a Deployment: %w", err)
	}
	return nil
}
