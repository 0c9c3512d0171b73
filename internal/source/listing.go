package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"

	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Listing is a source that is listed once.
type Listing struct {
	kind      kind
	consumers *consumers
}

// Listings returns what is to be listed for an inventory and for instances of rules: each resource once.
func Listings(i *inventory.Inventory, instances []rule.Instance) []Listing {
	listings := map[string]*Listing{}
	listing := func(k kind, name string) *consumers {
		if listings[name] == nil {
			listings[name] = &Listing{consumers: &consumers{}}
		}
		listings[name].kind = k
		return listings[name].consumers
	}
	for _, k := range facts.Kinds() {
		listing(kindOf(k), k.SourceName()).facts = &factConsumer{source: i.Source(k.SourceName())}
	}
	for _, object := range i.Catalog().NamedObjects() {
		name := object.Source()
		listing(kindOfObject(object), name).facts = &factConsumer{source: i.Source(name)}
	}
	for name, source := range rulesBySource(instances, i.Rules) {
		listing(source.kind, name).rules = source.rules
	}
	all := make([]Listing, 0, len(listings))
	for _, one := range listings {
		all = append(all, *one)
	}
	return all
}

// List lists the resource, and hands what came of it to the inventory and to the rules: the objects, or why they cannot be read. It returns
// an error only where the context ends.
func (r Listing) List(ctx context.Context, clients Clients) error {
	gvr, err := r.kind.resolve(ctx, clients)
	var found []*stripped
	if err == nil {
		found, _, err = list(ctx, r.kind.client(clients, gvr), r.consumers.strip, func() {})
	}
	switch {
	case err == nil:
		r.consumers.replace(found)
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		state := facts.Failing
		switch eventTypeOf(err) {
		case FoundNotServed, FoundNothing:
			state = facts.NotServed
		case Refused:
			state = facts.Forbidden
		default:
		}
		r.consumers.setState(state, r.kind.reason(state, time.Now(), err.Error()))
	}
	return nil
}

// EachObject calls do with each object of a resource, page by page. It calls nothing if the resource is not served.
func EachObject(ctx context.Context, clients Clients, resource rule.Resource, do func(*unstructured.Unstructured)) error {
	gvr, err := discover(ctx, clients, resource)
	if errors.Is(err, errNotServed) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", resource, err)
	}
	list := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return clients.Dynamic.Resource(gvr).List(ctx, options)
	})
	err = list.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		do(object.(*unstructured.Unstructured))
		return nil
	})
	switch {
	case apierrors.IsForbidden(err):
		return errors.New(forbiddenReason(resource, resource.String()))
	case err != nil:
		return fmt.Errorf("cannot read %s: %w", resource, err)
	}
	return nil
}
