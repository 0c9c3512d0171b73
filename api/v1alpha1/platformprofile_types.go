package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PlatformProfile declares which layers of the cloud-native ecosystem a cluster must have. Its status reports which requirements are
// satisfied, and the component, version, health and evidence found for each.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=pprofile,categories=platform
// +kubebuilder:printcolumn:name="Conformant",type=string,JSONPath=`.status.conditions[?(@.type=="Conformant")].status`,description="Whether every Required requirement is satisfied or waived: True, False, or Unknown if something is unreadable."
// +kubebuilder:printcolumn:name="Score",type=string,JSONPath=`.status.score`,description="Satisfied Required requirements out of all Required requirements, and how many are waived."
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.reason`,description="Layers that fail or are Unknown."
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Ready",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the current generation has been evaluated."
// +kubebuilder:printcolumn:name="Suspended",type=boolean,priority=1,JSONPath=`.spec.suspend`
// +kubebuilder:printcolumn:name="Changed",type=date,priority=1,JSONPath=`.status.lastChangeTime`,description="When an evaluation last changed the status."
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Conformant")].message`
type PlatformProfile struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What the cluster must have.
	// +required
	Spec PlatformProfileSpec `json:"spec,omitzero"`
	// The result of the last evaluation. Only the operator writes it.
	// +optional
	Status PlatformProfileStatus `json:"status,omitempty"`
}

// PlatformProfileList is a list of PlatformProfiles.
//
// +kubebuilder:object:root=true
type PlatformProfileList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PlatformProfile `json:"items"`
}

// UndeclaredPolicy is the policy for undeclared components: components that are installed but not declared by any requirement.
// +kubebuilder:validation:Enum=Ignore;Report;Forbid
type UndeclaredPolicy string

// The policies for undeclared components.
const (
	// UndeclaredIgnore ignores them.
	UndeclaredIgnore UndeclaredPolicy = "Ignore"
	// UndeclaredReport lists them in status.undeclared.
	UndeclaredReport UndeclaredPolicy = "Report"
	// UndeclaredForbid lists them and makes the profile non-conformant.
	UndeclaredForbid UndeclaredPolicy = "Forbid"
)

// PlatformProfileSpec declares named layers of requirements, and how to evaluate them.
//
// The number of requirements is bounded, so that the status stays far below the size limit of the API server.
//
// +kubebuilder:validation:XValidation:rule="self.layers.map(l, l.requirements.size()).sum() <= 256",message="a profile can contain at most 256 requirements: split it into several profiles"
type PlatformProfileSpec struct {
	// Suspends the evaluation. The status keeps the last verdicts, and the Ready condition has the reason Suspended.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// How often to evaluate even if nothing changed, for example 10m or 1h30m. This is a safety net: changes in the cluster are evaluated
	// when they happen.
	// +default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="interval must be between 10s and 24h: it is a safety net, changes are evaluated when they happen"
	// +optional
	Interval *metav1.Duration `json:"interval,omitempty"`

	// How long a Required requirement may fail before Conformant changes from True to False, for example 5m. It avoids alerts during
	// rolling updates. Verdicts change at once.
	// +default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="gracePeriod must be between 0s and 24h"
	// +optional
	GracePeriod *metav1.Duration `json:"gracePeriod,omitempty"`

	// What to do about components that are installed but not declared by any requirement: Ignore them, Report them in status.undeclared,
	// or Forbid them, which makes the profile non-conformant.
	// +default="Ignore"
	// +optional
	Undeclared UndeclaredPolicy `json:"undeclared,omitempty"`

	// The layers, each with its requirements and its own condition. Layer names are unique.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=24
	// +required
	Layers []Layer `json:"layers,omitempty"`
}

// Layer is a named group of requirements.
type Layer struct {
	// Name of the layer, for example network or storage. The condition of a layer is named after it: NetworkConformant is the condition
	// of "network".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=48
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-z0-9]*(-[a-z0-9]+)*$')",message="a layer's name must consist of lower case letters, digits and single dashes, and begin with a letter, for example 'service-mesh'"
	// +required
	Name string `json:"name,omitempty"`

	// Requirements of the layer. Names are unique within the layer.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +required
	Requirements []Requirement `json:"requirements,omitempty"`
}

