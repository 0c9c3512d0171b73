package facts

import (
	"maps"
	"slices"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Fact holds the fields of one object that matching and health need.
type Fact interface {
	// ObjectRef returns the object that the fact was extracted from.
	ObjectRef() Ref
	// Equal reports whether two facts of an object are equivalent, so that an irrelevant change is ignored.
	Equal(other Fact) bool
}

// Ref names an object.
type Ref struct {
	APIVersion, Kind, Namespace, Name string
}

// ObjectRef returns the reference itself, so that a fact that embeds one names its object.
func (r Ref) ObjectRef() Ref { return r }

// String returns the kind and the name, for example "DaemonSet kube-system/cilium".
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// NameKind is the kind of the names in a Named fact. There is one for each kind of signal that matches a name.
type NameKind string

// The name kinds.
const (
	CRDName            NameKind = "CRD"
	StorageProvisioner NameKind = "provisioner"
	CSIDriverName      NameKind = "CSI driver"
	IngressController  NameKind = "ingress controller"
	GatewayController  NameKind = "gateway controller"
	APIServiceName     NameKind = "API service"
	WebhookName        NameKind = "webhook"
	RuntimeHandler     NameKind = "runtime handler"
)

// APIServer is the fact of the API server itself.
type APIServer struct {
	Ref
	Version string // gitVersion of /version, for example "v1.37.2+k3s1"
}

// NewAPIServer returns the fact of an API server. Its reference is the Service default/kubernetes, which every cluster has.
func NewAPIServer(version string) *APIServer {
	return &APIServer{Ref: Ref{APIVersion: "v1", Kind: "Service", Namespace: "default", Name: "kubernetes"}, Version: version}
}

// Equal implements Fact.
func (a *APIServer) Equal(other Fact) bool {
	o, ok := other.(*APIServer)
	return ok && *a == *o
}

// Named is the fact of an object that identifies a component by a name: a CRD, a StorageClass, a webhook configuration.
type Named struct {
	Ref
	NameKind NameKind
	// Values are the names, sorted: the provisioner of a StorageClass, the webhooks of a configuration.
	Values []string
	// Service is the namespace of the Service that a webhook or API service calls; empty if there is none.
	Service string
	// Annotations are the short annotations of a CRD, which may contain a version; nil for other kinds.
	Annotations map[string]string
}

// Equal implements Fact.
func (n *Named) Equal(other Fact) bool {
	o, ok := other.(*Named)
	return ok && n.Ref == o.Ref && n.NameKind == o.NameKind && n.Service == o.Service && slices.Equal(n.Values, o.Values) &&
		maps.Equal(n.Annotations, o.Annotations)
}

// Node is the fact of a node.
type Node struct {
	Ref
	ContainerRuntime string // status.nodeInfo.containerRuntimeVersion, "containerd://2.1.4"
	Kubelet          string // status.nodeInfo.kubeletVersion
	OSImage          string // status.nodeInfo.osImage
	ProviderID       string
	Labels           Labels
	Annotations      []string // keys only, sorted
}

// Equal implements Fact. Heartbeats and addresses are not part of the fact.
func (n *Node) Equal(other Fact) bool {
	o, ok := other.(*Node)
	return ok && n.Ref == o.Ref && n.ContainerRuntime == o.ContainerRuntime && n.Kubelet == o.Kubelet && n.OSImage == o.OSImage &&
		n.ProviderID == o.ProviderID && slices.Equal(n.Labels, o.Labels) && slices.Equal(n.Annotations, o.Annotations)
}

// ConfigMap is the fact of a ConfigMap that a definition names. No other ConfigMap is read.
type ConfigMap struct {
	Ref
	Data map[string]string
}

// Equal implements Fact.
func (c *ConfigMap) Equal(other Fact) bool {
	o, ok := other.(*ConfigMap)
	return ok && c.Ref == o.Ref && maps.Equal(c.Data, o.Data)
}

// Lease is the fact of a Lease that a definition names. No other Lease is read.
type Lease struct {
	Ref
	Holder    string
	RenewedAt time.Time
}

// leaseTolerance is how long after its last renewal a Lease is still held. Holders renew within seconds.
const leaseTolerance = 2 * time.Minute

// HeldUntil returns the time until which the Lease is held unless it is renewed.
func (l *Lease) HeldUntil() time.Time {
	if l.Holder == "" {
		return time.Time{}
	}
	return l.RenewedAt.Add(leaseTolerance)
}

// Equal implements Fact. Only a renewal after a quarter of the tolerance is a change.
func (l *Lease) Equal(other Fact) bool {
	o, ok := other.(*Lease)
	return ok && l.Ref == o.Ref && l.Holder == o.Holder && o.RenewedAt.Sub(l.RenewedAt).Abs() < leaseTolerance/4
}

// Workload is the fact of a Deployment, DaemonSet or StatefulSet.
type Workload struct {
	Ref
	UID       types.UID
	ManagedBy Manager
	Labels    Labels // of the object
	PodLabels Labels // of the pod template, without those that the object has too
	// Containers are the containers of the pod template, without init containers.
	Containers []Container
	Rollout    Rollout
}

// Equal implements Fact.
func (w *Workload) Equal(other Fact) bool {
	o, ok := other.(*Workload)
	return ok && w.Ref == o.Ref && w.UID == o.UID && w.ManagedBy == o.ManagedBy && w.Rollout.equal(o.Rollout) &&
		slices.EqualFunc(w.Containers, o.Containers, Container.equal) &&
		slices.Equal(w.Labels, o.Labels) && slices.Equal(w.PodLabels, o.PodLabels)
}

// Label returns the value of a label of the workload or else of its pod template.
func (w *Workload) Label(key string) (string, bool) {
	if value, ok := w.Labels.Get(key); ok {
		return value, true
	}
	return w.PodLabels.Get(key)
}

// HasLabel reports whether the workload or its pod template has the label with the value; "*" matches any value.
func (w *Workload) HasLabel(key, value string) bool {
	for _, labels := range []Labels{w.Labels, w.PodLabels} {
		if got, ok := labels.Get(key); ok && (value == "*" || got == value) {
			return true
		}
	}
	return false
}

func newWorkload(o metav1.Object, kind string, template corev1.PodTemplateSpec, rollout Rollout) *Workload {
	w := &Workload{
		Ref: newRef("apps/v1", kind, o), UID: o.GetUID(), Labels: NewLabels(o.GetLabels()), ManagedBy: findManager(o), Rollout: rollout,
	}
	for _, l := range NewLabels(template.Labels) {
		if !slices.Contains(w.Labels, l) {
			w.PodLabels = append(w.PodLabels, l)
		}
	}
	w.Containers = make([]Container, 0, len(template.Spec.Containers))
	for i := range template.Spec.Containers {
		w.Containers = append(w.Containers, newContainer(&template.Spec.Containers[i]))
	}
	return w
}

// NewStandalonePod returns the fact of a Pod in a file, as a workload; false if another workload controls it. The node controls the mirror
// of a static pod.
func NewStandalonePod(o *corev1.Pod) (*Workload, bool) {
	if owner := metav1.GetControllerOf(o); owner != nil && owner.Kind != "Node" {
		return nil, false
	}
	w := newWorkload(o, "Pod", corev1.PodTemplateSpec{Spec: o.Spec}, podRollout(o))
	w.APIVersion = "v1"
	return w, true
}

func newNode(o *corev1.Node) *Node {
	return &Node{
		Ref:              newRef("v1", "Node", o),
		ContainerRuntime: intern(o.Status.NodeInfo.ContainerRuntimeVersion),
		Kubelet:          intern(o.Status.NodeInfo.KubeletVersion),
		OSImage:          intern(o.Status.NodeInfo.OSImage),
		ProviderID:       strings.Clone(o.Spec.ProviderID),
		Labels:           NewLabels(o.Labels),
		Annotations:      sortedKeys(o.Annotations),
	}
}

func newNamed(apiVersion, kind string, o metav1.Object, nameKind NameKind, values ...string) *Named {
	n := &Named{Ref: newRef(apiVersion, kind, o), NameKind: nameKind}
	for _, value := range values {
		if value != "" {
			n.Values = append(n.Values, strings.Clone(value))
		}
	}
	slices.Sort(n.Values)
	n.Values = slices.Compact(n.Values)
	return n
}

// lastApplied is the annotation in which kubectl stores a copy of the object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func newCRD(o metav1.Object) *Named {
	const maxLength = 64
	n := newNamed("apiextensions.k8s.io/v1", "CustomResourceDefinition", o, CRDName, o.GetName())
	for key, value := range o.GetAnnotations() {
		if len(value) > maxLength || key == lastApplied {
			continue
		}
		if n.Annotations == nil {
			n.Annotations = map[string]string{}
		}
		n.Annotations[intern(key)] = intern(value)
	}
	return n
}

// newWebhooks returns the fact of a webhook configuration: the names of its webhooks, and the namespace of the first Service.
func newWebhooks(kind string, o metav1.Object, count int, webhook func(int) (string, admissionregistrationv1.WebhookClientConfig)) *Named {
	names := make([]string, 0, count)
	service := ""
	for i := range count {
		name, client := webhook(i)
		names = append(names, name)
		if client.Service != nil && service == "" {
			service = intern(client.Service.Namespace)
		}
	}
	n := newNamed("admissionregistration.k8s.io/v1", kind, o, WebhookName, names...)
	n.Service = service
	return n
}

func newRef(apiVersion, kind string, o metav1.Object) Ref {
	return Ref{APIVersion: apiVersion, Kind: kind, Namespace: intern(o.GetNamespace()), Name: strings.Clone(o.GetName())}
}

func sortedKeys(m map[string]string) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for key := range m {
		if key != lastApplied {
			keys = append(keys, key)
		}
	}
	return internSet(keys)
}
