package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PlatformComponent defines how one product is recognised in a cluster, where its version comes from, how its health is determined and
// which checks it offers. The built-in catalog consists of the same kind. A PlatformComponent in the cluster extends the catalog, or
// overrides the built-in definition of the same name, without a restart.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=pcomponent,categories=platform
// +kubebuilder:printcolumn:name="Layer",type=string,JSONPath=`.spec.layer`
// +kubebuilder:printcolumn:name="Capabilities",type=string,JSONPath=`.spec.capabilities`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Installations",type=integer,JSONPath=`.status.installations`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Accepted")].message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be at most 63 lower case letters, digits and dashes: profiles refer to the component by this name"
type PlatformComponent struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// How the component is recognised and evaluated.
	// +required
	Spec PlatformComponentSpec `json:"spec,omitzero"`
	// Whether the definition is in use.
	// +optional
	Status PlatformComponentStatus `json:"status,omitempty"`
}

// PlatformComponentList is a list of PlatformComponents.
//
// +kubebuilder:object:root=true
type PlatformComponentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PlatformComponent `json:"items"`
}

// Name is the lower case name of a capability, layer, component, rule or check.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
type Name string

// PlatformComponentSpec defines how one product is recognised and evaluated.
type PlatformComponentSpec struct {
	// Display name of the product.
	// +kubebuilder:validation:MaxLength=128
	// +optional
	DisplayName string `json:"displayName,omitempty"`

	// The layer of the ecosystem that the product belongs to: core, provisioning, runtime, network, storage, data, delivery, registry,
	// observability, security, mesh, serverless, workloads, developer-platform, or any other name.
	// +required
	Layer Name `json:"layer,omitempty"`

	// Capabilities that the component provides, for example cni. Any of its providers satisfies a requirement for a capability.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Capabilities []Name `json:"capabilities,omitempty"`

	// Components that the product includes, for example Trivy in Harbor. An installation of a bundled component in the same namespace is
	// part of this component.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Bundles []Name `json:"bundles,omitempty"`

	// Home page of the product.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Homepage string `json:"homepage,omitempty"`

	// Signals by which the component is recognised.
	// +required
	Signals Signals `json:"signals,omitzero"`

	// Sources of the version. The first one that yields a version is used. Defaults to the image tag, then the label
	// app.kubernetes.io/version.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Version []VersionSource `json:"version,omitempty"`

	// Sources of the variant, for products with several editions, for example the release channel of the Gateway API CRDs. The first one
	// that yields a value is used.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	// +optional
	Variant []VersionSource `json:"variant,omitempty"`

	// Rules over the component's own resources that determine its health, in addition to the rollouts of its workloads.
	// +optional
	Health *HealthRules `json:"health,omitempty"`

	// Named checks over the resources that the component manages. A requirement can refer to them.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Checks []NamedCheck `json:"checks,omitempty"`

	// Releases of the product: how long upstream supports them, and on which versions of Kubernetes. What upstream does not state is left out.
	// +listType=map
	// +listMapKey=cycle
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Releases []Release `json:"releases,omitempty"`

	// Meanings of labels that the product sets on its own pods, for the diagnosis of an unhealthy pod.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +optional
	PodHints []PodHint `json:"podHints,omitempty"`

	// What to do if the component is missing or degraded.
	// +optional
	Remediation *Remediation `json:"remediation,omitempty"`
}

// Release is what upstream states about one release cycle of a product.
type Release struct {
	// The numbers that the versions of the cycle begin with, for example "1.18" for 1.18.2. The longest matching cycle counts.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+){0,3}$`
	// +required
	Cycle string `json:"cycle,omitempty"`
	// Day of the first release of the cycle.
	// +optional
	Released Date `json:"released,omitempty"`
	// Last day on which upstream supports the cycle. If unset, upstream stated no day: the newest cycle counts as
	// supported, and the support of an older one is unknown.
	// +optional
	EndOfLife Date `json:"endOfLife,omitempty"`
	// Range of the minor versions of Kubernetes that the cycle supports, for example ">=1.31 <=1.34". If unset, upstream states none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Kubernetes string `json:"kubernetes,omitempty"`
	// Address of the page or file with these statements.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^https://`
	// +required
	Source string `json:"source,omitempty"`
	// Day of the statements: that of the version of the source which was read.
	// +required
	AsOf Date `json:"asOf,omitempty"`
}

