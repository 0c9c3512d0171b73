package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PlatformComponent says how one product is recognised in a cluster, where its version comes from, what its health
// is and which checks it offers. The built-in catalog consists of the same kind; one that is applied to the cluster
// extends the catalog, or overrides the built-in one of the same name, without a restart.
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
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="the name is the component's name in profiles: at most 63 lower case letters, digits and dashes"
type PlatformComponent struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// How the component is recognised and judged.
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

// Name is a lower case name as capabilities, layers and components have it.
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
type Name string

// PlatformComponentSpec is how one product is recognised and judged.
type PlatformComponentSpec struct {
	// The product's name as people write it.
	// +kubebuilder:validation:MaxLength=128
	// +optional
	DisplayName string `json:"displayName,omitempty"`

	// The layer of the ecosystem it belongs to: core, provisioning, runtime, network, storage, delivery, registry,
	// observability, security, mesh, serverless, workloads, or one of your own.
	// +required
	Layer Name `json:"layer,omitempty"`

	// The roles it fills, for instance cni. A requirement for a capability is satisfied by any component that provides it.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Capabilities []Name `json:"capabilities,omitempty"`

	// Components that this one ships as parts of itself, for instance Harbor its Trivy. An installation of one of them in a
	// namespace that this component is installed in is part of it.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Bundles []Name `json:"bundles,omitempty"`

	// The product's home page.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Homepage string `json:"homepage,omitempty"`

	// What shows that the component is there.
	// +required
	Signals Signals `json:"signals,omitzero"`

	// Where the version comes from: the first source that yields one. Where it is left out: the image tag, then the label
	// app.kubernetes.io/version.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Version []VersionSource `json:"version,omitempty"`

	// Where it is told which of the product's editions this is, for instance the release channel of Gateway API's CRDs: the
	// first source that yields a word. Left out for products that have but one.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4
	// +optional
	Variant []VersionSource `json:"variant,omitempty"`

	// What decides the health beside the rollout of the workloads: rules over the component's own resources.
	// +optional
	Health *HealthRules `json:"health,omitempty"`

	// Named checks over what the component manages, which a requirement can ask for.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Checks []NamedCheck `json:"checks,omitempty"`

	// What labels of the component's own pods tell of why one is not well, where the product sets them as it runs.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +optional
	PodHints []PodHint `json:"podHints,omitempty"`

	// What to do when the component is missing or degraded.
	// +optional
	Remediation *Remediation `json:"remediation,omitempty"`
}

// PodHint is what the labels of a pod tell of it, for instance that a server of Vault is sealed. It is looked at where a pod
// that is not well is diagnosed.
type PodHint struct {
	// Labels that the pod has, each with this value.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +required
	Labels map[string]string `json:"labels,omitempty"`
	// What they mean: a sentence that stands behind what the pod itself shows.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Meaning string `json:"meaning,omitempty"`
	// Arguments of kubectl that show or mend it, in the pod's namespace. {pod} stands for the pod's name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Command string `json:"command,omitempty"`
}

// Role says what a signal is worth.
// +kubebuilder:validation:Enum=Proof;Support
type Role string

// The roles of a signal.
const (
	// RoleProof proves an installation by itself.
	RoleProof Role = "Proof"
	// RoleSupport supports an installation that something else proves, counts for its health where it is a workload, and is
	// residue where nothing proves one.
	RoleSupport Role = "Support"
)

// Signals are the rules by which a component is recognised. Workloads and nodes prove an installation unless they say
// otherwise; everything else supports one unless it says otherwise.
//
// +kubebuilder:validation:XValidation:rule="has(self.workloads) || has(self.crds) || has(self.storageProvisioners) || has(self.csiDrivers) || has(self.ingressControllers) || has(self.gatewayControllers) || has(self.apiServices) || has(self.webhooks) || has(self.runtimeHandlers) || has(self.nodes) || has(self.configMaps) || has(self.apiServer)",message="signals must hold at least one signal, for example workloads: [{images: [\"example/server\"]}]"
type Signals struct {
	// Workloads, by image, labels or name.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Workloads []WorkloadSignal `json:"workloads,omitempty"`
	// CustomResourceDefinitions: a group ("metallb.io") for all of its CRDs, or a CRD's full name ("ipaddresspools.metallb.io").
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
	// IngressClasses, by controller, for instance k8s.io/ingress-nginx.
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
	// APIServices, by group ("metrics.k8s.io") or by full name. Only aggregated ones count, those that a Service backs.
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
	// RuntimeClasses, by handler, for instance runsc.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	RuntimeHandlers []NameSignal `json:"runtimeHandlers,omitempty"`
	// Nodes, by what their kubelet reports and by what marks them.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Nodes []NodeSignal `json:"nodes,omitempty"`
	// Single ConfigMaps, by namespace and name. Each is watched alone; the operator needs permission for it by name.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +optional
	ConfigMaps []ConfigMapSignal `json:"configMaps,omitempty"`
	// The API server, by the version that it reports at /version.
	// +optional
	APIServer *APIServerSignal `json:"apiServer,omitempty"`
}

