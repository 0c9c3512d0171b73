package facts

import (
	"maps"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Fact is what is kept of one object.
type Fact interface {
	// ObjectRef names the object that the fact was taken from.
	ObjectRef() Ref
	// Equal tells whether the other fact says the same, so that a change that means nothing costs nothing.
	Equal(other Fact) bool
}

// Ref names an object.
type Ref struct {
	APIVersion, Kind, Namespace, Name string
}

// ObjectRef returns the reference itself, so that a fact that embeds one names its object.
func (r Ref) ObjectRef() Ref { return r }

// String is the reference as people write it, for instance "DaemonSet kube-system/cilium".
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// NameKind is the kind of name that a Named fact tells, one for each kind of signal that goes by a name.
type NameKind string

// The kinds of names.
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

// APIServer is what is kept of the API server itself.
type APIServer struct {
	Ref
	Version string // gitVersion of /version, for instance "v1.37.2+k3s1"
}

// NewAPIServer is the fact of an API server of a version. As evidence it names the Service that the API server keeps for itself in
// every cluster.
func NewAPIServer(version string) *APIServer {
	return &APIServer{Ref: Ref{APIVersion: "v1", Kind: "Service", Namespace: "default", Name: "kubernetes"}, Version: version}
}

// Equal implements Fact.
func (a *APIServer) Equal(other Fact) bool {
	o, ok := other.(*APIServer)
	return ok && *a == *o
}

// Named is what is kept of an object that tells a component by a name: a CRD, a StorageClass, a webhook configuration.
type Named struct {
	Ref
	NameKind NameKind
	// Values are the names that it tells, sorted: the provisioner of a StorageClass, the webhooks of a configuration.
	Values []string
	// Service is the namespace of the Service behind it, for webhooks and API services; empty where there is none.
	Service string
	// Annotations are the short ones of a CRD, which may tell a version; nil for other kinds.
	Annotations map[string]string
}

// Equal implements Fact.
func (n *Named) Equal(other Fact) bool {
	o, ok := other.(*Named)
	return ok && n.Ref == o.Ref && n.NameKind == o.NameKind && n.Service == o.Service && slices.Equal(n.Values, o.Values) &&
		maps.Equal(n.Annotations, o.Annotations)
}

// Node is what is kept of a node.
type Node struct {
	Ref
	ContainerRuntime string // status.nodeInfo.containerRuntimeVersion, "containerd://2.1.4"
	Kubelet          string // status.nodeInfo.kubeletVersion
	OSImage          string // status.nodeInfo.osImage
	ProviderID       string
	Labels           Labels
	Annotations      []string // names only, sorted
}

// Equal implements Fact. Heartbeats and addresses are no part of a node's facts, so they change nothing.
func (n *Node) Equal(other Fact) bool {
	o, ok := other.(*Node)
	return ok && n.Ref == o.Ref && n.ContainerRuntime == o.ContainerRuntime && n.Kubelet == o.Kubelet && n.OSImage == o.OSImage &&
		n.ProviderID == o.ProviderID && slices.Equal(n.Labels, o.Labels) && slices.Equal(n.Annotations, o.Annotations)
}

// ConfigMap is what is kept of a ConfigMap that a definition names. The data stays with it: only single ConfigMaps that
// a definition names are ever read.
type ConfigMap struct {
	Ref
	Data map[string]string
}

// Equal implements Fact.
func (c *ConfigMap) Equal(other Fact) bool {
	o, ok := other.(*ConfigMap)
	return ok && c.Ref == o.Ref && maps.Equal(c.Data, o.Data)
}

// Workload is what is kept of a Deployment, DaemonSet or StatefulSet.
type Workload struct {
	Ref
	UID       types.UID
	Labels    Labels // of the object
	PodLabels Labels // of the pod template, where they differ from the object's
	// Containers are those that run, without init containers.
	Containers []Container
	Rollout    Rollout
}

// Equal implements Fact.
func (w *Workload) Equal(other Fact) bool {
	o, ok := other.(*Workload)
	return ok && w.Ref == o.Ref && w.UID == o.UID && w.Rollout.equal(o.Rollout) && slices.EqualFunc(w.Containers, o.Containers, Container.equal) &&
		slices.Equal(w.Labels, o.Labels) && slices.Equal(w.PodLabels, o.PodLabels)
}

// Label returns the value of a label of the workload or, where it has none, of its pod template.
func (w *Workload) Label(key string) (string, bool) {
	if value, ok := w.Labels.Get(key); ok {
		return value, true
	}
	return w.PodLabels.Get(key)
}

// HasLabel tells whether the workload or its pod template carries the label with the value; "*" stands for any value.
func (w *Workload) HasLabel(key, value string) bool {
	for _, labels := range []Labels{w.Labels, w.PodLabels} {
		if got, ok := labels.Get(key); ok && (value == "*" || got == value) {
			return true
		}
	}
	return false
}

func newWorkload(o metav1.Object, kind string, template corev1.PodTemplateSpec, rollout Rollout) *Workload {
	w := &Workload{Ref: newRef("apps/v1", kind, o), UID: o.GetUID(), Labels: NewLabels(o.GetLabels()), Rollout: rollout}
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

// lastApplied is kubectl's copy of the whole object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func newCRD(o metav1.Object) *Named {
	const short = 64
	n := newNamed("apiextensions.k8s.io/v1", "CustomResourceDefinition", o, CRDName, o.GetName())
	for key, value := range o.GetAnnotations() {
		if len(value) > short || key == lastApplied {
			continue
		}
		if n.Annotations == nil {
			n.Annotations = map[string]string{}
		}
		n.Annotations[intern(key)] = intern(value)
	}
	return n
}

// newWebhooks takes the fact of a webhook configuration of so many webhooks: their names, and the namespace of the first Service.
func newWebhooks(kind string, o metav1.Object, count int, at func(int) (string, admissionregistrationv1.WebhookClientConfig)) *Named {
	names := make([]string, 0, count)
	service := ""
	for i := range count {
		name, client := at(i)
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
