package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
	"github.com/platformprofile/platformprofile/internal/text"
)

// errNotServed means that the cluster does not serve the resource, so that no object of it can exist.
var errNotServed = errors.New("the cluster does not serve the resource")

// discover returns the resource with the requested version, or with the preferred version of the API server. It reads a single group, so
// that a failing aggregated API does not affect other groups.
func discover(ctx context.Context, c Clients, resource rule.Resource) (schema.GroupVersionResource, error) {
	if resource.Group == "" {
		return schema.GroupVersionResource{Version: "v1", Resource: resource.Resource}, nil
	}
	client := c.Typed.Discovery().RESTClient()
	group := &metav1.APIGroup{}
	if err := client.Get().AbsPath("/apis", resource.Group).Do(ctx).Into(group); err != nil {
		return schema.GroupVersionResource{}, notServed(err)
	}
	versions := []string{resource.Version}
	if resource.Version == "" {
		versions = []string{group.PreferredVersion.Version}
		for _, version := range group.Versions {
			if version.Version != group.PreferredVersion.Version {
				versions = append(versions, version.Version)
			}
		}
	}
	for _, version := range versions {
		list := &metav1.APIResourceList{}
		if err := client.Get().AbsPath("/apis", resource.Group, version).Do(ctx).Into(list); err != nil {
			if apierrors.IsNotFound(err) {
				continue
			}
			return schema.GroupVersionResource{}, err
		}
		for _, served := range list.APIResources {
			if served.Name == resource.Resource {
				return schema.GroupVersionResource{Group: resource.Group, Version: version, Resource: resource.Resource}, nil
			}
		}
	}
	return schema.GroupVersionResource{}, errNotServed
}

// ServedResources returns the names of the resources that the cluster serves in a group and version; none if it serves no such version.
func ServedResources(c Clients, version schema.GroupVersion) (map[string]bool, error) {
	served := map[string]bool{}
	list, err := c.Typed.Discovery().ServerResourcesForGroupVersion(version.String())
	if apierrors.IsNotFound(err) {
		return served, nil
	}
	if err != nil {
		return served, fmt.Errorf("cannot read the resources of %s: %w", version, err)
	}
	for _, resource := range list.APIResources {
		served[resource.Name] = true
	}
	return served, nil
}

func notServed(err error) error {
	if apierrors.IsNotFound(err) {
		return errNotServed
	}
	return err
}

// reason returns why a source in a state cannot be read; empty if it can, or if it is not served. since and cause are those of a failure.
func (k kind) reason(state facts.SourceState, since time.Time, cause string) string {
	switch state {
	case facts.Forbidden:
		return forbiddenReason(k.resource, k.name())
	case facts.Failing:
		return failingReason(k.name(), since, cause)
	default:
		return ""
	}
}

// forbiddenReason returns the message for a source that is Forbidden.
func forbiddenReason(resource rule.Resource, source string) string {
	group := resource.Group
	if group == "" {
		group = `""`
	}
	return fmt.Sprintf("cannot read %s: permission to list and watch is missing; grant the verbs list and watch on the resource %s of the API group %s", source, resource.Resource, group)
}

// failingReason returns the message for a source that is Failing.
func failingReason(source string, since time.Time, cause string) string {
	const enough = 200 // bytes of the cause
	return fmt.Sprintf("cannot read %s: the API server has not answered since %s: %s; check that it is ready (kubectl get --raw /readyz?verbose) and, for an aggregated API, that its APIService is Available (kubectl get apiservices)",
		source, since.UTC().Format(time.RFC3339), text.Truncate(cause, enough))
}
