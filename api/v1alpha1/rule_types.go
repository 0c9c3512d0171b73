package v1alpha1

// Quantifier determines how many of the selected objects must satisfy a rule.
// +kubebuilder:validation:Enum=All;Any;ExactlyOne
type Quantifier string

// The quantifiers of a rule.
const (
	// RequireAll requires that every object satisfies the rule.
	RequireAll Quantifier = "All"
	// RequireAny requires that at least one object satisfies the rule.
	RequireAny Quantifier = "Any"
	// RequireExactlyOne requires that exactly one object satisfies the rule.
	RequireExactlyOne Quantifier = "ExactlyOne"
)

// EmptyPolicy is the outcome of a rule that selects no object.
// +kubebuilder:validation:Enum=Satisfied;Failed
type EmptyPolicy string

// The values of EmptyPolicy.
const (
	// EmptySatisfied means that the rule is satisfied.
	EmptySatisfied EmptyPolicy = "Satisfied"
	// EmptyFailed means that the rule fails.
	EmptyFailed EmptyPolicy = "Failed"
)

// Rule is a predicate over the objects of a resource, in Kubernetes CEL. It is evaluated on each object when the object is added or
// changes.
//
// Expressions can use these variables: object, the object; related.NAME, the objects of a related resource; variables.NAME, a variable
// of the rule; now, the current time. Checks of a PlatformComponent can also use params.NAME, version and versionFrom.
//
// +kubebuilder:validation:XValidation:rule="has(self.resource) != has(self.resources)",message="a rule must set exactly one of 'resource' and 'resources': keep one of them"
// +kubebuilder:validation:XValidation:rule="has(self.expression) != has(self.listExpression)",message="a rule must set exactly one of 'expression', which is evaluated on each object, and 'listExpression', which is evaluated on the list of all objects: keep one of them"
// +kubebuilder:validation:XValidation:rule="!has(self.listExpression) || !(has(self.require) || has(self.minPercent) || has(self.whenEmpty))",message="'require', 'minPercent' and 'whenEmpty' apply to 'expression': remove them from a rule with 'listExpression', or use 'expression'"
// +kubebuilder:validation:XValidation:rule="!has(self.minPercent) || !has(self.require) || self.require == 'All'",message="'minPercent' can only be combined with 'require: All': remove it, or use 'require: All'"
type Rule struct {
	// The resource that the rule is evaluated on. The operator needs permission to list and watch it.
	// +optional
	Resource *ResourceReference `json:"resource,omitempty"`

	// The resources that the rule is evaluated on, if there are several. Resources that the cluster does not serve are ignored, as long
	// as it serves one of them.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=2
	// +kubebuilder:validation:MaxItems=4
	// +optional
	Resources []ResourceReference `json:"resources,omitempty"`

	// Other resources whose objects expressions can use as related.NAME. They are for short lists, for example of classes or drivers.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +optional
	Related []RelatedResource `json:"related,omitempty"`

	// CEL expression that selects objects: it is true for the objects that the rule applies to. It can use the same variables as
	// expression, except variables.NAME in a rule with listExpression. If unset, the rule applies to every object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Match string `json:"match,omitempty"`

	// Named expressions that other expressions can use as variables.NAME. Each can use the ones before it. A variable that does not use
	// object is evaluated once for all objects.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Variables []Variable `json:"variables,omitempty"`

	// CEL expression that is true for an object that satisfies the rule.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Expression string `json:"expression,omitempty"`

	// CEL expression that is true if the rule is satisfied. It uses objects, the list of all selected objects, sorted by namespace and
	// name, and is for aggregates over short lists. variables and messageExpression of such a rule can use objects too.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	ListExpression string `json:"listExpression,omitempty"`

	// How many of the objects must satisfy expression: All, Any (at least one) or ExactlyOne. Defaults to All.
	// +optional
	Require Quantifier `json:"require,omitempty"`

	// The percentage of objects that must satisfy expression, if not all of them must.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	// +optional
	MinPercent int32 `json:"minPercent,omitempty"`

	// The outcome if there is no object: Satisfied or Failed. Defaults to Satisfied with require: All, and to Failed otherwise.
	// +optional
	WhenEmpty EmptyPolicy `json:"whenEmpty,omitempty"`

	// In a profile: what the rule requires. In a PlatformComponent: what is wrong if the rule fails, in words that apply to any object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Message string `json:"message,omitempty"`

	// CEL expression that yields what is wrong with one failing object, for example the reason in its status. The namespace and name of
	// the object are prepended, unless the text contains them. If the expression fails or yields an empty string, the message contains
	// only the namespace and name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	MessageExpression string `json:"messageExpression,omitempty"`
}

// Variable is a named expression of a rule.
type Variable struct {
	// Name of the variable. Expressions use it as variables.NAME.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-zA-Z0-9]*$')",message="a variable's name must begin with a lower case letter and contain only letters and digits, for example 'readyNodes'"
	// +required
	Name string `json:"name,omitempty"`
	// CEL expression for the value, of any type.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	// +required
	Expression string `json:"expression,omitempty"`
}

// RelatedResource is a resource whose objects a rule uses in addition to the selected ones.
type RelatedResource struct {
	// Name of the list. Expressions use it as related.NAME. The list is empty if the cluster does not serve the resource.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-zA-Z0-9]*$')",message="the name must begin with a lower case letter and contain only letters and digits, for example 'storageClasses'"
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

	// API version. Defaults to the preferred version of the API server.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Version string `json:"version,omitempty"`

	// Plural, lower case name of the resource, for example storageclasses.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="resource must be the plural, lower case name without a subresource, as 'kubectl api-resources' lists it, for example 'storageclasses'"
	// +required
	Resource string `json:"resource,omitempty"`
}
