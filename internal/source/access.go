package source

import (
	"context"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// accessResources are watched because an open watch continues after its permission is revoked: the API server authorizes only the request.
// After a change of a role or binding, the operator reviews its own access.
var accessResources = []string{"clusterroles", "clusterrolebindings"}

// reviewDelays are the times of the reviews after a change. The authorizer has its own watch, which may be later than the operator's.
var reviewDelays = []time.Duration{30 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second}

// leastBetweenReviews limits the reviews in a cluster whose roles change continually.
const leastBetweenReviews = 250 * time.Millisecond

// reviewAccess reviews the operator's access when roles or bindings change, until the context is done.
func (s *Sources) reviewAccess(ctx context.Context) {
	changed := make(chan struct{}, 1)
	for _, resource := range accessResources {
		k := kind{resource: rule.Resource{Group: rbacv1.GroupName, Resource: resource}, version: "v1", metadataOnly: true}
		w := newSource(k, k.name(), s.clients, &changeNotifier{ring: changed}, facts.Pending, func() {})
		s.wg.Go(func() { w.run(ctx) })
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
				// Another change restarts the reviews.
				if i > 0 {
					i = 0
				}
			case <-time.After(max(delay, 0)):
				s.review(ctx)
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

// review sends AccessGranted or AccessDenied to each source.
func (s *Sources) review(ctx context.Context) {
	for _, w := range s.list() {
		allowed, err := s.mayRead(ctx, w.kind)
		switch {
		case err != nil:
			s.log.V(1).Info("could not review access", "source", w.name, "error", err.Error())
			return // the API server does not answer: the next change, or a failing watch, has the result
		case allowed:
			w.post(AccessGranted)
		default:
			w.post(AccessDenied)
		}
	}
}

// mayRead reports whether the operator may list and watch a kind.
func (s *Sources) mayRead(ctx context.Context, k kind) (bool, error) {
	for _, verb := range []string{"list", "watch"} {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: verb, Group: k.resource.Group, Resource: k.resource.Resource, Namespace: k.object.Namespace, Name: k.object.Name,
			},
		}}
		answer, err := s.clients.Typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		if !answer.Status.Allowed {
			return false, nil
		}
	}
	return true, nil
}

// changeNotifier is a consumer that signals changes after the first list, and stores nothing. A later list is a change too: the watch was
// interrupted, and events may be lost.
type changeNotifier struct {
	ring     chan struct{}
	isListed bool
}

func (b *changeNotifier) strip(any) (*stripped, error) { return &stripped{}, nil }

func (b *changeNotifier) replace([]*stripped) {
	if b.isListed {
		b.notify()
	}
	b.isListed = true
}

func (b *changeNotifier) put(*stripped)    { b.notify() }
func (b *changeNotifier) remove(*stripped) { b.notify() }

func (b *changeNotifier) notify() {
	select {
	case b.ring <- struct{}{}:
	default:
	}
}

func (b *changeNotifier) setState(facts.SourceState, string) {}
func (b *changeNotifier) close()                             {}
