package fill

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// touch asks once for every custom resource. The API server begins to cache a resource when it is first asked for, and
// sends those away that come before it has: in a cluster whose garbage collector runs, all of them are cached.
func (f *filler) touch(ctx context.Context) error {
	resource := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	crds, err := f.Dynamic.Resource(resource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var resources []schema.GroupVersionResource
	for _, crd := range crds.Items {
		group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
		plural, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "plural")
		versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
		for _, version := range versions {
			if fields, ok := version.(map[string]any); ok && fields["served"] == true {
				name, _ := fields["name"].(string)
				resources = append(resources, schema.GroupVersionResource{Group: group, Version: name, Resource: plural})
			}
		}
	}
	begun := time.Now()
	defer func() {
		f.say(fmt.Sprintf("%d custom resources are in the API server's cache after %.1f s", len(resources), time.Since(begun).Seconds()))
	}()
	return Each(ctx, len(resources), func(ctx context.Context, i int) error {
		// The client waits as long as it is told to when it is sent away.
		_, err := f.Dynamic.Resource(resources[i]).List(ctx, metav1.ListOptions{Limit: 1, ResourceVersion: "0"})
		if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
			f.say(fmt.Sprintf("%s does not answer: %.150s", resources[i].GroupResource(), err))
		}
		return ctx.Err()
	})
}
