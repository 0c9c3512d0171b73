package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PlatformWaiver waives a requirement of a PlatformProfile until a time. While the requirement fails with a verdict that the waiver covers,
// the profile is conformant nevertheless. The verdict does not change, and the status of the profile names the waiver. It is a kind of its
// own, so that who declares a requirement and who waives it can have different permissions.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=pwaiver,categories=platform
// +kubebuilder:printcolumn:name="Profile",type=string,JSONPath=`.spec.profile`
// +kubebuilder:printcolumn:name="Requirement",type=string,JSONPath=`.spec.requirement`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`,description="Active, Expired, or Unused if it waives nothing now."
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expires`,description="When the waiver ends."
// +kubebuilder:printcolumn:name="By",type=string,JSONPath=`.spec.by`,description="Who decided it."
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.message`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.spec.reason`
type PlatformWaiver struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What is waived, and until when.
	// +required
	Spec PlatformWaiverSpec `json:"spec,omitzero"`
	// Whether the waiver is in use. Only the operator writes it.
	// +optional
	Status PlatformWaiverStatus `json:"status,omitempty"`
}

// PlatformWaiverList is a list of PlatformWaivers.
//
// +kubebuilder:object:root=true
type PlatformWaiverList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PlatformWaiver `json:"items"`
}

// PlatformWaiverSpec states what is waived, why, and until when.
//
// +kubebuilder:validation:XValidation:rule="!has(self.versions) || has(self.component)",message="'versions' are those of a component: name it in 'component'"
type PlatformWaiverSpec struct {
	// Name of the PlatformProfile.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Profile string `json:"profile,omitempty"`

	// The requirement as LAYER/NAME, for example network/cni.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=112
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-z0-9-]*/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="write the requirement as LAYER/NAME, for example 'network/cni'"
	// +required
	Requirement string `json:"requirement,omitempty"`

	// The failing verdicts that the waiver covers. It does not cover any other verdict, and never Unknown.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	// +kubebuilder:validation:XValidation:rule="self.all(v, !(v in ['Satisfied', 'Attested', 'Unknown']))",message="only failing verdicts can be waived: Missing, Degraded, VersionMismatch, CheckFailed, Conflict, Forbidden, Expired"
	// +required
	Verdicts []Verdict `json:"verdicts,omitempty"`

	// Limits the waiver to verdicts about this component.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Component string `json:"component,omitempty"`

	// Limits the waiver to these versions of the component, for example "<1.18". The syntax is that of a requirement's version range.
	// A version that could not be determined is not covered.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Versions string `json:"versions,omitempty"`

	// Why the requirement is waived, and what is done about it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +required
	Reason string `json:"reason,omitempty"`

	// The person or team that decided it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	By string `json:"by,omitempty"`

	// Address of further information, for example of the ticket.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self == '' || self.startsWith('https://') || self.startsWith('http://')",message="url must begin with https:// or http://"
	// +optional
	URL string `json:"url,omitempty"`

	// When the waiver ends, for example 2027-01-31T00:00:00Z. A waiver lasts a year at most: one that ends later than a year after its
	// creation waives nothing. The time can only be brought forward. To waive the requirement for longer, create another waiver.
	// +kubebuilder:validation:XValidation:rule="self <= oldSelf",message="a waiver cannot be extended: create another one, so that somebody decides again"
	// +required
	Expires *metav1.Time `json:"expires,omitempty"`
}

// WaiverState is the state of a waiver.
// +kubebuilder:validation:Enum=Active;Expired;Unused
type WaiverState string

// The states of a waiver.
const (
	// WaiverActive means that the requirement fails with a verdict that the waiver covers.
	WaiverActive WaiverState = "Active"
	// WaiverExpired means that the waiver has ended.
	WaiverExpired WaiverState = "Expired"
	// WaiverUnused means that the waiver waives nothing now. The message says why.
	WaiverUnused WaiverState = "Unused"
)

// PlatformWaiverStatus reports whether a waiver is in use.
type PlatformWaiverStatus struct {
	// The generation that the state is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Active, Expired or Unused.
	// +optional
	State WaiverState `json:"state,omitempty"`

	// What the waiver covers now, or why it is not in use.
	// +optional
	Message string `json:"message,omitempty"`

	// When the state last changed.
	// +optional
	LastTransitionTime *metav1.Time `json:"lastTransitionTime,omitempty"`
}
