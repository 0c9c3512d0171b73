package observe

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// The kinds that this package treats specially.
const (
	nodeSource         = "nodes"
	crdSource          = "customresourcedefinitions.apiextensions.k8s.io"
	apiServiceSource   = "apiservices.apiregistration.k8s.io"
	gatewayClassSource = "gatewayclasses.gateway.networking.k8s.io"
)

// Clients are the ways to read a cluster: with Go types, by metadata alone, and without types.
type Clients struct {
	Typed    kubernetes.Interface
	Metadata metadata.Interface
	Dynamic  dynamic.Interface
	// Contact listens to the connections of all three.
	Contact *Contact

	// compact is how what travels as protobuf is asked for, by http.
	compact *rest.Config
	http    *http.Client
}

// NewClients connects to the cluster of a configuration. Types of Kubernetes itself travel as protobuf.
func NewClients(config *rest.Config) (Clients, error) {
	config = rest.CopyConfig(config)
	// Watches and their first lists start all at once; the API server's own priority and fairness holds them back.
	config.QPS, config.Burst = -1, 0
	contact := NewContact()
	config.Wrap(contact.Wrap)
	compact := rest.CopyConfig(config)
	compact.ContentType = runtime.ContentTypeProtobuf
	compact.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	shared, err := rest.HTTPClientFor(compact)
	if err != nil {
		return Clients{}, fmt.Errorf("connecting to the cluster: %w", err)
	}
	typed, err := kubernetes.NewForConfig(compact)
	if err != nil {
		return Clients{}, fmt.Errorf("connecting to the cluster: %w", err)
	}
	meta, err := metadata.NewForConfig(compact)
	if err != nil {
		return Clients{}, fmt.Errorf("connecting to the cluster: %w", err)
	}
	untyped, err := dynamic.NewForConfig(config)
	if err != nil {
		return Clients{}, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return Clients{Typed: typed, Metadata: meta, Dynamic: untyped, Contact: contact, compact: compact, http: shared}, nil
}

// kind is one source of facts, and how it is read.
type kind struct {
	resource rule.Resource
	// by returns how to list and watch it; gvr is the served resource, for kinds whose version is not known beforehand.
	by func(c Clients, gvr schema.GroupVersionResource) *cache.ListWatch
	// version is the one that is read; empty where it is looked up.
	version string
	// optional says that the cluster may not serve it, so that its version is looked up first.
	optional bool
	// only is the single ConfigMap that the kind is about; empty for other kinds.
	only catalog.ConfigMap
}

// name is that of the source in messages.
func (k kind) name() string {
	if k.only != (catalog.ConfigMap{}) {
		return catalog.ConfigMapSource(k.only.Namespace, k.only.Name)
	}
	return k.resource.String()
}

// Sources are the resources that every inventory is fed from, whatever the catalog and the profiles ask for.
func Sources() []rule.Resource {
	var all []rule.Resource
	for _, k := range kinds() {
		all = append(all, k.resource)
	}
	return all
}

// kinds are the sources that every inventory has. Pods and Secrets are not among them, and never will be.
func kinds() []kind {
	return []kind{
		typed("apps", "deployments", func(c Clients) lister[*appsv1.DeploymentList] { return c.Typed.AppsV1().Deployments("") }),
		typed("apps", "daemonsets", func(c Clients) lister[*appsv1.DaemonSetList] { return c.Typed.AppsV1().DaemonSets("") }),
		typed("apps", "statefulsets", func(c Clients) lister[*appsv1.StatefulSetList] { return c.Typed.AppsV1().StatefulSets("") }),
		typed("", "nodes", func(c Clients) lister[*corev1.NodeList] { return c.Typed.CoreV1().Nodes() }),
		typed("storage.k8s.io", "storageclasses", func(c Clients) lister[*storagev1.StorageClassList] { return c.Typed.StorageV1().StorageClasses() }),
		typed("storage.k8s.io", "csidrivers", func(c Clients) lister[*storagev1.CSIDriverList] { return c.Typed.StorageV1().CSIDrivers() }),
		typed("networking.k8s.io", "ingressclasses", func(c Clients) lister[*networkingv1.IngressClassList] { return c.Typed.NetworkingV1().IngressClasses() }),
		typed("node.k8s.io", "runtimeclasses", func(c Clients) lister[*nodev1.RuntimeClassList] { return c.Typed.NodeV1().RuntimeClasses() }),
		typed("admissionregistration.k8s.io", "validatingwebhookconfigurations", func(c Clients) lister[*admissionv1.ValidatingWebhookConfigurationList] {
			return c.Typed.AdmissionregistrationV1().ValidatingWebhookConfigurations()
		}),
		typed("admissionregistration.k8s.io", "mutatingwebhookconfigurations", func(c Clients) lister[*admissionv1.MutatingWebhookConfigurationList] {
			return c.Typed.AdmissionregistrationV1().MutatingWebhookConfigurations()
		}),
		// Names say all that CRDs are wanted for, and their schemas are large.
		byMetadata("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
		untyped("apiregistration.k8s.io", "apiservices"),
		untyped("gateway.networking.k8s.io", "gatewayclasses"),
	}
}

// listFirst has client-go's reflector list before it watches, rather than stream the first look. A source whose watches say
// nothing can still be listed. And for an empty resource whose CRD has just come, the API server takes a second to end the
// stream, and milliseconds to answer the list.
//
// Lists come page by page, and what a page holds is stripped before the next one is asked for.
type listFirst struct {
	*cache.ListWatch
	strip cache.TransformFunc
}

// ListWithContext lists one page.
func (l listFirst) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	page, err := l.ListWatch.ListWithContext(ctx, paged(options))
	if err != nil {
		return nil, err
	}
	list, err := meta.ListAccessor(page)
	if err != nil {
		return nil, err
	}
	short := &strippedList{}
	short.ResourceVersion, short.Continue, short.RemainingItemCount = list.GetResourceVersion(), list.GetContinue(), list.GetRemainingItemCount()
	err = meta.EachListItem(page, func(object runtime.Object) error {
		left, err := l.strip(object)
		if err != nil {
			return err
		}
		item, ok := left.(*stripped)
		if !ok {
			return fmt.Errorf("%T is not stripped to what is kept of it", object)
		}
		short.Items = append(short.Items, item)
		return nil
	})
	return short, err
}

// IsWatchListSemanticsUnSupported is what client-go asks for it.
func (listFirst) IsWatchListSemanticsUnSupported() bool { return true }

// lister is what the typed clients of all kinds have in common.
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

func typed[L runtime.Object](group, resource string, client func(Clients) lister[L]) kind {
	return kind{
		resource: rule.Resource{Group: group, Resource: resource}, version: "v1",
		by: func(c Clients, _ schema.GroupVersionResource) *cache.ListWatch { return listWatch(client(c)) },
	}
}

func byMetadata(group, version, resource string) kind {
	return kind{
		resource: rule.Resource{Group: group, Resource: resource}, version: version,
		by: func(c Clients, _ schema.GroupVersionResource) *cache.ListWatch {
			return listWatch[*metav1.PartialObjectMetadataList](c.Metadata.Resource(schema.GroupVersionResource{Group: group, Version: version, Resource: resource}))
		},
	}
}

// paged asks for the newest list, in pages. One that may be older, as client-go's reflector asks for, comes in one piece
// however large it is.
func paged(options metav1.ListOptions) metav1.ListOptions {
	options.ResourceVersion, options.ResourceVersionMatch, options.Limit = "", "", pageSize
	return options
}

func untyped(group, resource string) kind {
	return kind{
		resource: rule.Resource{Group: group, Resource: resource}, optional: true,
		by: func(c Clients, gvr schema.GroupVersionResource) *cache.ListWatch {
			return listWatch[*unstructured.UnstructuredList](c.Dynamic.Resource(gvr))
		},
	}
}

// configMap reads a single ConfigMap. The field selector makes a permission by name enough.
func configMap(c catalog.ConfigMap) kind {
	return kind{
		resource: rule.Resource{Resource: "configmaps"}, only: c,
		by: func(clients Clients, _ schema.GroupVersionResource) *cache.ListWatch {
			client := clients.Typed.CoreV1().ConfigMaps(c.Namespace)
			only := fields.OneTermEqualSelector("metadata.name", c.Name).String()
			return &cache.ListWatch{
				ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
					options.FieldSelector = only
					return client.List(ctx, options)
				},
				WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
					options.FieldSelector = only
					return client.Watch(ctx, options)
				},
			}
		},
	}
}