// Severity determines whether a failing requirement makes the profile non-conformant.
// +kubebuilder:validation:Enum=Required;Recommended
type Severity string

// The severities of a requirement.
const (
	// SeverityRequired makes the profile non-conformant when the requirement fails.
	SeverityRequired Severity = "Required"
	// SeverityRecommended reports a failure, but the profile stays conformant.
	SeverityRecommended Severity = "Recommended"
)

// Presence determines whether a component must be installed or must not be installed.
// +kubebuilder:validation:Enum=Present;Absent
type Presence string

// The values of Presence.
const (
	// PresencePresent requires at least one installation.
	PresencePresent Presence = "Present"
	// PresenceAbsent requires that there is no installation.
	PresenceAbsent Presence = "Absent"
)

// HealthRequirement is the minimum health that satisfies a requirement.
// +kubebuilder:validation:Enum=Healthy;Any
type HealthRequirement string

// The values of HealthRequirement.
const (
	// RequireHealthy requires an installation that is Healthy or Progressing.
	RequireHealthy HealthRequirement = "Healthy"
	// RequireAnyHealth requires an installation of any health.
	RequireAnyHealth HealthRequirement = "Any"
)

// Requirement is one line of a profile. Its outcome is a verdict. Exactly one of capability, anyOf, rule and attestation must be set.
//
// +kubebuilder:validation:XValidation:rule="(has(self.capability) ? 1 : 0) + (has(self.anyOf) ? 1 : 0) + (has(self.rule) ? 1 : 0) + (has(self.attestation) ? 1 : 0) == 1",message="a requirement must set exactly one of 'capability', 'anyOf', 'rule' and 'attestation': keep one of them, and move the others to requirements of their own"
// +kubebuilder:validation:XValidation:rule="!(has(self.rule) || has(self.attestation)) || !(has(self.presence) || has(self.exclusive) || has(self.health) || has(self.checks))",message="'presence', 'exclusive', 'health' and 'checks' belong to 'capability' and 'anyOf': remove them from a requirement that uses 'rule' or 'attestation'"
// +kubebuilder:validation:XValidation:rule="!has(self.presence) || self.presence == 'Present' || !(has(self.exclusive) && self.exclusive || has(self.checks))",message="'exclusive' and 'checks' cannot be combined with 'presence: Absent': remove them, or use 'presence: Present'"
// +kubebuilder:validation:XValidation:rule="!has(self.checks) || has(self.anyOf)",message="'checks' belong to a component: name the component under 'anyOf'"
type Requirement struct {
	// Name of the requirement, unique within its layer.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="a requirement's name must consist of lower case letters, digits, dashes and dots, and begin and end with a letter or digit, for example 'runtime-security'"
	// +required
	Name string `json:"name,omitempty"`

	// Required or Recommended. A Recommended requirement never makes the profile non-conformant.
	// +default="Required"
	// +optional
	Severity Severity `json:"severity,omitempty"`

	// Requires any component that provides this capability, for example cni, ingress or backup.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Capability string `json:"capability,omitempty"`

	// Requires one of these components, each with its own version range.
	// +listType=map
	// +listMapKey=component
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	AnyOf []ComponentChoice `json:"anyOf,omitempty"`

	// Requires that the objects of a resource satisfy a rule.
	// +optional
	Rule *Rule `json:"rule,omitempty"`

	// Attests something that the operator cannot evaluate in the cluster.
	// +optional
	Attestation *Attestation `json:"attestation,omitempty"`

	// Present requires at least one installation, Absent requires none. Defaults to Present.
	// +optional
	Presence Presence `json:"presence,omitempty"`

	// Makes the verdict Conflict if more than one implementation is installed: more than one of the named components, or of the
	// components that provide a capability which all named components share.
	// +optional
	Exclusive bool `json:"exclusive,omitempty"`

	// The minimum health: Healthy (which includes a rollout in progress) or Any. Defaults to Healthy.
	// +optional
	Health HealthRequirement `json:"health,omitempty"`

	// Named checks of the component's definition that must be satisfied, for example backup-recent.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Checks []CheckReference `json:"checks,omitempty"`
}

