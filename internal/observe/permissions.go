package observe

import (
	"context"
	"time"

	"github.com/platformprofile/platformprofile/internal/facts"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// An open watch outlives the permission for it: the API server asks only when a request begins. Without word of it an
// operator would go on saying Satisfied of what it may no longer see, until the watch ends by itself. So the metadata of
// cluster roles and their bindings is watched, and when one changes the operator asks whether it still may.
var permissionResources = []string{"clusterroles", "clusterrolebindings"}

// reviewDelays are how long after a change to ask. The authorizer learns of it by a watch of its own, a moment later or
// earlier than the operator does.
var reviewDelays = []time.Duration{30 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second}

// leastBetweenReviews bounds the cost of a cluster whose roles change all the time.
const leastBetweenReviews = 250 * time.Millisecond

// watchPermissions asks anew, whenever roles or bindings change, what the operator may see.
func (l *Live) watchPermissions(ctx context.Context) {
	changed := make(chan struct{}, 1)
	for _, resource := range permissionResources {
		k := byMetadata("rbac.authorization.k8s.io", "v1", resource)
		w := &watcher{live: l, kind: k, name: k.resource.String(), sink: &bell{ring: changed}, kicked: make(chan struct{}, 1)}
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			w.watch(ctx)
		}()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		for i := 0; i < len(reviewDelays); {
			delay := reviewDelays[i]
			if i > 0 {
				delay -= reviewDelays[i-1]
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
				// Another change: the reviews start over, but not so soon that they never get on.
				if i > 0 {
					i = 0
				}
			case <-time.After(max(delay, 0)):
				l.review(ctx)
				i++
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(leastBetweenReviews):
		}
	}
}

// review ends the watches that the operator may no longer hold, and retries those that were refused and now are not.
func (l *Live) review(ctx context.Context) {
	l.mu.Lock()
	watchers := make([]*watcher, 0, len(l.watchers))
	for _, w := range l.watchers {
		watchers = append(watchers, w)
	}
	l.mu.Unlock()
	for _, w := range watchers {
		allowed, err := l.may(ctx, w.kind)
		switch {
		case err != nil:
			l.log.V(1).Info("could not ask for permissions", "source", w.name, "error", err.Error())
			return // the API server does not answer: the next change or the watches themselves will tell
		case !allowed && w.isLooking():
			w.interrupt()
		case allowed && w.isRefused():
			w.kick()
		}
	}
}

// may asks whether the operator may list and watch a kind.
func (l *Live) may(ctx context.Context, k kind) (bool, error) {
	for _, verb := range []string{"list", "watch"} {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: verb, Group: k.resource.Group, Resource: k.resource.Resource, Namespace: k.only.Namespace, Name: k.only.Name,
			},
		}}
		answer, err := l.clients.Typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		if !answer.Status.Allowed {
			return false, nil
		}
	}
	return true, nil
}

// bell is a sink that keeps nothing and rings when something changes after the first look. Another look is because a watch
// broke off, and nobody knows what changed since.
type bell struct {
	nothing
	ring   chan struct{}
	looked bool
}

func (b *bell) Replace([]any, string) error {
	if b.looked {
		b.sound()
	}
	b.looked = true
	return nil
}

func (b *bell) Add(any) error    { b.sound(); return nil }
func (b *bell) Update(any) error { b.sound(); return nil }
func (b *bell) Delete(any) error { b.sound(); return nil }

func (b *bell) sound() {
	select {
	case b.ring <- struct{}{}:
	default:
	}
}

// nothing is the part of a sink that a bell has no use for.
type nothing struct{}

func (nothing) Transformer() cache.TransformFunc { return nil }
func (nothing) Resync() error                    { return nil }

func (nothing) lose(facts.SourceState, string) {}
func (nothing) close()                         {}