// Date is a day, for example "2026-11-29".
// +kubebuilder:validation:MinLength=10
// +kubebuilder:validation:MaxLength=10
// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
type Date string

// PodHint is the meaning of labels of a pod, for example that a Vault server is sealed. It is used in the diagnosis of an unhealthy pod.
type PodHint struct {
	// Labels of the pod. All of them must match.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +required
	Labels map[string]string `json:"labels,omitempty"`
	// Meaning of the labels, a sentence that is appended to the diagnosis.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Meaning string `json:"meaning,omitempty"`
	// Arguments of kubectl to investigate or repair the pod, in its namespace. {pod} is replaced by the name of the pod.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Command string `json:"command,omitempty"`
}

// Role determines whether a signal proves an installation.
// +kubebuilder:validation:Enum=Proof;Support
type Role string

// The roles of a signal.
const (
	// RoleProof proves an installation.
	RoleProof Role = "Proof"
	// RoleSupport is evidence for an installation that another signal proves. A workload with this role counts for the health of the
	// installation. Without an installation, the object is a leftover.
	RoleSupport Role = "Support"
)

// Signals are the objects by which a component is recognised. By default, workloads, nodes and the API server prove an installation, and
// everything else supports one.
//
// +kubebuilder:validation:XValidation:rule="has(self.workloads) || has(self.crds) || has(self.storageProvisioners) || has(self.csiDrivers) || has(self.ingressControllers) || has(self.gatewayControllers) || has(self.apiServices) || has(self.webhooks) || has(self.runtimeHandlers) || has(self.nodes) || has(self.configMaps) || has(self.leases) || has(self.apiServer)",message="signals must contain at least one signal, for example workloads: [{images: [\"example/server\"]}]"
type Signals struct {
	// Workloads, by image, labels or name.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Workloads []WorkloadSignal `json:"workloads,omitempty"`
	// CustomResourceDefinitions, by group ("metallb.io") or by full name ("ipaddresspools.metallb.io").
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	CRDs []NameSignal `json:"crds,omitempty"`
	// StorageClasses, by provisioner. A leading "*." matches any prefix that ends in a dot.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	StorageProvisioners []NameSignal `json:"storageProvisioners,omitempty"`
	// CSIDrivers, by name. A leading "*." matches any prefix that ends in a dot.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	CSIDrivers []NameSignal `json:"csiDrivers,omitempty"`
	// IngressClasses, by controller, for example k8s.io/ingress-nginx.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	IngressControllers []NameSignal `json:"ingressControllers,omitempty"`
	// GatewayClasses, by controller name.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	GatewayControllers []NameSignal `json:"gatewayControllers,omitempty"`
	// APIServices, by group ("metrics.k8s.io") or by full name. Only APIServices with a Service count.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	APIServices []NameSignal `json:"apiServices,omitempty"`
	// Validating and mutating webhook configurations, by the name of one of their webhooks
	// ("rev.validation.istio.io") or a suffix of it on a dot.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Webhooks []NameSignal `json:"webhooks,omitempty"`
	// RuntimeClasses, by handler, for example runsc.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	RuntimeHandlers []NameSignal `json:"runtimeHandlers,omitempty"`
	// Nodes, by the information that the kubelet reports, by labels and by annotations.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Nodes []NodeSignal `json:"nodes,omitempty"`
	// ConfigMaps, by namespace and name. Each has its own watch, for which the operator needs permission by name.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +optional
	ConfigMaps []ConfigMapSignal `json:"configMaps,omitempty"`
	// Leases, by namespace and name, for what runs in static pods only. Each has its own watch, for which the operator needs permission by
	// name. A Lease that its holder no longer renews is a leftover.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +optional
	Leases []LeaseSignal `json:"leases,omitempty"`
	// The API server, by the version that it reports at /version.
	// +optional
	APIServer *APIServerSignal `json:"apiServer,omitempty"`
	// Helm charts that install the component, as declared by Flux HelmReleases, Argo CD Applications, K3s HelmCharts and, in files, by
	// Kustomize, helmfile, Terraform and Chart.yaml. In files, a declaration proves an installation. In a cluster, it only says who manages
	// one.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Charts []ChartSignal `json:"charts,omitempty"`
	// Packages of the Operator Lifecycle Manager and add-ons of Amazon EKS that install the component. They count as charts do.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +optional
	Packages []PackageSignal `json:"packages,omitempty"`
	// Custom resources from which an operator creates the component, for example a Prometheus. In files, such an object proves an
	// installation. In a cluster, the component is Degraded instead of missing if there is one and nothing runs.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +optional
	DeclaredBy []ResourceSignal `json:"declaredBy,omitempty"`
}