// ComponentChoice is a component that satisfies the requirement, with a version range.
type ComponentChoice struct {
	// Name of a PlatformComponent, built-in or in the cluster, for example cilium.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Component string `json:"component,omitempty"`

	// Version range, for example ">=1.16.0 <2" or "~3.28". A range is one or more comparisons, separated by spaces or commas,
	// that must all be true; "||" separates alternatives. A comparison is =, !=, >, >=, < or <= with a version, ~1.2 (1.2.x),
	// ^1.2 (1.2 and later below 2), "1.2 - 1.4" (both included), or a version with x or * for any number. A pre-release is
	// compared by its precedence: 1.17.0-rc.1 is in the range >=1.16. If unset, every version satisfies the requirement.
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Version string `json:"version,omitempty"`
}

// CheckReference refers to a named check of the component's definition.
type CheckReference struct {
	// Name of the check in the component's definition.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`

	// Values of the check's parameters. Unset parameters have the defaults of the definition.
	// +kubebuilder:validation:MaxProperties=8
	// +optional
	Parameters map[string]ParameterValue `json:"parameters,omitempty"`
}

// ParameterValue is the value of a check's parameter, as text: "24h", "3", "prod".
// +kubebuilder:validation:MaxLength=128
type ParameterValue string

// Attestation is a statement about something that the operator cannot evaluate in the cluster.
type Attestation struct {
	// The person or team that makes the statement.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	By string `json:"by,omitempty"`

	// Why the operator cannot evaluate it, and what is the case instead.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Reason string `json:"reason,omitempty"`

	// Address of further information.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self == '' || self.startsWith('https://') || self.startsWith('http://')",message="url must begin with https:// or http://"
	// +optional
	URL string `json:"url,omitempty"`

	// When the attestation expires, for example 2030-06-30T00:00:00Z. Afterwards the verdict is Expired. If unset, the attestation does
	// not expire.
	// +optional
	Expires *metav1.Time `json:"expires,omitempty"`
}

// Verdict is the outcome of one requirement, or the worst outcome of a layer.
// +kubebuilder:validation:Enum=Satisfied;Attested;Missing;Degraded;VersionMismatch;CheckFailed;Conflict;Forbidden;Expired;Unknown
type Verdict string

// The verdicts.
const (
	// VerdictSatisfied means that the requirement is satisfied.
	VerdictSatisfied Verdict = "Satisfied"
	// VerdictAttested means that an attestation is valid.
	VerdictAttested Verdict = "Attested"
	// VerdictMissing means that nothing that satisfies the requirement is installed. Leftovers of an uninstall do not count.
	VerdictMissing Verdict = "Missing"
	// VerdictDegraded means that the component is installed and its health is Degraded.
	VerdictDegraded Verdict = "Degraded"
	// VerdictVersionMismatch means that the installed version is outside the range.
	VerdictVersionMismatch Verdict = "VersionMismatch"
	// VerdictCheckFailed means that a rule or a check is not satisfied.
	VerdictCheckFailed Verdict = "CheckFailed"
	// VerdictConflict means that more than one implementation is installed, but only one is allowed.
	VerdictConflict Verdict = "Conflict"
	// VerdictForbidden means that a component is installed that must not be.
	VerdictForbidden Verdict = "Forbidden"
	// VerdictExpired means that an attestation has expired.
	VerdictExpired Verdict = "Expired"
	// VerdictUnknown means that the requirement could not be evaluated, for example because a resource is unreadable.
	VerdictUnknown Verdict = "Unknown"
)

// Health is the health of an installation.
// +kubebuilder:validation:Enum=Healthy;Progressing;Degraded;NotObserved;Unknown
type Health string

// The values of Health.
const (
	// HealthHealthy means that all parts are available.
	HealthHealthy Health = "Healthy"
	// HealthProgressing means that a rollout is in progress and within its deadline.
	HealthProgressing Health = "Progressing"
	// HealthDegraded means that a part is not available or fails a health rule.
	HealthDegraded Health = "Degraded"
	// HealthNotObserved means that the objects have no status, as in manifests from files.
	HealthNotObserved Health = "NotObserved"
	// HealthUnknown means that the health could not be determined, for example because a resource is unreadable.
	HealthUnknown Health = "Unknown"
)

