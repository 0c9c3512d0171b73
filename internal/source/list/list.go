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
	var definitions []*v1alpha1.PlatformComponent
	client := clients.Dynamic.Resource(v1alpha1.GroupVersion.WithResource("platformcomponents"))
	page, err := client.List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read PlatformComponents: %w", err)
	}
	err = page.EachListItem(func(object runtime.Object) error {
		definition := &v1alpha1.PlatformComponent{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.(*unstructured.Unstructured).Object, definition); err != nil {
			return err
		}
		definitions = append(definitions, definition)
		return nil
	})
	return definitions, err
}

// Profiles returns the PlatformProfiles of a cluster that match a label selector.
func Profiles(ctx context.Context, clients source.Clients, selector string) ([]*v1alpha1.PlatformProfile, error) {
	client := clients.Dynamic.Resource(v1alpha1.GroupVersion.WithResource("platformprofiles"))
	page, err := client.List(ctx, metav1.ListOptions{LabelSelector: selector})
	if apierrors.IsNotFound(err) {
		return nil, errors.New("the kind PlatformProfile is not installed in the cluster: install the operator, or name a file with -f")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read PlatformProfiles: %w", err)
	}
	var profiles []*v1alpha1.PlatformProfile
	err = page.EachListItem(func(object runtime.Object) error {
		profile := &v1alpha1.PlatformProfile{}
		profiles = append(profiles, profile)
		return runtime.DefaultUnstructuredConverter.FromUnstructured(object.(*unstructured.Unstructured).Object, profile)
	})
	return profiles, err
}
