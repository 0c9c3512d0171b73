package source

import (
	"context"
	"reflect"
	"strings"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// kind is a resource that is read, and how.
type kind struct {
	resource rule.Resource
	// version is empty if it must be discovered, because the cluster may serve another version or none.
	version string
	// metadataOnly is true if facts need only the metadata of the objects.
	metadataOnly bool
	// fields are the fields that rules read; nil without rules.
	fields *rule.Fields
	// object is the only object that is read; empty if all of the resource are.
	object catalog.NamedObject
}

// Resources returns the resources that facts are extracted from. They are read independently of the catalog and the profiles.
func Resources() []rule.Resource {
	kinds := facts.Kinds()
	all := make([]rule.Resource, 0, len(kinds))
	for _, k := range kinds {
		all = append(all, rule.Resource{Group: k.Group, Resource: k.Resource})
	}
	return all
}

// kindOf returns the kind for the facts of a facts.Kind.
func kindOf(k facts.Kind) kind {
	return kind{resource: rule.Resource{Group: k.Group, Resource: k.Resource}, version: k.Version, metadataOnly: k.IsMetadataOnly()}
}

// kindOfObject returns the kind for a single object.
func kindOfObject(o catalog.NamedObject) kind {
	if o.Kind == catalog.KindLease {
		return kind{resource: rule.Resource{Group: "coordination.k8s.io", Resource: "leases"}, version: "v1", object: o}
	}
	return kind{resource: rule.Resource{Resource: "configmaps"}, version: "v1", object: o}
}

// kindOfResource returns the kind for a resource that rules read, and the name of its source. It is the source of the facts if facts are
// extracted from the resource in this version.
func kindOfResource(resource rule.Resource) (kind, string) {
	for _, k := range facts.Kinds() {
		if k.Group == resource.Group && k.Resource == resource.Resource && (resource.Version == "" || resource.Version == k.Version) {
			return kindOf(k), k.SourceName()
		}
	}
	return kind{resource: resource}, strings.TrimSuffix(resource.String()+"/"+resource.Version, "/")
}

// isSingle reports whether a single object is read.
func (k kind) isSingle() bool { return k.object != (catalog.NamedObject{}) }

// name returns the name of the source in messages.
func (k kind) name() string {
	if k.isSingle() {
		return k.object.Source()
	}
	return k.resource.String()
}

// resolve returns the resource with the version to read. It returns errNotServed if the cluster serves no version.
func (k kind) resolve(ctx context.Context, c Clients) (schema.GroupVersionResource, error) {
	if k.version != "" {
		return schema.GroupVersionResource{Group: k.resource.Group, Version: k.version, Resource: k.resource.Resource}, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, errNoAnswer)
	defer cancel()
	gvr, err := discover(ctx, c, k.resource)
	return gvr, causeOf(ctx, err)
}

// client returns the ListWatch of the resource. Built-in resources are encoded as protobuf, which costs a fraction of JSON, if their Go
// types have all fields that rules read.
func (k kind) client(c Clients, gvr schema.GroupVersionResource) *cache.ListWatch {
	known, isBuiltin := builtins()[gvr]
	switch {
	case k.isSingle() && k.object.Kind == catalog.KindLease:
		return listWatch(single[*coordinationv1.LeaseList]{c.Typed.CoordinationV1().Leases(k.object.Namespace), k.object.Name})
	case k.isSingle():
		return listWatch(single[*corev1.ConfigMapList]{c.Typed.CoreV1().ConfigMaps(k.object.Namespace), k.object.Name})
	case k.metadataOnly && k.fields == nil:
		return listWatch(c.Metadata.Resource(gvr))
	case isBuiltin && (k.fields == nil || k.fields.ExistIn(known.object)):
		return c.protobuf(gvr, known.list)
	}
	return listWatch(c.Dynamic.Resource(gvr))
}

// lister is the interface that dynamic and metadata clients share.
type lister[L runtime.Object] interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// single is a lister of the object with a name. With its selector, permission for this name is enough.
type single[L runtime.Object] struct {
	lister[L]
	name string
}

func (s single[L]) List(ctx context.Context, options metav1.ListOptions) (L, error) {
	options.FieldSelector = fields.OneTermEqualSelector("metadata.name", s.name).String()
	return s.lister.List(ctx, options)
}

func (s single[L]) Watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.FieldSelector = fields.OneTermEqualSelector("metadata.name", s.name).String()
	return s.lister.Watch(ctx, options)
}

func listWatch[L runtime.Object](l lister[L]) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return l.List(ctx, options)
		},
		WatchFuncWithContext: l.Watch,
	}
}

// builtin is a built-in resource: the Go type of an object, and the kind of a list.
type builtin struct {
	object reflect.Type
	list   schema.GroupVersionKind
}

// builtins returns the built-in resources.
var builtins = sync.OnceValue(func() map[schema.GroupVersionResource]builtin {
	found := map[schema.GroupVersionResource]builtin{}
	for kind, object := range clientscheme.Scheme.AllKnownTypes() {
		list := kind.GroupVersion().WithKind(kind.Kind + "List")
		if clientscheme.Scheme.Recognizes(list) {
			resource, _ := meta.UnsafeGuessKindToResource(kind)
			found[resource] = builtin{object: object, list: list}
		}
	}
	return found
})
