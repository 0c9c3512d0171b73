package cli

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/klog/v2"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/source"
)

// evaluateUntilConformant watches the cluster and evaluates when it changes, until all profiles are conformant, one of them never can be, or
// the time is over. The profiles then hold the status that was found last.
func (o *checkOptions) evaluateUntilConformant(ctx context.Context, profiles []*v1alpha1.PlatformProfile) error {
	klog.SetLogger(logr.Discard()) // what cannot be seen is said by the verdicts, and a log would run into the progress
	clients, err := o.input.connect()
	if err != nil {
		return err
	}
	c, err := o.input.buildClusterCatalog(ctx, clients)
	if err != nil {
		return err
	}
	compiled, instances := compile(c, profiles)
	found := inventory.New(c, time.Now)
	changed := found.Changes()
	sources := source.New(clients, found, logr.Discard())
	sources.Read(instances, c.ConfigMaps())

	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = sources.Run(ctx) // it ends with its context, and with no other error
	}()
	defer func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(2 * time.Second): // a request that hangs must not hold the command up
		}
	}()

	shown := newProgress(o.input.streams.ErrOut, o.timeout)
	defer shown.clear()
	evaluateChanges(ctx, profiles, compiled, found, changed, shown)
	return nil
}

// evaluateChanges evaluates until it is decided or the time is over.
func evaluateChanges(ctx context.Context, profiles []*v1alpha1.PlatformProfile, compiled []*conformance.Profile, found *inventory.Inventory, changed <-chan struct{}, shown *progress) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var again time.Time // when time alone changes an outcome; zero until everything has synced
	evaluate := func() bool {
		now := time.Now()
		var transitions []conformance.Transition
		snapshot, wait := found.Snapshot(), time.Hour
		for i, profile := range profiles {
			result := conformance.Evaluate(compiled[i], snapshot, &profile.Status, profile.Generation, now)
			profile.Status = result.Status
			transitions = append(transitions, result.Transitions...)
			wait = min(wait, result.RequeueAfter)
		}
		again = now.Add(wait)
		shown.reportTransitions(profiles, transitions)
		return isDecided(profiles)
	}
	for {
		if found.HasSynced() && evaluate() {
			return
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				evaluate() // what was not looked at by now is Unknown
				return
			case <-changed:
				waiting = false
			case <-tick.C:
				shown.redraw(profiles)
				waiting = again.IsZero() || time.Now().Before(again)
			}
		}
	}
}

// isDecided tells whether waiting is over: all profiles are conformant, or one has a mistake that no waiting mends.
func isDecided(profiles []*v1alpha1.PlatformProfile) bool {
	for _, profile := range profiles {
		if meta.IsStatusConditionTrue(profile.Status.Conditions, v1alpha1.ConditionStalled) {
			return true
		}
	}
	return exitError(profiles) == nil
}
