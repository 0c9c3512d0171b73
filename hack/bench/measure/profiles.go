package measure

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/hack/bench/fill"
)

// View is what a profile's status says, and when that was first seen.
type View struct {
	// Current says that the status is about the present spec.
	Current bool
	// Verdicts are by the names of requirements.
	Verdicts map[string]v1alpha1.Verdict
	// Unknown are the messages of the verdicts that are Unknown.
	Unknown []string
	// Since is when the status was first seen with these verdicts.
	Since time.Time
}

// Profiles is a watch of all profiles, as a user's kubectl would have it.
type Profiles struct {
	mu      sync.Mutex
	views   map[string]*View
	arrived func(name string, v *View, at time.Time)
	changed chan struct{}
}

// Watch watches the profiles until the context ends.
func Watch(ctx context.Context, c client.WithWatch) (*Profiles, error) {
	p := &Profiles{views: map[string]*View{}, changed: make(chan struct{}, 1)}
	if err := p.watch(ctx, c); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Profiles) watch(ctx context.Context, c client.WithWatch) error {
	list := &v1alpha1.PlatformProfileList{}
	if err := c.List(ctx, list); err != nil {
		return err
	}
	for i := range list.Items {
		p.take(&list.Items[i], time.Now())
	}
	events, err := c.Watch(ctx, &v1alpha1.PlatformProfileList{}, &client.ListOptions{Raw: afterList(list.ResourceVersion)})
	if err != nil {
		return err
	}
	go func() {
		defer events.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case event, ok := <-events.ResultChan():
				if !ok {
					// The API server ends every watch after a while.
					if err := p.watch(ctx, c); err != nil && ctx.Err() == nil {
						time.Sleep(100 * time.Millisecond)
						continue
					}
					return
				}
				if profile, is := event.Object.(*v1alpha1.PlatformProfile); is {
					p.take(profile, time.Now())
				}
			}
		}
	}()
	return nil
}

// take takes in a profile that arrived.
func (p *Profiles) take(profile *v1alpha1.PlatformProfile, at time.Time) {
	view := &View{
		Current: profile.Status.ObservedGeneration == profile.Generation &&
			meta.IsStatusConditionTrue(profile.Status.Conditions, v1alpha1.ConditionReady),
		Verdicts: map[string]v1alpha1.Verdict{},
		Since:    at,
	}
	for _, layer := range profile.Status.Layers {
		for _, requirement := range layer.Requirements {
			view.Verdicts[requirement.Name] = requirement.Verdict
			if requirement.Verdict == v1alpha1.VerdictUnknown {
				view.Unknown = append(view.Unknown, requirement.Name+": "+requirement.Message)
			}
		}
	}
	p.mu.Lock()
	if before := p.views[profile.Name]; before != nil && before.Current == view.Current && maps.Equal(before.Verdicts, view.Verdicts) {
		view.Since = before.Since
	}
	p.views[profile.Name] = view
	arrived := p.arrived
	p.mu.Unlock()
	if arrived != nil {
		arrived(profile.Name, view, at)
	}
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// onArrival has a function called for every status that arrives from now on; nil for none.
func (p *Profiles) onArrival(do func(name string, v *View, at time.Time)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrived = do
}

// Views are the profiles as they were last seen.
func (p *Profiles) Views() map[string]*View {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.views)
}

// await waits until every profile is as wanted.
func (p *Profiles) await(ctx context.Context, patience time.Duration, what string, right func(name string, v *View) bool) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		wrong := ""
		for name, view := range p.Views() {
			if !right(name, view) {
				wrong = name
			}
		}
		if wrong == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return fmt.Errorf("after %s %s is not %s", patience, wrong, what)
		case <-p.changed:
		}
	}
}

// own tells whether the verdict on all of a profile's own components is this one.
func own(v *View, profile int, verdict v1alpha1.Verdict) bool {
	for n := range fill.OwnComponents {
		if v.Verdicts[fill.ComponentName(profile*fill.OwnComponents+n)] != verdict {
			return false
		}
	}
	return true
}

// allOwn is a condition for await: that every profile has this verdict on its own components.
func allOwn(scale *fill.Scale, verdict v1alpha1.Verdict) func(string, *View) bool {
	number := map[string]int{}
	for i := range scale.Profiles {
		number[fill.ProfileName(i)] = i
	}
	return func(name string, v *View) bool {
		i, known := number[name]
		return !known || v.Current && own(v, i, verdict)
	}
}
