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

// evaluateUntilConformant watches the cluster and evaluates the profiles when it changes, until all are conformant, one has an error in its
// spec, or the timeout expires. The profiles have the status of the last evaluation.
func (o *checkOptions) evaluateUntilConformant(ctx context.Context, profiles []*v1alpha1.PlatformProfile) error {
	klog.SetLogger(logr.Discard()) // the verdicts contain the errors, and a log would interfere with the progress
	clients, err := o.input.connect()
	if err != nil {
		return err
	}
	c, err := o.input.buildClusterCatalog(ctx, clients)
	if err != nil {
		return err
	}
	o.input.waivers = o.input.readClusterWaivers(ctx, clients)
	compiled, instances := compile(c, profiles)
	for n, profile := range profiles {
		if compiled[n], err = o.applyBaseline(profile.Name, compiled[n]); err != nil {
			return err
		}
	}
	i := inventory.New(c, time.Now)
	changed := i.Changes()
	sources := source.New(clients, i, logr.Discard())
	sources.Read(instances, c.NamedObjects())

	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = sources.Run(ctx) // only returns the error of its context
	}()
	defer func() {
		cancel()
		select {
		case <-done:
		case <-time.After(2 * time.Second): // a request may hang
		}
	}()

	p := newProgress(o.input.streams.ErrOut, o.timeout)
	defer p.clear()
	o.evaluateChanges(ctx, profiles, compiled, i, changed, p)
	return nil
}

// evaluateChanges evaluates the profiles on each change until isDecided or the context is done.
func (o *checkOptions) evaluateChanges(
	ctx context.Context, profiles []*v1alpha1.PlatformProfile, compiled []*conformance.Profile,
	i *inventory.Inventory, changed <-chan struct{}, p *progress,
) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var requeueAt time.Time // zero until all sources have synced
	evaluate := func() bool {
		now := time.Now()
		var transitions []conformance.Transition
		snapshot, wait := i.Snapshot(), time.Hour
		for n, profile := range profiles {
			waivers := o.profiles.waiversOf(profile.Name)
			result := conformance.Evaluate(compiled[n], snapshot, &profile.Status, profile.Generation, now, waivers...)
			profile.Status = result.Status
			transitions = append(transitions, result.Transitions...)
			wait = min(wait, result.RequeueAfter)
		}
		requeueAt = now.Add(wait)
		p.reportTransitions(profiles, transitions)
		return isDecided(profiles)
	}
	for {
		if i.HasSynced() && evaluate() {
			return
		}
		for isWaiting := true; isWaiting; {
			select {
			case <-ctx.Done():
				evaluate() // what was not read by now is Unknown
				return
			case <-changed:
				isWaiting = false
			case <-tick.C:
				p.redraw(profiles)
				isWaiting = requeueAt.IsZero() || time.Now().Before(requeueAt)
			}
		}
	}
}

// isDecided reports whether all profiles are conformant, or one has an error in its spec.
func isDecided(profiles []*v1alpha1.PlatformProfile) bool {
	for _, profile := range profiles {
		if meta.IsStatusConditionTrue(profile.Status.Conditions, v1alpha1.ConditionStalled) {
			return true
		}
	}
	return exitError(profiles) == nil
}