// WorkloadKind is a kind of workload that is watched.
// +kubebuilder:validation:Enum=Deployment;DaemonSet;StatefulSet
type WorkloadKind string

// The kinds of workload.
const (
	// KindDeployment is apps/v1 Deployment.
	KindDeployment WorkloadKind = "Deployment"
	// KindDaemonSet is apps/v1 DaemonSet.
	KindDaemonSet WorkloadKind = "DaemonSet"
	// KindStatefulSet is apps/v1 StatefulSet.
	KindStatefulSet WorkloadKind = "StatefulSet"
)

// WorkloadSignal recognises a workload. What it names must all hold: one of the kinds, all of the labels, one of the names,
// and of one and the same container one of the images, one of the container names, all of the arguments and all of the
// environment variables.
//
// +kubebuilder:validation:XValidation:rule="has(self.images) || has(self.labels) || has(self.names) || has(self.containers)",message="a workload signal without images, labels, names and containers would match every workload, or what anybody starts so: name at least one of them"
type WorkloadSignal struct {
	// Kinds of workload; all of them where it is left out.
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	// +optional
	Kinds []WorkloadKind `json:"kinds,omitempty"`
	// Repository paths of container images. An image matches when its repository ends in the path on a path boundary, so
	// that a mirror counts: "cilium/cilium" matches harbor.example/quay/cilium/cilium:v1.18.2 and not evil-cilium/cilium2.
	// Init containers do not count.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +optional
	Images []string `json:"images,omitempty"`
	// Labels that the workload or its pod template carries. The value "*" stands for any value.
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
	// Words of the container's command and arguments: a flag by its name without the value ("--metrics-addr"), a program by
	// its name without the path. All of them must be there.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	// +optional
	Arguments []string `json:"arguments,omitempty"`
	// Names of environment variables of the container, whatever their value. All of them must be there.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=128
	// +optional
	Env []string `json:"env,omitempty"`
	// Proof or Support; Proof where it is left out.
	// +default="Proof"
	// +optional
	Role Role `json:"role,omitempty"`
}

// LabelValue is the value of a label, or "*" for any.
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// NameSignal recognises an object by a name that belongs to the component alone.
type NameSignal struct {
	// The name, as the signal's kind takes it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name,omitempty"`
	// Proof or Support; Support where it is left out.
	// +default="Support"
	// +optional
	Role Role `json:"role,omitempty"`
}

// NodeSignal recognises nodes. What it names must all hold.
//
// +kubebuilder:validation:XValidation:rule="has(self.containerRuntime) || has(self.kubeletVersion) || has(self.osImage) || has(self.providerID) || has(self.labels) || has(self.annotations)",message="a node signal must say what it looks at: containerRuntime, kubeletVersion, osImage, providerID, labels or annotations"
type NodeSignal struct {
	// The runtime's name in status.nodeInfo.containerRuntimeVersion, before "://", for instance containerd.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	ContainerRuntime string `json:"containerRuntime,omitempty"`
	// Regular expression (RE2) that status.nodeInfo.kubeletVersion must match, for instance "[+]k3s".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	KubeletVersion string `json:"kubeletVersion,omitempty"`
	// Regular expression (RE2) that status.nodeInfo.osImage must match, for instance "^Talos".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	OSImage string `json:"osImage,omitempty"`
	// Prefix of spec.providerID, for instance "kind://".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	ProviderID string `json:"providerID,omitempty"`
	// Labels of the node. The value "*" stands for any value.
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// Names of annotations that the node carries, whatever their value.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=316
	// +optional
	Annotations []string `json:"annotations,omitempty"`
	// Proof or Support; Proof where it is left out.
	// +default="Proof"
	// +optional
	Role Role `json:"role,omitempty"`
}

// ConfigMapSignal recognises a single ConfigMap.
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
	// Text that one of the ConfigMap's values must contain; where it is left out, that the ConfigMap exists is enough.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Contains string `json:"contains,omitempty"`
	// Proof or Support; Support where it is left out.
	// +default="Support"
	// +optional
	Role Role `json:"role,omitempty"`
}

// APIServerSignal recognises the API server of the cluster.
type APIServerSignal struct {
	// Regular expression (RE2) that the version must match, for instance "[+]k3s".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Version string `json:"version,omitempty"`
	// Proof or Support; Proof where it is left out.
	// +default="Proof"
	// +optional
	Role Role `json:"role,omitempty"`
}

// VersionOrigin is a place that tells a version.
// +kubebuilder:validation:Enum=ImageTag;VersionLabel;ChartLabel;APIServer;ContainerRuntime;Kubelet;OSImage;NodeLabel;WorkloadLabel;CRDAnnotation;ConfigMap;Expression;None
type VersionOrigin string

