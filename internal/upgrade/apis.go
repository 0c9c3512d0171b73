package upgrade

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
)

// API is a built-in API that Kubernetes removes.
type API struct {
	schema.GroupVersionKind
	// Resource is the plural name of the resource.
	Resource string
	// RemovedIn is the first version of Kubernetes that does not serve the API.
	RemovedIn *semver.Version
	// Replacement is the API that replaces it; empty if there is none.
	Replacement schema.GroupVersionKind
}

// removedAPIs are all APIs with a removal in the API lifecycle of k8s.io/api, by kind.
var removedAPIs = sync.OnceValue(func() map[schema.GroupVersionKind]API {
	apis := map[schema.GroupVersionKind]API{}
	for kind, goType := range clientscheme.Scheme.AllKnownTypes() {
		object := reflect.New(goType).Interface()
		removed, ok := object.(interface{ APILifecycleRemoved() (major, minor int) })
		if !ok || strings.HasSuffix(kind.Kind, "List") {
			continue
		}
		major, minor := removed.APILifecycleRemoved()
		if major == 0 {
			continue
		}
		resource, _ := meta.UnsafeGuessKindToResource(kind)
		api := API{GroupVersionKind: kind, Resource: resource.Resource, RemovedIn: semver.New(uint64(major), uint64(minor), 0, "", "")}
		if replaced, ok := object.(interface {
			APILifecycleReplacement() schema.GroupVersionKind
		}); ok {
			api.Replacement = replaced.APILifecycleReplacement()
		}
		apis[kind] = api
	}
	return apis
})

// apisRemoved returns the APIs that a version of Kubernetes no longer serves, sorted.
func apisRemoved(version *semver.Version) []API {
	var apis []API
	for _, api := range removedAPIs() {
		if !api.RemovedIn.GreaterThan(version) {
			apis = append(apis, api)
		}
	}
	slices.SortFunc(apis, func(a, b API) int { return strings.Compare(a.String(), b.String()) })
	return apis
}

// version returns the group and version as in an object, for example "apps/v1".
func (a API) version() string { return a.GroupVersion().String() }

// advice returns what to use instead.
func (a API) advice() string {
	if a.Replacement.Empty() {
		return "Kubernetes has no replacement: remove what uses it"
	}
	return "use " + a.Replacement.GroupVersion().String() + " " + a.Replacement.Kind + " instead"
}
