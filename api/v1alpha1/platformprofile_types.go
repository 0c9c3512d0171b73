package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PlatformProfile declares which layers of the cloud-native ecosystem a cluster must have. Its status says what
// holds and what does not, which component and version was found, in which health and on what evidence.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=pprofile,categories=platform
// +kubebuilder:printcolumn:name="Conformant",type=string,JSONPath=`.status.conditions[?(@.type=="Conformant")].status`,description="Whether every Required requirement holds: True, False, or Unknown where the operator could not look."
// +kubebuilder:printcolumn:name="Score",type=string,JSONPath=`.status.score`,description="Required requirements that hold, of all that are Required."
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.reason`,description="The layers that fail or cannot be judged, and what flaps."
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Ready",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether the present generation was evaluated."
// +kubebuilder:printcolumn:name="Suspended",type=boolean,priority=1,JSONPath=`.spec.suspend`
// +kubebuilder:printcolumn:name="Changed",type=date,priority=1,JSONPath=`.status.lastChangeTime`,description="When an evaluation last found something different."
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Conformant")].message`
type PlatformProfile struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What the cluster must have.
	// +required
	Spec PlatformProfileSpec `json:"spec,omitzero"`
	// What was found. Written by the operator alone.
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

// UndeclaredPolicy says what happens with components that are installed and that no requirement mentions.
// +kubebuilder:validation:Enum=Ignore;Report;Forbid
type UndeclaredPolicy string

// The policies for components that no requirement mentions.
const (
	// UndeclaredIgnore says nothing of them.
	UndeclaredIgnore UndeclaredPolicy = "Ignore"
	// UndeclaredReport lists them in status.undeclared.
	UndeclaredReport UndeclaredPolicy = "Report"
	// UndeclaredForbid lists them and makes the profile non-conformant.
	UndeclaredForbid UndeclaredPolicy = "Forbid"
)

// PlatformProfileSpec is the declaration: named layers of requirements, and how to judge them.
//
// The number of requirements is bounded so that the status, which says something of each, stays far below the size that
// the API server stores.
//
// +kubebuilder:validation:XValidation:rule="self.layers.map(l, l.requirements.size()).sum() <= 256",message="a profile holds at most 256 requirements: split it into several profiles"
type PlatformProfileSpec struct {
	// Stops the evaluation. The status keeps what was found last, and the Ready condition says since when it is suspended.
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// How often to evaluate even if nothing changed, for instance 10m or 1h30m. A safety net: changes in the cluster are
	// evaluated when they happen.
	// +default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="interval must be between 10s and 24h: it is a safety net, changes are evaluated when they happen"
	// +optional
	Interval *metav1.Duration `json:"interval,omitempty"`

	// How long a Required requirement may fail before Conformant turns from True to False, so that a rolling update pages
	// nobody, for instance 5m. Verdicts turn at once, and the condition Flapping tells of one that keeps turning within it.
	// +default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="gracePeriod must be between 0s and 24h"
	// +optional
	GracePeriod *metav1.Duration `json:"gracePeriod,omitempty"`

	// What to do about components that are installed and that no requirement mentions: Ignore them, Report them in
	// status.undeclared, or Forbid them, which makes the profile non-conformant.
	// +default="Ignore"
	// +optional
	Undeclared UndeclaredPolicy `json:"undeclared,omitempty"`

	// The layers, each with its requirements. Layer names are unique; each gets a condition of its own.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=24
	// +required
	Layers []Layer `json:"layers,omitempty"`
}

// Layer is a named group of requirements.
type Layer struct {
	// Name of the layer, for instance network or storage. It names the layer's condition: "network" is reported by the
	// condition NetworkConformant.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=48
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-z0-9]*(-[a-z0-9]+)*$')",message="a layer's name must be lower case letters, digits and single dashes, and begin with a letter, for example 'service-mesh'"
	// +required
	Name string `json:"name,omitempty"`

	// What the layer must have. Names are unique within the layer.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +required
	Requirements []Requirement `json:"requirements,omitempty"`
}

// Severity says whether a failing requirement makes the profile non-conformant.
// +kubebuilder:validation:Enum=Required;Recommended
type Severity string

// The severities of a requirement.
const (
	// SeverityRequired makes the profile non-conformant when the requirement fails.
	SeverityRequired Severity = "Required"
	// SeverityRecommended reports a failure and leaves the profile conformant.
	SeverityRecommended Severity = "Recommended"
)

// Presence says whether what a requirement names must be there or must not.
// +kubebuilder:validation:Enum=Present;Absent
type Presence string

// The ways a requirement can ask for a component.
const (
	// PresencePresent asks for at least one installation.
	PresencePresent Presence = "Present"
	// PresenceAbsent asks for none.
	PresenceAbsent Presence = "Absent"
)