// ChartSignal matches a declared Helm chart by its name and repository. The fields condition and optional are for a chart with several
// components.
//
// +kubebuilder:validation:XValidation:rule="!has(self.optional) || has(self.condition)",message="'optional' requires 'condition', the value that includes the component"
type ChartSignal struct {
	// Names of the chart. The last segment of an OCI address is one.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +required
	Names []string `json:"names,omitempty"`
	// Repositories of the chart, for a name that charts of other products have too: segments of the address, without the scheme. For example
	// "ghcr.io/example/charts", or "example" for any registry. If unset, any repository matches.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +optional
	Repositories []string `json:"repositories,omitempty"`
	// Value of the chart that includes the component, for example "grafana.enabled". A declaration that sets it to false does not declare
	// the component.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Condition string `json:"condition,omitempty"`
	// Whether the chart includes the component only if a declaration sets the condition to true.
	// +optional
	Optional bool `json:"optional,omitempty"`
	// Whether the version of the chart is that of the product. Otherwise, the version of the product is unknown, and that of the chart is
	// reported as such.
	// +optional
	ProductVersion bool `json:"productVersion,omitempty"`
}

// PackageSignal matches a declared package by its name.
type PackageSignal struct {
	// Names of the package, for example "cert-manager" or "vpc-cni".
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +required
	Names []string `json:"names,omitempty"`
	// Whether the version of the package is that of the product.
	// +optional
	ProductVersion bool `json:"productVersion,omitempty"`
}

// ResourceSignal matches the objects of a resource.
type ResourceSignal struct {
	// The resource.
	// +required
	Resource ResourceReference `json:"resource,omitzero"`
	// CEL expression that is true for the objects that match. If unset, all objects match.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Match string `json:"match,omitempty"`
}

// LeaseSignal matches a single Lease that its holder renews.
type LeaseSignal struct {
	// Namespace of the Lease.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Namespace string `json:"namespace,omitempty"`
	// Name of the Lease.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
}

// WorkloadKind is a kind of workload.
// +kubebuilder:validation:Enum=Deployment;DaemonSet;StatefulSet;CronJob;Pod
type WorkloadKind string

// The kinds of workload.
const (
	// KindDeployment is apps/v1 Deployment.
	KindDeployment WorkloadKind = "Deployment"
	// KindDaemonSet is apps/v1 DaemonSet.
	KindDaemonSet WorkloadKind = "DaemonSet"
	// KindStatefulSet is apps/v1 StatefulSet.
	KindStatefulSet WorkloadKind = "StatefulSet"
	// KindCronJob is batch/v1 CronJob, for products that run now and then, for example descheduler.
	KindCronJob WorkloadKind = "CronJob"
	// KindPod is a v1 Pod that no workload controls, for example a static pod. Pods are read from files only.
	KindPod WorkloadKind = "Pod"
)