// sourceOf is the source that the objects of a resource come from, and its name: that of the facts, where facts are taken from the
// resource in this version.
func sourceOf(resource rule.Resource) (kind, string) {
	for _, k := range kinds() {
		if k.resource.Group == resource.Group && k.resource.Resource == resource.Resource && (resource.Version == "" || resource.Version == k.version) {
			return k, k.resource.String()
		}
	}
	k := untyped(resource.Group, resource.Resource)
	k.resource = resource
	return k, strings.TrimSuffix(resource.String()+"/"+resource.Version, "/")
}

// readWith reads these fields of the kind's objects as well. What Kubernetes itself serves travels as protobuf, which costs the API
// server and this program a fraction of JSON, where the Go type has all of the fields.
func (k kind) readWith(fields *rule.Fields) kind {
	version := k.version
	k.by = func(c Clients, gvr schema.GroupVersionResource) *cache.ListWatch {
		if gvr.Resource == "" { // its version was known beforehand
			gvr = schema.GroupVersionResource{Group: k.resource.Group, Version: version, Resource: k.resource.Resource}
		}
		if known, ok := builtins()[gvr]; ok && fields.In(known.object) {
			if compact, err := c.compactly(gvr, known.list); err == nil {
				return compact
			}
		}
		return listWatch[*unstructured.UnstructuredList](c.Dynamic.Resource(gvr))
	}
	return k
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

// compactly lists and watches a built-in resource as protobuf.
func (c Clients) compactly(gvr schema.GroupVersionResource, kind schema.GroupVersionKind) (*cache.ListWatch, error) {
	version, path := gvr.GroupVersion(), "/apis"
	if gvr.Group == "" {
		path = "/api"
	}
	config := rest.CopyConfig(c.compact)
	config.GroupVersion, config.APIPath, config.NegotiatedSerializer = &version, path, clientscheme.Codecs.WithoutConversion()
	client, err := rest.RESTClientForConfigAndClient(config, c.http)
	if err != nil {
		return nil, err
	}
	request := func(options metav1.ListOptions) *rest.Request {
		return client.Get().Resource(gvr.Resource).VersionedParams(&options, clientscheme.ParameterCodec)
	}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := clientscheme.Scheme.New(kind)
			if err != nil {
				return nil, err
			}
			return list, request(options).Do(ctx).Into(list)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.Watch = true
			return request(options).Watch(ctx)
		},
	}, nil
}