// The condition types. In addition, each layer has a condition that is named after it, for example NetworkConformant.
const (
	// ConditionConformant reports whether every Required requirement is satisfied or waived.
	ConditionConformant = "Conformant"
	// ConditionReady reports whether the current generation has been evaluated. It follows kstatus.
	ConditionReady = "Ready"
	// ConditionReconciling is True while a generation waits for its first evaluation, and absent otherwise.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True while the spec has errors, and absent otherwise.
	ConditionStalled = "Stalled"
	// ConditionAccepted reports whether a PlatformComponent is in use.
	ConditionAccepted = "Accepted"
)

// PlatformProfileStatus is the result of the last evaluation.
type PlatformProfileStatus struct {
	// The generation that was last evaluated.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// When an evaluation last changed the status.
	// +optional
	LastChangeTime *metav1.Time `json:"lastChangeTime,omitempty"`

	// Counts over all requirements.
	// +optional
	Summary *Summary `json:"summary,omitempty"`

	// Satisfied Required requirements out of all Required requirements, for example "17/18", or "16/18 (2 waived)".
	// +optional
	Score string `json:"score,omitempty"`

	// The layers that fail or are Unknown, in a short text for a table column.
	// +optional
	Reason string `json:"reason,omitempty"`

	// The layers in the order of the spec, each with its requirements.
	// +listType=atomic
	// +optional
	Layers []LayerStatus `json:"layers,omitempty"`

	// The worst diagnoses of the pods of unhealthy components. Those of Required requirements come first.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Diagnoses []Diagnosis `json:"diagnoses,omitempty"`

	// The number of diagnoses that are omitted. "platformprofile diagnose" lists all of them.
	// +optional
	DiagnosesOmitted int32 `json:"diagnosesOmitted,omitempty"`

	// Components that are installed but not declared by any requirement. Empty if spec.undeclared is Ignore.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Undeclared []UndeclaredComponent `json:"undeclared,omitempty"`

	// Conformant reports whether every Required requirement is satisfied, and Ready whether the current generation has been evaluated.
	// Each layer has a condition that is named after it, for example NetworkConformant. Reconciling (a generation waits for its first
	// evaluation) and Stalled (the spec has errors) are present only while they are True.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Summary counts requirements.
type Summary struct {
	// Number of Required requirements.
	Required int32 `json:"required"`
	// Number of Required requirements that are Satisfied or Attested.
	Satisfied int32 `json:"satisfied"`
	// Number of Required requirements that fail and are not waived.
	Failed int32 `json:"failed"`
	// Number of Required requirements that fail and are waived.
	// +optional
	Waived int32 `json:"waived,omitempty"`
	// Number of Required requirements that are Unknown.
	Unknown int32 `json:"unknown"`
	// Number of Recommended requirements.
	Recommended int32 `json:"recommended"`
	// Number of Recommended requirements that are Satisfied or Attested.
	RecommendedSatisfied int32 `json:"recommendedSatisfied"`
}

// LayerStatus is the outcome of one layer.
type LayerStatus struct {
	// Name of the layer.
	Name string `json:"name"`
	// The worst verdict of the Required requirements of the layer that are not waived; Satisfied if none fails.
	Verdict Verdict `json:"verdict"`
	// Number of requirements of the layer that are Satisfied or Attested.
	Satisfied int32 `json:"satisfied"`
	// Number of requirements of the layer.
	Total int32 `json:"total"`
	// The requirements in the order of the spec.
	// +listType=atomic
	// +optional
	Requirements []RequirementStatus `json:"requirements,omitempty"`
}

// RequirementStatus is the outcome of one requirement.
type RequirementStatus struct {
	// Name of the requirement.
	Name string `json:"name"`
	// The outcome. The requirement is satisfied if the verdict is Satisfied or Attested, and fails if it is neither of them nor Unknown.
	Verdict Verdict `json:"verdict"`
	// Recommended, or absent if the requirement is Required.
	// +optional
	Severity Severity `json:"severity,omitempty"`
	// The component that the verdict is about.
	// +optional
	Component string `json:"component,omitempty"`
	// Version of the component without a leading v; empty if it could not be determined.
	// +optional
	Version string `json:"version,omitempty"`
	// Health of the component.
	// +optional
	Health Health `json:"health,omitempty"`
	// Namespace of the installation; empty if it belongs to nodes or to the whole cluster.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// The object that manages the installation, for example "HelmRelease monitoring/prometheus"; empty if it is unknown.
	// +optional
	ManagedBy string `json:"managedBy,omitempty"`
	// What was found, where, and what is wrong with it. Absent if a healthy component satisfies the requirement, because the other
	// fields describe it.
	// +optional
	Message string `json:"message,omitempty"`
	// What to do if the requirement is not satisfied.
	// +optional
	Remediation string `json:"remediation,omitempty"`
	// The objects that the verdict is based on: one if the requirement is satisfied, otherwise the most relevant few, for example the
	// objects that fail a rule.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Evidence []Evidence `json:"evidence,omitempty"`
	// When the verdict last changed. Absent if the requirement has been satisfied since its first evaluation.
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
	// Since when the requirement has not been satisfied, even if the verdict changed in the meantime.
	// +optional
	FailingSince *metav1.Time `json:"failingSince,omitempty"`
	// The waiver that covers the verdict; absent if there is none. The requirement does not make the profile non-conformant until it ends.
	// +optional
	Waived *AppliedWaiver `json:"waived,omitempty"`
}

// AppliedWaiver is the part of a PlatformWaiver that readers of a verdict need.
type AppliedWaiver struct {
	// Name of the PlatformWaiver.
	Waiver string `json:"waiver"`
	// The person or team that decided it.
	By string `json:"by"`
	// Why the requirement is waived.
	Reason string `json:"reason"`
	// Address of further information.
	// +optional
	URL string `json:"url,omitempty"`
	// When the waiver ends. Absent for what "platformprofile check --baseline" waives.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}

// Evidence is an object of the cluster that a verdict is based on.
type Evidence struct {
	// API version of the object.
	APIVersion string `json:"apiVersion"`
	// Kind of the object.
	Kind string `json:"kind"`
	// Namespace of the object; empty for cluster-scoped ones.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// Name of the object.
	Name string `json:"name"`
	// The signal that matched, for example "image quay.io/cilium/cilium:v1.18.2", or why the object fails a rule.
	// +optional
	Signal string `json:"signal,omitempty"`
}

// Diagnosis describes what is wrong with a pod of a workload.
type Diagnosis struct {
	// The workload that the pod belongs to.
	Workload WorkloadReference `json:"workload"`
	// Name of the pod; empty if the symptom is that of the workload.
	// +optional
	Pod string `json:"pod,omitempty"`
	// Name of the container, if the symptom is that of a container.
	// +optional
	Container string `json:"container,omitempty"`
	// The symptom, for example CrashLoop or VolumeClaimUnbound.
	Symptom string `json:"symptom"`
	// Name of the node, if the fault is one of the node and not only of this pod.
	// +optional
	Node string `json:"node,omitempty"`
	// When the symptom began, as far as it is known.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// What the symptom means.
	// +optional
	Meaning string `json:"meaning,omitempty"`
	// Likely causes, the likeliest first.
	// +listType=atomic
	// +optional
	LikelyCauses []string `json:"likelyCauses,omitempty"`
	// Commands for further investigation.
	// +listType=atomic
	// +optional
	Commands []string `json:"commands,omitempty"`
}

// WorkloadReference names a workload.
type WorkloadReference struct {
	// Kind of the workload, for example Deployment.
	Kind string `json:"kind"`
	// Namespace of the workload.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// Name of the workload.
	Name string `json:"name"`
}

// UndeclaredComponent is a component that is installed but not declared by any requirement.
type UndeclaredComponent struct {
	// Name of the component.
	Component string `json:"component"`
	// Version of the component; empty if it could not be determined.
	// +optional
	Version string `json:"version,omitempty"`
	// Namespace of the installation.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}