// The places that tell a version.
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
	// VersionFromConfigMap is the text of the ConfigMap that a signal names, for a pattern to pick the version out of.
	VersionFromConfigMap VersionOrigin = "ConfigMap"
	// VersionFromNone says that nothing in a cluster tells the version, and that what looks like one is another's.
	VersionFromNone VersionOrigin = "None"
	// VersionFromExpression is the value of a CEL expression over one of the component's own resources.
	VersionFromExpression VersionOrigin = "Expression"
)

// VersionSource is one place to look for the version.
//
// +kubebuilder:validation:XValidation:rule="(self.from in ['NodeLabel', 'WorkloadLabel']) == has(self.label)",message="'label' goes with 'from: NodeLabel' and 'from: WorkloadLabel', and they need one"
// +kubebuilder:validation:XValidation:rule="(self.from == 'CRDAnnotation') == has(self.annotation)",message="'annotation' goes with 'from: CRDAnnotation', and it needs one"
// +kubebuilder:validation:XValidation:rule="self.from != 'ConfigMap' || has(self.pattern)",message="'from: ConfigMap' needs a pattern that picks the version out of the text"
// +kubebuilder:validation:XValidation:rule="self.from == 'Expression' ? has(self.resource) && has(self.expression) : !has(self.resource) && !has(self.match) && !has(self.expression)",message="'resource', 'match' and 'expression' go with 'from: Expression', and it needs 'resource' and 'expression'"
type VersionSource struct {
	// The place.
	// +required
	From VersionOrigin `json:"from,omitempty"`
	// Regular expression (RE2) that picks the version out of what the place says: its first group, or all that it matches.
	// Where it is left out, the first thing that looks like a version.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Pattern string `json:"pattern,omitempty"`
	// Name of the node's or workload's label.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	// +optional
	Label string `json:"label,omitempty"`
	// Name of the CustomResourceDefinition's annotation.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	// +optional
	Annotation string `json:"annotation,omitempty"`
	// The resource whose objects the expression is about.
	// +optional
	Resource *ResourceReference `json:"resource,omitempty"`
	// CEL expression that is true of the objects to look at; all of them where it is left out.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Match string `json:"match,omitempty"`
	// CEL expression over one object that yields the version as a string; an empty one says nothing. Where objects yield
	// different versions, there is none.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Expression string `json:"expression,omitempty"`
}

// HealthRules decide the health beside the rollout of the workloads.
type HealthRules struct {
	// The rules; the component is Degraded when one does not hold. A rule whose resource the cluster does not serve says nothing.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +required
	Rules []HealthRule `json:"rules,omitempty"`
}

// HealthRule is one rule over the component's own resources.
type HealthRule struct {
	// Name of the rule, unique within the definition.
	// +required
	Name Name `json:"name,omitempty"`

	Rule `json:",inline"`
}

// NamedCheck is a check over what the component manages, which a requirement can ask for by name.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minPercentFrom) || !has(self.minPercent) && !has(self.listExpression) && (!has(self.require) || self.require == 'All')",message="'minPercentFrom' takes the place of 'minPercent', and goes with 'expression' and 'require: All'"
type NamedCheck struct {
	// Name of the check, unique within the definition.
	// +required
	Name Name `json:"name,omitempty"`
	// What the check asks for.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Description string `json:"description,omitempty"`
	// Parameters that a requirement can set.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Parameters []CheckParameter `json:"parameters,omitempty"`
	// Name of the Integer parameter that holds the share of the objects, in percent, that must satisfy expression.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	MinPercentFrom string `json:"minPercentFrom,omitempty"`

	Rule `json:",inline"`
}

// ParameterType is the type that a parameter has in CEL.
// +kubebuilder:validation:Enum=String;Integer;Duration
type ParameterType string

// The types of a parameter.
const (
	// ParameterString is text.
	ParameterString ParameterType = "String"
	// ParameterInteger is a whole number.
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
	// Its type in CEL.
	// +default="String"
	// +optional
	Type ParameterType `json:"type,omitempty"`
	// Its value where a requirement sets none. Without a default a requirement must set one.
	// +optional
	Default *ParameterValue `json:"default,omitempty"`
	// What it means.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Description string `json:"description,omitempty"`
}

// Remediation says what to do when the component is missing or degraded.
type Remediation struct {
	// How it is installed, in a line.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Install string `json:"install,omitempty"`
	// Where its documentation is.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Docs string `json:"docs,omitempty"`
	// What to look at first when it is degraded.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Degraded string `json:"degraded,omitempty"`
}

// PlatformComponentStatus says whether the definition is in use.
type PlatformComponentStatus struct {
	// The generation that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Installations found by it.
	// +optional
	Installations int32 `json:"installations"`
	// Accepted says whether the definition is in use; Ready and Stalled follow kstatus.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
