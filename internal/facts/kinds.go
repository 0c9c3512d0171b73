package facts

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is a kind of object that facts are extracted from.
type Kind struct {
	// GroupVersionKind has the version that is read; empty if it must be discovered, because clusters serve different versions or none.
	schema.GroupVersionKind
	// Resource is the plural name of the resource.
	Resource string

	goType  reflect.Type
	extract func(object any, observed bool) (Fact, error)
}

// IsMetadataOnly reports whether facts are extracted from the metadata alone.
func (k Kind) IsMetadataOnly() bool {
	return k.goType == reflect.TypeFor[*metav1.PartialObjectMetadata]()
}

// SourceName returns the name of the resource as in kubectl, for example "deployments.apps".
func (k Kind) SourceName() string {
	return schema.GroupResource{Group: k.Group, Resource: k.Resource}.String()
}

// Kinds returns all kinds that facts are extracted from. Watches and lists read these and no others: no Pods, no Secrets.
func Kinds() []Kind { return kinds }

// configMaps is not in the table: ConfigMaps are read one by one, by name.
var configMaps = newKind("", "v1", "ConfigMap", "configmaps", func(o *corev1.ConfigMap, _ bool) Fact {
	return &ConfigMap{Ref: newRef("v1", "ConfigMap", o), Data: maps.Clone(o.Data)}
})

// leases are read one by one too.
var leases = newKind("coordination.k8s.io", "v1", "Lease", "leases", func(o *coordinationv1.Lease, _ bool) Fact {
	lease := &Lease{Ref: newRef("coordination.k8s.io/v1", "Lease", o)}
	if o.Spec.HolderIdentity != nil {
		lease.Holder = strings.Clone(*o.Spec.HolderIdentity)
	}
	if o.Spec.RenewTime != nil {
		lease.RenewedAt = o.Spec.RenewTime.Time
	}
	return lease
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
	newKind("batch", "v1", "CronJob", "cronjobs", func(o *batchv1.CronJob, observed bool) Fact {
		w := newWorkload(o, "CronJob", o.Spec.JobTemplate.Spec.Template, cronJobRollout(o, observed))
		w.APIVersion = "batch/v1"
		return w
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
	newKind("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations",
		func(o *admissionregistrationv1.ValidatingWebhookConfiguration, _ bool) Fact {
			return newWebhooks("ValidatingWebhookConfiguration", o, len(o.Webhooks),
				func(i int) (string, admissionregistrationv1.WebhookClientConfig) {
					return o.Webhooks[i].Name, o.Webhooks[i].ClientConfig
				})
		}),
	newKind("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations",
		func(o *admissionregistrationv1.MutatingWebhookConfiguration, _ bool) Fact {
			return newWebhooks("MutatingWebhookConfiguration", o, len(o.Webhooks),
				func(i int) (string, admissionregistrationv1.WebhookClientConfig) {
					return o.Webhooks[i].Name, o.Webhooks[i].ClientConfig
				})
		}),
	// Signals match the name of a CRD. Its schema is large.
	newKind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
		func(o *metav1.PartialObjectMetadata, _ bool) Fact { return newCRD(o) }),
	newKind("apiregistration.k8s.io", "", "APIService", "apiservices",
		func(o *unstructured.Unstructured, _ bool) Fact { return newAPIService(o) }),
	newKind("gateway.networking.k8s.io", "", "GatewayClass", "gatewayclasses", func(o *unstructured.Unstructured, _ bool) Fact {
		controller, _, _ := unstructured.NestedString(o.Object, "spec", "controllerName")
		return newNamed(o.GetAPIVersion(), "GatewayClass", o, GatewayController, controller)
	}),
	newKind("helm.toolkit.fluxcd.io", "", "HelmRelease", "helmreleases", func(o *unstructured.Unstructured, _ bool) Fact {
		return NewHelmRelease(o, func(HelmReleaseSource) (string, string) { return "", "" })
	}),
	newKind("argoproj.io", "", "Application", "applications", func(o *unstructured.Unstructured, _ bool) Fact { return NewApplication(o) }),
	newKind("operators.coreos.com", "", "Subscription", "subscriptions",
		func(o *unstructured.Unstructured, _ bool) Fact { return NewSubscription(o) }),
	newKind("helm.cattle.io", "", "HelmChart", "helmcharts", func(o *unstructured.Unstructured, _ bool) Fact { return NewHelmChart(o) }),
}

// newKind returns a Kind whose objects are decoded into T. observed is true for an object from an API server, where a missing status means
// that no controller has observed the object yet; in a file it means nothing.
func newKind[T any](group, version, kind, resource string, extract func(object *T, observed bool) Fact) Kind {
	return Kind{
		schema.GroupVersionKind{Group: group, Version: version, Kind: kind}, resource, reflect.TypeFor[*T](),
		func(object any, observed bool) (Fact, error) {
			if typed, ok := object.(*T); ok {
				return extract(typed, observed), nil
			}
			untyped, ok := object.(*unstructured.Unstructured)
			if !ok {
				return nil, fmt.Errorf("expected %T for %s, not %T", new(T), kind, object)
			}
			typed := new(T)
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(untyped.Object, typed); err != nil {
				return nil, fmt.Errorf("%s %s: %w", kind, untyped.GetName(), err)
			}
			return extract(typed, observed), nil
		},
	}
}

// FindKind returns the Kind of a group and kind, in any version; false if no facts are extracted from it.
func FindKind(kind schema.GroupKind) (Kind, bool) {
	for _, k := range append(slices.Clip(kinds), configMaps, leases) {
		if k.GroupKind() == kind {
			return k, true
		}
	}
	return Kind{}, false
}

// Extract returns the fact of an object, which is unstructured or a pointer to its Go type. observed is true if the object comes from an
// API server. It returns an error for a kind that is not supported.
func Extract(object any, observed bool) (Fact, error) {
	if untyped, ok := object.(*unstructured.Unstructured); ok {
		if k, ok := FindKind(untyped.GroupVersionKind().GroupKind()); ok {
			return k.extract(untyped, observed)
		}
		return nil, fmt.Errorf("unsupported kind %s", untyped.GroupVersionKind())
	}
	if k, ok := kindsByType[reflect.TypeOf(object)]; ok {
		return k.extract(object, observed)
	}
	return nil, fmt.Errorf("unsupported type %T", object)
}

// kindsByType maps Go types to kinds. PartialObjectMetadata is a CRD: items of a metadata list do not name their kind.
var kindsByType = func() map[reflect.Type]Kind {
	byType := map[reflect.Type]Kind{}
	for _, k := range append(slices.Clip(kinds), configMaps, leases) {
		byType[k.goType] = k
	}
	return byType
}()

func newAPIService(o *unstructured.Unstructured) *Named {
	// Without a Service the API server itself serves the group: no component does.
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