// HealthRequirement is the least health that satisfies a requirement.
// +kubebuilder:validation:Enum=Healthy;Any
type HealthRequirement string

// The least health that can be asked for.
const (
	// RequireHealthy asks for an installation that works, or that is being rolled out.
	RequireHealthy HealthRequirement = "Healthy"
	// RequireAnyHealth asks for an installation, whatever its health.
	RequireAnyHealth HealthRequirement = "Any"
)

// Requirement is one line of a profile; its outcome is a verdict. Exactly one of capability, anyOf, rule and attestation
// says what is asked for.
//
// +kubebuilder:validation:XValidation:rule="(has(self.capability) ? 1 : 0) + (has(self.anyOf) ? 1 : 0) + (has(self.rule) ? 1 : 0) + (has(self.attestation) ? 1 : 0) == 1",message="a requirement must say what it asks for by exactly one of 'capability', 'anyOf', 'rule' and 'attestation': keep one of them and remove or split off the others"
// +kubebuilder:validation:XValidation:rule="!(has(self.rule) || has(self.attestation)) || !(has(self.presence) || has(self.exclusive) || has(self.health) || has(self.checks))",message="'presence', 'exclusive', 'health' and 'checks' belong to 'capability' and 'anyOf': remove them from a requirement that uses 'rule' or 'attestation'"
// +kubebuilder:validation:XValidation:rule="!has(self.presence) || self.presence == 'Present' || !(has(self.exclusive) && self.exclusive || has(self.checks))",message="'exclusive' and 'checks' make no sense with 'presence: Absent': remove them, or ask for 'presence: Present'"
// +kubebuilder:validation:XValidation:rule="!has(self.checks) || has(self.anyOf)",message="'checks' are offered by a component: name the component under 'anyOf'"
type Requirement struct {
	// Name of the requirement, unique within its layer.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="a requirement's name must be lower case letters, digits, dashes and dots, and begin and end with a letter or digit, for example 'runtime-security'"
	// +required
	Name string `json:"name,omitempty"`

	// Required or Recommended. A Recommended requirement never makes the profile non-conformant.
	// +default="Required"
	// +optional
	Severity Severity `json:"severity,omitempty"`

	// Asks for any component that provides this capability, for instance cni, ingress or backup.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Capability string `json:"capability,omitempty"`

	// Asks for one of these components, each with a version range of its own.
	// +listType=map
	// +listMapKey=component
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	AnyOf []ComponentChoice `json:"anyOf,omitempty"`

	// Asks that a rule holds over the objects of a resource.
	// +optional
	Rule *Rule `json:"rule,omitempty"`

	// States that somebody vouches for what cannot be seen in the cluster.
	// +optional
	Attestation *Attestation `json:"attestation,omitempty"`

	// Present asks for at least one installation, Absent for none. Present where it is left out.
	// +optional
	Presence Presence `json:"presence,omitempty"`

	// Makes it a Conflict when more than one implementation is found: more than one of the components that are asked for,
	// or of those that provide what all of them provide.
	// +optional
	Exclusive bool `json:"exclusive,omitempty"`

	// The least health that satisfies: Healthy (a rollout in progress still counts) or Any. Healthy where it is left out.
	// +optional
	Health HealthRequirement `json:"health,omitempty"`

	// Named checks that the component's definition offers over what the component manages, for instance backup-recent.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Checks []CheckReference `json:"checks,omitempty"`
}

// ComponentChoice is one component that would do, with the versions of it that would.
type ComponentChoice struct {
	// Name of a PlatformComponent, built in or applied to the cluster, for instance cilium.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Component string `json:"component,omitempty"`

	// Version range, for instance ">=1.16.0 <2" or "~3.28". A range is one or more comparisons, separated by spaces or commas,
	// that must all hold; "||" separates alternatives. A comparison is =, !=, >, >=, < or <= with a version, ~1.2 (1.2.x),
	// ^1.2 (1.2 and later below 2), "1.2 - 1.4" (both included), or a version with x or * for any number. A pre-release is
	// compared by its order: 1.17.0-rc.1 is inside >=1.16. Where it is left out every version will do.
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Version string `json:"version,omitempty"`
}

// CheckReference asks for a named check of the component's definition.
type CheckReference struct {
	// Name of the check in the component's definition.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Name string `json:"name,omitempty"`

	// Values for the check's parameters; those left out take the definition's defaults.
	// +kubebuilder:validation:MaxProperties=8
	// +optional
	Parameters map[string]ParameterValue `json:"parameters,omitempty"`
}

// ParameterValue is the value of a check's parameter, as text: "24h", "3", "prod".
// +kubebuilder:validation:MaxLength=128
type ParameterValue string

