package v1alpha1

// Quantifier says how many of the objects that a rule is about must satisfy it.
// +kubebuilder:validation:Enum=All;Any;ExactlyOne
type Quantifier string

// The quantifiers of a rule.
const (
	// RequireAll asks every object to satisfy the rule.
	RequireAll Quantifier = "All"
	// RequireAny asks at least one object to satisfy the rule.
	RequireAny Quantifier = "Any"
	// RequireExactlyOne asks one object, and no other, to satisfy the rule.
	RequireExactlyOne Quantifier = "ExactlyOne"
)

// EmptyPolicy says what a rule comes to when it is about no object at all.
// +kubebuilder:validation:Enum=Satisfied;Failed
type EmptyPolicy string

// The outcomes of a rule that is about no object.
const (
	// EmptySatisfied lets the rule hold.
	EmptySatisfied EmptyPolicy = "Satisfied"
	// EmptyFailed makes the rule fail.
	EmptyFailed EmptyPolicy = "Failed"
)

// Rule is a predicate over the objects of a resource, in the Kubernetes dialect of CEL. It is evaluated on one object at a time,
// when the object arrives or changes.
//
// Expressions see these variables: object, the object; related.NAME, the objects of a further resource; variables.NAME, a
// variable of the rule; now, the time. The checks of a PlatformComponent see params.NAME, version and versionFrom as well.
//
// +kubebuilder:validation:XValidation:rule="has(self.resource) != has(self.resources)",message="a rule must name the objects that it is about by exactly one of 'resource' and 'resources': keep one of them"
// +kubebuilder:validation:XValidation:rule="has(self.expression) != has(self.listExpression)",message="a rule must hold exactly one of 'expression', which is about one object, and 'listExpression', which is about the list of all: keep one of them"
// +kubebuilder:validation:XValidation:rule="!has(self.listExpression) || !(has(self.require) || has(self.minPercent) || has(self.whenEmpty))",message="'require', 'minPercent' and 'whenEmpty' count single objects: remove them from a rule with 'listExpression', or use 'expression'"
// +kubebuilder:validation:XValidation:rule="!has(self.minPercent) || !has(self.require) || self.require == 'All'",message="'minPercent' is a share of all objects: remove it, or use 'require: All'"
type Rule struct {
	// The resource whose objects the rule is about. The operator needs permission to list and watch it.
	// +optional
	Resource *ResourceReference `json:"resource,omitempty"`

	// Several resources whose objects the rule is about, where the same is asked of several kinds. Those that the cluster does
	// not serve are left out, as long as it serves one of them.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=2
	// +kubebuilder:validation:MaxItems=4
	// +optional
	Resources []ResourceReference `json:"resources,omitempty"`

	// Further resources whose objects the expressions see as related.NAME: short lists, such as classes or drivers.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +optional
	Related []RelatedResource `json:"related,omitempty"`

	// CEL expression that is true of the objects that the rule is about. It sees what expression sees, but for the variables of a
	// rule with listExpression. Where it is left out the rule is about every object of the resource.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Match string `json:"match,omitempty"`

	// Named expressions that the other ones see as variables.NAME. Each sees those before it. One that does not mention object is
	// evaluated once for all objects.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Variables []Variable `json:"variables,omitempty"`

	// CEL expression that is true of an object that satisfies the rule.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Expression string `json:"expression,omitempty"`

	// CEL expression over objects, the list of all objects that the rule is about, sorted by namespace and name; it is true when the
	// rule holds. It is for aggregates over short lists. The variables and messageExpression of such a rule see objects too.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	ListExpression string `json:"listExpression,omitempty"`

	// How many of the objects must satisfy expression: All, Any (at least one) or ExactlyOne. All where it is left out.
	// +optional
	Require Quantifier `json:"require,omitempty"`

	// The share of the objects, in percent, that must satisfy expression, where All is too much to ask.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	MinPercent int32 `json:"minPercent,omitempty"`

	// What the rule comes to when it is about no object: Satisfied or Failed. Where it is left out, Satisfied with require: All
	// and Failed otherwise.
	// +optional
	WhenEmpty EmptyPolicy `json:"whenEmpty,omitempty"`

	// In a profile: what the rule asks for, in words. In a PlatformComponent: what is wrong when the rule fails, in words that hold for
	// any object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Message string `json:"message,omitempty"`

	// CEL expression that yields what is wrong with one failing object, for instance the reason that its status gives. The object's
	// namespace and name are put in front, unless the text holds them already. Where it fails or yields an empty text, the object is
	// named alone.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	MessageExpression string `json:"messageExpression,omitempty"`
}

// Variable is a named expression of a rule.
type Variable struct {
	// Name of the variable: expressions see it as variables.NAME.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-zA-Z0-9]*$')",message="a variable's name must begin with a lower case letter and hold letters and digits alone, for example 'readyNodes'"
	// +required
	Name string `json:"name,omitempty"`
	// CEL expression for its value, of any type.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Expression string `json:"expression,omitempty"`
}

// RelatedResource is a further resource that a rule sees, beside those that it is about.
type RelatedResource struct {
	// Name under which expressions see its objects: related.NAME, a list that is empty where the cluster does not serve the
	// resource.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-zA-Z0-9]*$')",message="the name must begin with a lower case letter and hold letters and digits alone, for example 'storageClasses'"
	// +required
	Name string `json:"name,omitempty"`
	// The resource.
	// +required
	Resource ResourceReference `json:"resource,omitempty,omitzero"`
}

// ResourceReference names a resource of the API as kubectl api-resources lists it.
//
// +kubebuilder:validation:XValidation:rule="!(self.resource == 'secrets' && (!has(self.group) || self.group.size() == 0))",message="Secrets are never read: check a resource that reports on the secret instead, for example a Certificate or an ExternalSecret"
// +kubebuilder:validation:XValidation:rule="!(self.resource in ['pods', 'events'] && (!has(self.group) || self.group.size() == 0 || self.group == 'events.k8s.io'))",message="pods and events are never watched cluster-wide: check the workload that owns the pods instead"
type ResourceReference struct {
	// API group; empty for the core group.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Group string `json:"group,omitempty"`

	// API version; where it is left out, the version that the API server prefers.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Version string `json:"version,omitempty"`

	// Plural, lower case name of the resource, for instance storageclasses.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="resource must be the plural, lower case name without a subresource, as 'kubectl api-resources' lists it, for example 'storageclasses'"
	// +required
	Resource string `json:"resource,omitempty"`
}