// WorkloadSignal matches a workload by all fields that are set: one of the kinds, all labels and one of the names must match. In
// addition, a single container must match one of the images, one of the container names, all arguments and all environment variables.
//
// +kubebuilder:validation:XValidation:rule="has(self.images) || has(self.labels) || has(self.names) || has(self.containers)",message="a workload signal must set at least one of images, labels, names and containers: without them it would match every workload"
type WorkloadSignal struct {
	// Kinds of workload. Defaults to Deployment, DaemonSet and StatefulSet.
	// +listType=set
	// +kubebuilder:validation:MaxItems=5
	// +optional
	Kinds []WorkloadKind `json:"kinds,omitempty"`
	// Repository paths of container images. An image matches if its repository ends in the path on a path boundary, so that images from
	// a mirror match: "cilium/cilium" matches harbor.example/quay/cilium/cilium:v1.18.2, but not evil-cilium/cilium2. Images of init
	// containers do not count.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +optional
	Images []string `json:"images,omitempty"`
	// Labels of the workload or its pod template. The value "*" matches any value.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// Names of the workload.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Names []string `json:"names,omitempty"`
	// Names of a container.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +optional
	Containers []string `json:"containers,omitempty"`
	// Words of the command and the arguments of the container: a flag by its name without the value ("--metrics-addr"), or a program by
	// its name without the path. All of them must be present.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +optional
	Arguments []string `json:"arguments,omitempty"`
	// Names of environment variables of the container, with any value. All of them must be present.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +optional
	Env []string `json:"env,omitempty"`
	// Proof or Support. Defaults to Proof.
	// +default="Proof"
	// +optional
	Role Role `json:"role,omitempty"`
}

// LabelValue is the value of a label, or "*" for any value.
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// NameSignal matches an object by a name that is specific to the component.
type NameSignal struct {
	// The name, in the form that the kind of signal requires.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// Proof or Support. Defaults to Support.
	// +default="Support"
	// +optional
	Role Role `json:"role,omitempty"`
}

// NodeSignal matches nodes by all fields that are set.
//
// +kubebuilder:validation:XValidation:rule="has(self.containerRuntime) || has(self.kubeletVersion) || has(self.osImage) || has(self.providerID) || has(self.labels) || has(self.annotations)",message="a node signal must set at least one of containerRuntime, kubeletVersion, osImage, providerID, labels and annotations"
type NodeSignal struct {
	// Name of the runtime, the part of status.nodeInfo.containerRuntimeVersion before "://", for example containerd.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	ContainerRuntime string `json:"containerRuntime,omitempty"`
	// Regular expression (RE2) that status.nodeInfo.kubeletVersion must match, for example "[+]k3s".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	KubeletVersion string `json:"kubeletVersion,omitempty"`
	// Regular expression (RE2) that status.nodeInfo.osImage must match, for example "^Talos".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	OSImage string `json:"osImage,omitempty"`
	// Prefix of spec.providerID, for example "kind://".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	ProviderID string `json:"providerID,omitempty"`
	// Labels of the node. The value "*" matches any value.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// Names of annotations of the node, with any value.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=316
	// +optional
	Annotations []string `json:"annotations,omitempty"`
	// Proof or Support. Defaults to Proof.
	// +default="Proof"
	// +optional
	Role Role `json:"role,omitempty"`
}

// ConfigMapSignal matches a single ConfigMap.
type ConfigMapSignal struct {
	// Namespace of the ConfigMap.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Namespace string `json:"namespace,omitempty"`
	// Name of the ConfigMap.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// Text that one of the values of the ConfigMap must contain. If unset, it is sufficient that the ConfigMap exists.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Contains string `json:"contains,omitempty"`
	// Proof or Support. Defaults to Support.
	// +default="Support"
	// +optional
	Role Role `json:"role,omitempty"`
}

