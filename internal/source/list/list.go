// Package list feeds an inventory from an API server by one list of each resource. It only reads.
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

// Read feeds an inventory by one paged list of each resource. What the caller may not read is no error, and neither is what does not answer:
// the inventory knows. An API server that does not answer at all is one.
func Read(ctx context.Context, clients source.Clients, i *inventory.Inventory, instances []rule.Instance) error {
	version, err := clients.Typed.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("the API server does not answer: %w", err)
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

// Definitions reads the PlatformComponents that are applied to a cluster. A cluster without the kind has none.
func Definitions(ctx context.Context, clients source.Clients) ([]*v1alpha1.PlatformComponent, error) {
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
func Profiles(ctx context.Context, clients source.Clients, selector string) ([]*v1alpha1.PlatformProfile, error) {
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
