package source

import (
	"context"
	"reflect"
	"strings"
	"sync"

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
	// version is the one that is read; empty where it is looked up, because the cluster may serve another one or none.
	version string
	// metadataOnly says that the metadata of the objects is enough.
	metadataOnly bool
	// fields are those that rules read; nil where none do.
	fields *rule.Fields
	// configMap is the only one that is read; empty for other kinds.
	configMap catalog.ConfigMap
}

// Resources returns the resources that facts are taken from. They are read whatever the catalog and the profiles ask for.
func Resources() []rule.Resource {
	all := make([]rule.Resource, 0, len(facts.Kinds()))
	for _, k := range facts.Kinds() {
		all = append(all, rule.Resource{Group: k.Group, Resource: k.Resource})
	}
	return all
}

// kindOf returns how facts of a kind are read.
func kindOf(k facts.Kind) kind {
	return kind{resource: rule.Resource{Group: k.Group, Resource: k.Resource}, version: k.Version, metadataOnly: k.IsMetadataOnly()}
}

func kindOfConfigMap(c catalog.ConfigMap) kind {
	return kind{resource: rule.Resource{Resource: "configmaps"}, version: "v1", configMap: c}
}

// kindOfResource returns how the objects of a resource are read, and the name of the source: that of the facts, where facts are taken from
// the resource in this version.
func kindOfResource(resource rule.Resource) (kind, string) {
	for _, k := range facts.Kinds() {
		if k.Group == resource.Group && k.Resource == resource.Resource && (resource.Version == "" || resource.Version == k.Version) {
			return kindOf(k), k.SourceName()
		}
	}
	return kind{resource: resource}, strings.TrimSuffix(resource.String()+"/"+resource.Version, "/")
}

// name is that of the source in messages.
func (k kind) name() string {
	if k.configMap != (catalog.ConfigMap{}) {
		return catalog.ConfigMapSource(k.configMap.Namespace, k.configMap.Name)
	}
	return k.resource.String()
}

// resolve returns the version of the resource that is read. It returns errNotServed where the cluster serves none.
func (k kind) resolve(ctx context.Context, c Clients) (schema.GroupVersionResource, error) {
	if k.version != "" {
		return schema.GroupVersionResource{Group: k.resource.Group, Version: k.version, Resource: k.resource.Resource}, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, errNoAnswer)
	defer cancel()
	gvr, err := discover(ctx, c, k.resource)
	return gvr, cause(ctx, err)
}

// client returns what lists and watches the resource. What Kubernetes itself serves travels as protobuf, which costs the API server and
// this program a fraction of JSON, where the Go type has all of the fields that rules read.
func (k kind) client(c Clients, gvr schema.GroupVersionResource) *cache.ListWatch {
	known, isBuiltin := builtins()[gvr]
	switch {
	case k.configMap != (catalog.ConfigMap{}):
		// The selector makes a permission by name enough.
		selector := fields.OneTermEqualSelector("metadata.name", k.configMap.Name).String()
		client := c.Typed.CoreV1().ConfigMaps(k.configMap.Namespace)
		return &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				options.FieldSelector = selector
				return client.List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				options.FieldSelector = selector
				return client.Watch(ctx, options)
			},
		}
	case k.metadataOnly && k.fields == nil:
		return listWatch(c.Metadata.Resource(gvr))
	case isBuiltin && (k.fields == nil || k.fields.ExistIn(known.object)):
		return c.protobuf(gvr, known.list)
	}
	return listWatch(c.Dynamic.Resource(gvr))
}

// lister is what the clients of all kinds have in common.
type lister[L runtime.Object] interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

func listWatch[L runtime.Object](l lister[L]) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return l.List(ctx, options)
		},
		WatchFuncWithContext: l.Watch,
	}
}

// builtin is a kind that Kubernetes itself serves: the Go types of one object, and of a list of them.
type builtin struct {
	object reflect.Type
	list   schema.GroupVersionKind
}

// builtins are those that the program has Go types for, by the resource that serves them.
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