// APIServerSignal matches the API server of the cluster.
type APIServerSignal struct {
	// Regular expression (RE2) that the version must match, for example "[+]k3s".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Version string `json:"version,omitempty"`
	// Proof or Support. Defaults to Proof.
	// +default="Proof"
	// +optional
	Role Role `json:"role,omitempty"`
}

// VersionOrigin is the origin of a version.
// +kubebuilder:validation:Enum=ImageTag;VersionLabel;ChartLabel;APIServer;ContainerRuntime;Kubelet;OSImage;NodeLabel;WorkloadLabel;CRDAnnotation;ConfigMap;Expression;None
type VersionOrigin string

// The origins of a version.
const (
	// VersionFromImageTag is the tag of the image that the signal matched.
	VersionFromImageTag VersionOrigin = "ImageTag"
	// VersionFromVersionLabel is the label app.kubernetes.io/version of the workload or its pod template.
	VersionFromVersionLabel VersionOrigin = "VersionLabel"
	// VersionFromChartLabel is the version in the label helm.sh/chart, for products whose chart carries the product's version.
	VersionFromChartLabel VersionOrigin = "ChartLabel"
	// VersionFromWorkloadLabel is the value of a label of the workload or its pod template.
	VersionFromWorkloadLabel VersionOrigin = "WorkloadLabel"
	// VersionFromAPIServer is the version that the API server reports at /version.
	VersionFromAPIServer VersionOrigin = "APIServer"
	// VersionFromContainerRuntime is the version in the node's status.nodeInfo.containerRuntimeVersion.
	VersionFromContainerRuntime VersionOrigin = "ContainerRuntime"
	// VersionFromKubelet is the node's status.nodeInfo.kubeletVersion.
	VersionFromKubelet VersionOrigin = "Kubelet"
	// VersionFromOSImage is the version in the node's status.nodeInfo.osImage.
	VersionFromOSImage VersionOrigin = "OSImage"
	// VersionFromNodeLabel is the value of a label of the node.
	VersionFromNodeLabel VersionOrigin = "NodeLabel"
	// VersionFromCRDAnnotation is the value of an annotation of a CustomResourceDefinition that a signal names.
	VersionFromCRDAnnotation VersionOrigin = "CRDAnnotation"
	// VersionFromConfigMap is the text of the ConfigMap that a signal names. It requires a pattern.
	VersionFromConfigMap VersionOrigin = "ConfigMap"
	// VersionFromNone means that the version cannot be determined, although the image tag or a label looks like one.
	VersionFromNone VersionOrigin = "None"
	// VersionFromDeclaration is the version in a declaration of the product, for example a HelmRelease. Definitions cannot use it: it is used
	// if no other source has a version.
	VersionFromDeclaration VersionOrigin = "Declaration"
	// VersionFromExpression is the value of a CEL expression over one of the component's own resources.
	VersionFromExpression VersionOrigin = "Expression"
)

