package observe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// pageSize is how many objects a page of a list holds, once or before a watch: it bounds what is in memory of it at once.
const pageSize = 500

// Once feeds an inventory from an API server by one paged list of each kind and of each resource that rules read. What the caller
// may not see is out of sight and no error; an API server that does not answer at all is one.
func Once(ctx context.Context, clients Clients, i *inventory.Inventory, instances []rule.Instance) error {
	version, err := clients.Typed.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("the API server does not answer: %w", err)
	}
	i.Feed(catalog.APIServerSource).Replace([]facts.Fact{facts.APIServerOf(version.GitVersion)})
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	taken, read := map[string]*consumers{}, map[string]kind{}
	take := func(k kind, name string) *consumers {
		if taken[name] == nil {
			taken[name] = &consumers{}
		}
		read[name] = k
		return taken[name]
	}
	for _, k := range kinds() {
		take(k, k.resource.String()).facts = &factConsumer{feed: i.Feed(k.resource.String())}
	}
	for _, c := range i.Catalog().ConfigMaps() {
		name := catalog.ConfigMapSource(c.Namespace, c.Name)
		take(configMap(c), name).facts = &factConsumer{feed: i.Feed(name)}
	}
	for name, source := range rulesBySource(instances, i.Rules) {
		take(source.kind, name).rules = source.rules
	}
	for name, k := range read {
		group.Go(func() error { return readOnce(ctx, clients, k, taken[name]) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	i.Rules.SetInstances(instances)
	i.Rules.Flush()
	return nil
}

func readOnce(ctx context.Context, clients Clients, k kind, s sink) error {
	err := list(ctx, clients, k, s)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errNotServed) || apierrors.IsNotFound(err):
		s.lose(facts.NotServed, "")
	case apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err):
		s.lose(facts.Unreadable, refused(k.resource, k.name()))
	default:
		s.lose(facts.Unreadable, unanswered(k.name(), time.Now(), err.Error()))
	}
	return nil
}

func list(ctx context.Context, clients Clients, k kind, s sink) error {
	gvr := schema.GroupVersionResource{}
	if k.optional {
		var err error
		if gvr, err = serve(ctx, clients, k.resource); err != nil {
			return err
		}
	}
	reader := k.by(clients, gvr)
	var all []any
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := reader.ListWithContext(ctx, options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" {
			// The snapshot that the pages come from is compacted: begin again, in one piece.
			all, options = nil, metav1.ListOptions{}
			continue
		}
		if err != nil {
			return err
		}
		if err := meta.EachListItem(page, func(object runtime.Object) error {
			stripped, err := s.Transformer()(object)
			all = append(all, stripped)
			return err
		}); err != nil {
			return err
		}
		next, err := meta.ListAccessor(page)
		if err != nil {
			return err
		}
		if next.GetContinue() == "" {
			return s.Replace(all, "")
		}
		options.Continue = next.GetContinue()
	}
}

// Definitions reads the PlatformComponents that are applied to a cluster. A cluster without the kind has none.
func Definitions(ctx context.Context, clients Clients) ([]*v1alpha1.PlatformComponent, error) {
	var found []*v1alpha1.PlatformComponent
	client := clients.Dynamic.Resource(v1alpha1.GroupVersion.WithResource("platformcomponents"))
	page, err := client.List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's PlatformComponents: %w", err)
	}
	err = page.EachListItem(func(object runtime.Object) error {
		definition := &v1alpha1.PlatformComponent{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.(*unstructured.Unstructured).Object, definition); err != nil {
			return err
		}
		found = append(found, definition)
		return nil
	})
	return found, err
}

// Profiles reads the PlatformProfiles of a cluster, by a label selector where it is not empty.
func Profiles(ctx context.Context, clients Clients, selector string) ([]*v1alpha1.PlatformProfile, error) {
	page, err := clients.Dynamic.Resource(v1alpha1.GroupVersion.WithResource("platformprofiles")).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if apierrors.IsNotFound(err) {
		return nil, errors.New("the cluster does not know PlatformProfiles: install the operator, or give a profile's file with -f")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's PlatformProfiles: %w", err)
	}
	var found []*v1alpha1.PlatformProfile
	err = page.EachListItem(func(object runtime.Object) error {
		profile := &v1alpha1.PlatformProfile{}
		found = append(found, profile)
		return runtime.DefaultUnstructuredConverter.FromUnstructured(object.(*unstructured.Unstructured).Object, profile)
	})
	return found, err
}