// Attestation is somebody's word for what cannot be seen in the cluster.
type Attestation struct {
	// Who vouches for it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	By string `json:"by,omitempty"`

	// Why it cannot be seen, and what is true instead.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Reason string `json:"reason,omitempty"`

	// Where to read more.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self == '' || self.startsWith('https://') || self.startsWith('http://')",message="url must begin with https:// or http://"
	// +optional
	URL string `json:"url,omitempty"`

	// When the word must be given again, for instance 2030-06-30T00:00:00Z. Past it the verdict is Expired. Without it the
	// attestation never ends.
	// +optional
	Expires *metav1.Time `json:"expires,omitempty"`
}

// Verdict is the outcome of one requirement, or the worst outcome of a layer.
// +kubebuilder:validation:Enum=Satisfied;Attested;Missing;Degraded;VersionMismatch;CheckFailed;Conflict;Forbidden;Expired;Unknown
type Verdict string

// The verdicts.
const (
	// VerdictSatisfied says that the requirement holds.
	VerdictSatisfied Verdict = "Satisfied"
	// VerdictAttested says that somebody vouches for it.
	VerdictAttested Verdict = "Attested"
	// VerdictMissing says that nothing was found that would do. What an uninstall left behind does not count.
	VerdictMissing Verdict = "Missing"
	// VerdictDegraded says that it is installed and does not work as it should.
	VerdictDegraded Verdict = "Degraded"
	// VerdictVersionMismatch says that it is installed in a version outside the range.
	VerdictVersionMismatch Verdict = "VersionMismatch"
	// VerdictCheckFailed says that a check does not hold.
	VerdictCheckFailed Verdict = "CheckFailed"
	// VerdictConflict says that more than one implementation was found where one is allowed.
	VerdictConflict Verdict = "Conflict"
	// VerdictForbidden says that something was found that must not be there.
	VerdictForbidden Verdict = "Forbidden"
	// VerdictExpired says that an attestation is out of date.
	VerdictExpired Verdict = "Expired"
	// VerdictUnknown says that the operator could not look, or that what it saw does not tell.
	VerdictUnknown Verdict = "Unknown"
)

// Health is the health of an installation.
// +kubebuilder:validation:Enum=Healthy;Progressing;Degraded;NotObserved;Unknown
type Health string

// The healths of an installation.
const (
	// HealthHealthy says that all of it works.
	HealthHealthy Health = "Healthy"
	// HealthProgressing says that a rollout is under way and within its deadline.
	HealthProgressing Health = "Progressing"
	// HealthDegraded says that part of it does not work.
	HealthDegraded Health = "Degraded"
	// HealthNotObserved says that what was looked at holds no status, as manifests in files do.
	HealthNotObserved Health = "NotObserved"
	// HealthUnknown says that what decides the health could not be looked at.
	HealthUnknown Health = "Unknown"
)

// The condition types of a PlatformProfile. Beside them each layer has one, named after it: NetworkConformant.
const (
	// ConditionConformant says whether every Required requirement holds.
	ConditionConformant = "Conformant"
	// ConditionReady says whether this generation was evaluated; it follows kstatus.
	ConditionReady = "Ready"
	// ConditionReconciling is there, and True, only while a generation waits for its first evaluation.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is there, and True, only while the spec has a mistake that no retry can mend.
	ConditionStalled = "Stalled"
	// ConditionFlapping is there, and True, only while requirements flap: they keep turning between holding and not.
	ConditionFlapping = "Flapping"
	// ConditionAccepted is on a PlatformComponent and says whether it is in use.
	ConditionAccepted = "Accepted"
)

