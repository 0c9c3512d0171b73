// Package list loads the objects of a cluster into an inventory by one list of each resource, in place of watches.
package list

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
	"github.com/platformprofile/platformprofile/internal/source"
)

// Read lists each resource page by page into an inventory, and evaluates the instances of rules. Sources that cannot be read are not an
// error: the inventory has their states. It returns an error if the API server does not respond.
func Read(ctx context.Context, clients source.Clients, i *inventory.Inventory, instances []rule.Instance) error {
	version, err := clients.Typed.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("the API server does not respond: %w", err)
	}
	i.Source(catalog.APIServerSource).Replace([]facts.Fact{facts.NewAPIServer(version.GitVersion)})
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, listing := range source.Listings(i, instances) {
		group.Go(func() error { return listing.List(ctx, clients) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	i.Rules.SetInstances(instances)
	i.Rules.Flush()
	return nil
}

// Definitions returns the PlatformComponents of a cluster; none if the kind is not installed.
func Definitions(ctx context.Context, clients source.Clients) ([]*v1alpha1.PlatformComponent, error) {
	definitions, _, err := listKind[v1alpha1.PlatformComponent](ctx, clients, "platformcomponents", "PlatformComponents", "")
	return definitions, err
}

// Waivers returns the PlatformWaivers of a cluster; none if the kind is not installed.
func Waivers(ctx context.Context, clients source.Clients) ([]*v1alpha1.PlatformWaiver, error) {
	waivers, _, err := listKind[v1alpha1.PlatformWaiver](ctx, clients, "platformwaivers", "PlatformWaivers", "")
	return waivers, err
}

// Profiles returns the PlatformProfiles of a cluster that match a label selector.
func Profiles(ctx context.Context, clients source.Clients, selector string) ([]*v1alpha1.PlatformProfile, error) {
	profiles, isServed, err := listKind[v1alpha1.PlatformProfile](ctx, clients, "platformprofiles", "PlatformProfiles", selector)
	if err == nil && !isServed {
		err = errors.New("the kind PlatformProfile is not installed in the cluster: install the operator, or name a file with -f")
	}
	return profiles, err
}

// listKind lists the objects of one kind of this project. isServed is false if the kind is not installed.
func listKind[T any](
	ctx context.Context, clients source.Clients, resource, kind, selector string,
) (objects []*T, isServed bool, err error) {
	client := clients.Dynamic.Resource(v1alpha1.GroupVersion.WithResource(resource))
	page, err := client.List(ctx, metav1.ListOptions{LabelSelector: selector})
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("cannot read %s: %w", kind, err)
	}
	err = page.EachListItem(func(object runtime.Object) error {
		decoded := new(T)
		objects = append(objects, decoded)
		return runtime.DefaultUnstructuredConverter.FromUnstructured(object.(*unstructured.Unstructured).Object, decoded)
	})
	return objects, true, err
}
