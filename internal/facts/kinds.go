package facts

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is a kind of object that facts are taken from.
type Kind struct {
	// GroupVersionKind has the version that is read; it is empty where the version is looked up, because a cluster may serve
	// another one or none.
	schema.GroupVersionKind
	// Resource is the plural name that the API serves the kind under.
	Resource string

	goType  reflect.Type
	extract func(object any, observed bool) (Fact, error)
}

// IsMetadataOnly says that the metadata of the objects is all that facts are taken from.
func (k Kind) IsMetadataOnly() bool {
	return k.goType == reflect.TypeFor[*metav1.PartialObjectMetadata]()
}

// SourceName is the resource as kubectl names it, for example "deployments.apps".
func (k Kind) SourceName() string {
	return schema.GroupResource{Group: k.Group, Resource: k.Resource}.String()
}

// Kinds returns the table of all kinds that facts are taken from. Whoever watches, lists or reads files goes by it. Pods and Secrets are
// not in it, and never will be.
func Kinds() []Kind { return kinds }

// ConfigMaps are read one by one, by name.
var configMaps = newKind("", "v1", "ConfigMap", "configmaps", func(o *corev1.ConfigMap, _ bool) Fact {
	return &ConfigMap{Ref: newRef("v1", "ConfigMap", o), Data: maps.Clone(o.Data)}
})

var kinds = []Kind{
	newKind("apps", "v1", "Deployment", "deployments", func(o *appsv1.Deployment, observed bool) Fact {
		return newWorkload(o, "Deployment", o.Spec.Template, deploymentRollout(o, observed))
	}),
	newKind("apps", "v1", "DaemonSet", "daemonsets", func(o *appsv1.DaemonSet, observed bool) Fact {
		return newWorkload(o, "DaemonSet", o.Spec.Template, daemonSetRollout(o, observed))
	}),
	newKind("apps", "v1", "StatefulSet", "statefulsets", func(o *appsv1.StatefulSet, observed bool) Fact {
		return newWorkload(o, "StatefulSet", o.Spec.Template, statefulSetRollout(o, observed))
	}),
	newKind("", "v1", "Node", "nodes", func(o *corev1.Node, _ bool) Fact { return newNode(o) }),
	newKind("storage.k8s.io", "v1", "StorageClass", "storageclasses", func(o *storagev1.StorageClass, _ bool) Fact {
		return newNamed("storage.k8s.io/v1", "StorageClass", o, StorageProvisioner, o.Provisioner)
	}),
	newKind("storage.k8s.io", "v1", "CSIDriver", "csidrivers", func(o *storagev1.CSIDriver, _ bool) Fact {
		return newNamed("storage.k8s.io/v1", "CSIDriver", o, CSIDriverName, o.Name)
	}),
	newKind("networking.k8s.io", "v1", "IngressClass", "ingressclasses", func(o *networkingv1.IngressClass, _ bool) Fact {
		return newNamed("networking.k8s.io/v1", "IngressClass", o, IngressController, o.Spec.Controller)
	}),
	newKind("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", func(o *nodev1.RuntimeClass, _ bool) Fact {
		return newNamed("node.k8s.io/v1", "RuntimeClass", o, RuntimeHandler, o.Handler)
	}),
	newKind("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", func(o *admissionregistrationv1.ValidatingWebhookConfiguration, _ bool) Fact {
		return newWebhooks("ValidatingWebhookConfiguration", o, len(o.Webhooks), func(i int) (string, admissionregistrationv1.WebhookClientConfig) {
			return o.Webhooks[i].Name, o.Webhooks[i].ClientConfig
		})
	}),
	newKind("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", func(o *admissionregistrationv1.MutatingWebhookConfiguration, _ bool) Fact {
		return newWebhooks("MutatingWebhookConfiguration", o, len(o.Webhooks), func(i int) (string, admissionregistrationv1.WebhookClientConfig) {
			return o.Webhooks[i].Name, o.Webhooks[i].ClientConfig
		})
	}),
	// The name of a CRD is what it is recognised by, and its schema is large.
	newKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", func(o *metav1.PartialObjectMetadata, _ bool) Fact { return newCRD(o) }),
	newKind("apiregistration.k8s.io", "", "APIService", "apiservices", func(o *unstructured.Unstructured, _ bool) Fact { return newAPIService(o) }),
	newKind("gateway.networking.k8s.io", "", "GatewayClass", "gatewayclasses", func(o *unstructured.Unstructured, _ bool) Fact {
		controller, _, _ := unstructured.NestedString(o.Object, "spec", "controllerName")
		return newNamed(o.GetAPIVersion(), "GatewayClass", o, GatewayController, controller)
	}),
}

// newKind is a row of the table: a kind, the type that its objects are decoded into, and how a fact is taken from one. observed says whether
// the object comes from an API server, where a missing status means that no controller has seen it yet, or from a file, where it means
// nothing.
func newKind[T any](group, version, kind, resource string, take func(object *T, observed bool) Fact) Kind {
	return Kind{
		schema.GroupVersionKind{Group: group, Version: version, Kind: kind}, resource, reflect.TypeFor[*T](),
		func(object any, observed bool) (Fact, error) {
			if typed, ok := object.(*T); ok {
				return take(typed, observed), nil
			}
			untyped, ok := object.(*unstructured.Unstructured)
			if !ok {
				return nil, fmt.Errorf("expected %T for %s, not %T", new(T), kind, object)
			}
			typed := new(T)
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(untyped.Object, typed); err != nil {
				return nil, fmt.Errorf("%s %s: %w", kind, untyped.GetName(), err)
			}
			return take(typed, observed), nil
		},
	}
}

// FindKind returns the row of the table for a kind, in whatever version; false where no facts are taken from it.
func FindKind(kind schema.GroupKind) (Kind, bool) {
	for _, k := range append(slices.Clip(kinds), configMaps) {
		if k.GroupKind() == kind {
			return k, true
		}
	}
	return Kind{}, false
}

// Extract takes a fact from an object: a pointer to its Go type, or unstructured. observed says whether the object comes from an API server.
// It returns an error for a kind that no facts are taken from.
func Extract(object any, observed bool) (Fact, error) {
	if untyped, ok := object.(*unstructured.Unstructured); ok {
		if k, ok := FindKind(untyped.GroupVersionKind().GroupKind()); ok {
			return k.extract(untyped, observed)
		}
		return nil, fmt.Errorf("no facts are taken from %s", untyped.GroupVersionKind())
	}
	if k, ok := byType[reflect.TypeOf(object)]; ok {
		return k.extract(object, observed)
	}
	return nil, fmt.Errorf("no facts are taken from %T", object)
}

// byType finds the row of an object's Go type. Metadata stands for a CRD: items of a list of metadata do not name their kind.
var byType = func() map[reflect.Type]Kind {
	found := map[reflect.Type]Kind{}
	for _, k := range append(slices.Clip(kinds), configMaps) {
		found[k.goType] = k
	}
	return found
}()

func newAPIService(o *unstructured.Unstructured) *Named {
	// Without a Service the API server itself answers for the group, and the object says nothing about a component.
	service, aggregated, _ := unstructured.NestedMap(o.Object, "spec", "service")
	if !aggregated || service == nil {
		return newNamed(o.GetAPIVersion(), "APIService", o, APIServiceName)
	}
	group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
	n := newNamed(o.GetAPIVersion(), "APIService", o, APIServiceName, group, o.GetName())
	if namespace, ok := service["namespace"].(string); ok {
		n.Service = intern(namespace)
	}
	return n
}