// VersionSource is one source of a version.
//
// +kubebuilder:validation:XValidation:rule="(self.from in ['NodeLabel', 'WorkloadLabel']) == has(self.label)",message="'label' is required with 'from: NodeLabel' and 'from: WorkloadLabel', and not allowed otherwise"
// +kubebuilder:validation:XValidation:rule="(self.from == 'CRDAnnotation') == has(self.annotation)",message="'annotation' is required with 'from: CRDAnnotation', and not allowed otherwise"
// +kubebuilder:validation:XValidation:rule="self.from != 'ConfigMap' || has(self.pattern)",message="'pattern' is required with 'from: ConfigMap', to extract the version from the text"
// +kubebuilder:validation:XValidation:rule="self.from == 'Expression' ? has(self.resource) && has(self.expression) : !has(self.resource) && !has(self.match) && !has(self.expression)",message="'from: Expression' requires 'resource' and 'expression'; with another origin, remove 'resource', 'match' and 'expression'"
type VersionSource struct {
	// The origin of the version.
	// +required
	From VersionOrigin `json:"from,omitempty"`
	// Regular expression (RE2) that extracts the version: its first group, or the whole match. If unset, the first text that looks like
	// a version is used.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Pattern string `json:"pattern,omitempty"`
	// Name of the label of the node or workload.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	// +optional
	Label string `json:"label,omitempty"`
	// Name of the annotation of the CustomResourceDefinition.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	// +optional
	Annotation string `json:"annotation,omitempty"`
	// The resource that the expression is evaluated on.
	// +optional
	Resource *ResourceReference `json:"resource,omitempty"`
	// CEL expression that selects objects: it is true for the objects to evaluate. If unset, all objects are selected.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Match string `json:"match,omitempty"`
	// CEL expression that is evaluated on each object and yields the version as a string, or an empty string. If the objects yield
	// different versions, the version could not be determined.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Expression string `json:"expression,omitempty"`
}

// HealthRules determine the health of a component, in addition to the rollouts of its workloads.
type HealthRules struct {
	// The rules. The component is Degraded if one is not satisfied. Rules over resources that the cluster does not serve are ignored.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +required
	Rules []HealthRule `json:"rules,omitempty"`
}

// HealthRule is a rule over the component's own resources.
type HealthRule struct {
	// Name of the rule, unique within the definition.
	// +required
	Name Name `json:"name,omitempty"`

	Rule `json:",inline"`
}

// NamedCheck is a rule over the resources that the component manages. A requirement refers to it by name.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minPercentFrom) || !has(self.minPercent) && !has(self.listExpression) && (!has(self.require) || self.require == 'All')",message="'minPercentFrom' replaces 'minPercent', and requires 'expression' and 'require: All'"
type NamedCheck struct {
	// Name of the check, unique within the definition.
	// +required
	Name Name `json:"name,omitempty"`
	// What the check requires.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Description string `json:"description,omitempty"`
	// Parameters that a requirement can set.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Parameters []CheckParameter `json:"parameters,omitempty"`
	// Name of the Integer parameter with the percentage of objects that must satisfy expression.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	MinPercentFrom string `json:"minPercentFrom,omitempty"`

	Rule `json:",inline"`
}

// ParameterType is the CEL type of a parameter.
// +kubebuilder:validation:Enum=String;Integer;Duration
type ParameterType string

// The types of a parameter.
const (
	// ParameterString is text.
	ParameterString ParameterType = "String"
	// ParameterInteger is an integer.
	ParameterInteger ParameterType = "Integer"
	// ParameterDuration is a duration such as 24h or 90m.
	ParameterDuration ParameterType = "Duration"
)

// CheckParameter is a parameter of a named check.
type CheckParameter struct {
	// Name of the parameter.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z][a-zA-Z0-9]*$`
	// +required
	Name string `json:"name,omitempty"`
	// CEL type of the parameter.
	// +default="String"
	// +optional
	Type ParameterType `json:"type,omitempty"`
	// Default value. Without a default, a requirement must set the parameter.
	// +optional
	Default *ParameterValue `json:"default,omitempty"`
	// Meaning of the parameter.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Description string `json:"description,omitempty"`
}

// Remediation describes what to do if the component is missing or degraded.
type Remediation struct {
	// How to install the component, in one line.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Install string `json:"install,omitempty"`
	// Address of its documentation.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Docs string `json:"docs,omitempty"`
	// Command or hint to start with if the component is degraded.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Degraded string `json:"degraded,omitempty"`
}

// PlatformComponentStatus reports whether the definition is in use.
type PlatformComponentStatus struct {
	// The generation that was last compiled.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Number of installations in the cluster.
	// +optional
	Installations int32 `json:"installations"`
	// Accepted reports whether the definition is in use. Ready and Stalled follow kstatus.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