// PlatformProfileStatus is what was found.
type PlatformProfileStatus struct {
	// The generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// When an evaluation last found something different. It does not move while nothing changes.
	// +optional
	LastChangeTime *metav1.Time `json:"lastChangeTime,omitempty"`

	// Counts over all requirements.
	// +optional
	Summary *Summary `json:"summary,omitempty"`

	// Required requirements that hold, of all that are Required, for instance "17/18".
	// +optional
	Score string `json:"score,omitempty"`

	// The layers that fail or cannot be judged, and what flaps, in words short enough for a table.
	// +optional
	Reason string `json:"reason,omitempty"`

	// The layers in the order of the spec, each with its requirements.
	// +listType=atomic
	// +optional
	Layers []LayerStatus `json:"layers,omitempty"`

	// What is wrong with the pods of what is unhealthy: the worst few. What is Required comes before what is Recommended.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Diagnoses []Diagnosis `json:"diagnoses,omitempty"`

	// How many more diagnoses there are than the worst few; "platformprofile diagnose" tells of all.
	// +optional
	DiagnosesOmitted int32 `json:"diagnosesOmitted,omitempty"`

	// Components that are installed and that no requirement mentions; filled where spec.undeclared asks for it.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Undeclared []UndeclaredComponent `json:"undeclared,omitempty"`

	// Conformant says whether every Required requirement holds, Ready whether this generation was evaluated. Each layer has
	// one of its own, named after it: NetworkConformant. Reconciling (a generation waits for its first evaluation), Stalled
	// (the spec has a mistake that no retry can mend) and Flapping (requirements keep turning) are there only while True.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Summary counts requirements.
type Summary struct {
	// Requirements whose severity is Required.
	Required int32 `json:"required"`
	// Required ones that hold: Satisfied or Attested.
	Satisfied int32 `json:"satisfied"`
	// Required ones that fail.
	Failed int32 `json:"failed"`
	// Required ones that could not be judged.
	Unknown int32 `json:"unknown"`
	// Requirements whose severity is Recommended.
	Recommended int32 `json:"recommended"`
	// Recommended ones that hold.
	RecommendedSatisfied int32 `json:"recommendedSatisfied"`
}

// LayerStatus is the outcome of one layer.
type LayerStatus struct {
	// Name of the layer.
	Name string `json:"name"`
	// The worst verdict among the layer's Required requirements; Satisfied where none fails.
	Verdict Verdict `json:"verdict"`
	// Requirements of the layer that hold.
	Satisfied int32 `json:"satisfied"`
	// Requirements of the layer.
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
	// The outcome. Satisfied and Attested hold, Unknown could not be judged, everything else fails.
	Verdict Verdict `json:"verdict"`
	// Severity of the requirement where it is Recommended; absent where it is Required.
	// +optional
	Severity Severity `json:"severity,omitempty"`
	// The component that the verdict is about.
	// +optional
	Component string `json:"component,omitempty"`
	// Its version, without a leading v; empty where nothing tells.
	// +optional
	Version string `json:"version,omitempty"`
	// Its health.
	// +optional
	Health Health `json:"health,omitempty"`
	// The namespace of the installation; empty for what belongs to nodes or to the whole cluster.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// What was found, where, since when, and what is wrong with it; absent where a healthy component satisfies the requirement, of
	// which component, version and namespace say it all.
	// +optional
	Message string `json:"message,omitempty"`
	// What to do about it; empty while the requirement holds.
	// +optional
	Remediation string `json:"remediation,omitempty"`
	// The live objects that the verdict follows from: one while the requirement holds, and the most telling few while it does not,
	// for instance the objects that fail a rule.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Evidence []Evidence `json:"evidence,omitempty"`
	// When the verdict last changed; absent while a requirement holds since it was first evaluated.
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
	// Since when the requirement does not hold, whatever the verdict was in between.
	// +optional
	FailingSince *metav1.Time `json:"failingSince,omitempty"`
	// When the requirement turned between holding and not, lately, the latest last. Turns that came with another spec are
	// not among them.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=5
	// +optional
	RecentTurns []metav1.Time `json:"recentTurns,omitempty"`
	// There only while the requirement flaps: from when it turned five times within half an hour until it did not turn for
	// half an hour. Its turns are told by no events meanwhile.
	// +optional
	Flapping *Flapping `json:"flapping,omitempty"`
}

// Flapping is what a requirement that keeps turning has come to.
type Flapping struct {
	// When it first turned.
	Since metav1.Time `json:"since"`
	// How often it turned since, between holding and not.
	Turns int32 `json:"turns"`
}

// Evidence is a live object, with the signal of a definition that it matched or what is wrong with it.
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
	// What matched, for instance "image quay.io/cilium/cilium:v1.18.2", or why the object fails a rule.
	// +optional
	Signal string `json:"signal,omitempty"`
}

// Diagnosis is what is wrong with a pod of a workload.
type Diagnosis struct {
	// The workload that the pod belongs to.
	Workload WorkloadReference `json:"workload"`
	// Name of the pod.
	// +optional
	Pod string `json:"pod,omitempty"`
	// Name of the container, where the symptom is one of a container.
	// +optional
	Container string `json:"container,omitempty"`
	// The symptom, for instance CrashLoop or VolumeClaimUnbound.
	Symptom string `json:"symptom"`
	// What the symptom means.
	// +optional
	Meaning string `json:"meaning,omitempty"`
	// What may cause it, the likeliest first.
	// +listType=atomic
	// +optional
	LikelyCauses []string `json:"likelyCauses,omitempty"`
	// Commands that show it, with the names filled in.
	// +listType=atomic
	// +optional
	Commands []string `json:"commands,omitempty"`
}

// WorkloadReference names a workload.
type WorkloadReference struct {
	// Kind of the workload, for instance Deployment.
	Kind string `json:"kind"`
	// Namespace of the workload.
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// Name of the workload.
	Name string `json:"name"`
}

// UndeclaredComponent is a component that is installed and that no requirement mentions.
type UndeclaredComponent struct {
	// Name of the component.
	Component string `json:"component"`
	// Version found; empty where nothing tells.
	// +optional
	Version string `json:"version,omitempty"`
	// Namespace of the installation.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}
