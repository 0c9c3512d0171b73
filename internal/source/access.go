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

// An open watch outlives the permission for it: the API server checks when a request begins. So the metadata of cluster roles and their
// bindings is watched, and when one changes the operator asks whether it still may.
var accessResources = []string{"clusterroles", "clusterrolebindings"}

// reviewDelays are how long after a change to ask. The authorizer learns of it by a watch of its own, a moment later or
// earlier than the operator does.
var reviewDelays = []time.Duration{30 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second}

// leastBetweenReviews bounds the cost of a cluster whose roles change all the time.
const leastBetweenReviews = 250 * time.Millisecond

// reviewAccess asks, whenever roles or bindings change, what the operator may read.
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
				// Another change: the reviews start over, but not so soon that they never get on.
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

// review says to each source whether it may be listed and watched.
func (s *Sources) review(ctx context.Context) {
	for _, w := range s.all() {
		allowed, err := s.mayRead(ctx, w.kind)
		switch {
		case err != nil:
			s.log.V(1).Info("could not review access", "source", w.name, "error", err.Error())
			return // the API server does not answer: the next change, or the watches themselves, will show
		case allowed:
			w.post(AccessGranted)
		default:
			w.post(AccessDenied)
		}
	}
}

// mayRead asks whether the operator may list and watch a kind.
func (s *Sources) mayRead(ctx context.Context, k kind) (bool, error) {
	for _, verb := range []string{"list", "watch"} {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: verb, Group: k.resource.Group, Resource: k.resource.Resource, Namespace: k.configMap.Namespace, Name: k.configMap.Name,
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

// changeNotifier is a consumer that keeps nothing, and rings when something changes after the first list. Another list means that the watch broke,
// and nobody knows what changed meanwhile.
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

func (b *changeNotifier) lose(facts.SourceState, string) {}
func (b *changeNotifier) close()                         {}
