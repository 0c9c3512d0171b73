package catalog

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Resource names a resource of the API that rules read. Version is empty where the server's preferred one will do.
type Resource struct {
	Group, Version, Resource string
}

// String is the resource as kubectl names it, for instance backups.velero.io.
func (r Resource) String() string {
	if r.Group == "" {
		return r.Resource
	}
	return r.Resource + "." + r.Group
}

// ResourceOf takes a reference of the API apart.
func ResourceOf(reference v1alpha1.ResourceReference) Resource {
	return Resource{Group: reference.Group, Version: reference.Version, Resource: reference.Resource}
}

// Component is a compiled definition.
type Component struct {
	Name, DisplayName, Layer string
	Capabilities             []string
	// Bundles are the components that this one ships as parts of itself.
	Bundles     []string
	Homepage    string
	Remediation v1alpha1.Remediation
	// Builtin says that the definition is embedded in the binary.
	Builtin bool

	Versions []VersionSource
	// Variants are the places that tell which of the product's editions an installation is.
	Variants []VersionSource
	Health   []Rule
	Checks   map[string]*NamedCheck
	PodHints []v1alpha1.PodHint

	workloads  []*workloadSignal
	names      []*nameSignal
	nodes      []*nodeSignal
	configMaps []*configMapSignal
	apiServer  *apiServerSignal
}

// VersionSource is one place that may tell the version.
type VersionSource struct {
	From v1alpha1.VersionOrigin
	// Label is the label of the node or workload, for NodeLabel and WorkloadLabel.
	Label string
	// Annotation is the CRD's annotation, for CRDAnnotation.
	Annotation string
	pattern    *regexp.Regexp
	Resource   Resource
	Program    *rule.Program
}

// Pick takes the version out of what the place says, cleaned; "" where it tells none.
func (s VersionSource) Pick(text string) string { return CleanVersion(s.PickWord(text)) }

// PickVariant takes the name of a product's edition out of what the place says; "" for what is too long to be one.
func (s VersionSource) PickVariant(text string) string {
	word := s.PickWord(text)
	if len(word) > maxVersion {
		return ""
	}
	return word
}

// PickWord takes out of what the place says what the pattern asks for, as it stands there: all of it without a pattern.
func (s VersionSource) PickWord(text string) string {
	if s.pattern == nil {
		return text
	}
	found := s.pattern.FindStringSubmatch(text)
	switch {
	case found == nil:
		return ""
	case len(found) > 1:
		return found[1]
	}
	return found[0]
}

// Rule is one compiled rule over resources.
type Rule struct {
	Name     string
	Resource Resource
	// Related are the further resources that it sees.
	Related []Related
	Program *rule.Program
	// Message says what is wrong when the rule does not hold; Explain, where it is not nil, says it with names and reasons.
	Message string
	Explain *rule.Program
}

// Related is a further resource that a rule sees, under a name.
type Related struct {
	Name     string
	Resource Resource
}

// Resources are all that the rule sees, its own resource first.
func (r *Rule) Resources() []Resource {
	all := []Resource{r.Resource}
	for _, related := range r.Related {
		all = append(all, related.Resource)
	}
	return all
}

// Wrong says what is wrong where the rule does not hold: what Explain yielded, or the fixed words where that is nothing.
func (r *Rule) Wrong(explained string) string {
	if strings.TrimSpace(explained) != "" {
		return explained
	}
	return r.Message
}

// NamedCheck is one compiled check that a requirement can ask for.
type NamedCheck struct {
	Rule
	Parameters []v1alpha1.CheckParameter
}

// Kinds of sources that a definition's signals look at, named as kubectl names the resources.
var workloadResources = map[v1alpha1.WorkloadKind]string{
	v1alpha1.KindDeployment:  "deployments.apps",
	v1alpha1.KindDaemonSet:   "daemonsets.apps",
	v1alpha1.KindStatefulSet: "statefulsets.apps",
}

var nameResources = map[facts.NameKind][]string{
	facts.CRDName:            {"customresourcedefinitions.apiextensions.k8s.io"},
	facts.StorageProvisioner: {"storageclasses.storage.k8s.io"},
	facts.CSIDriverName:      {"csidrivers.storage.k8s.io"},
	facts.IngressController:  {"ingressclasses.networking.k8s.io"},
	facts.GatewayController:  {"gatewayclasses.gateway.networking.k8s.io"},
	facts.APIServiceName:     {"apiservices.apiregistration.k8s.io"},
	facts.WebhookName:        {"validatingwebhookconfigurations.admissionregistration.k8s.io", "mutatingwebhookconfigurations.admissionregistration.k8s.io"},
	facts.RuntimeHandler:     {"runtimeclasses.node.k8s.io"},
}

// APIServerSource names the source that tells the API server's version.
const APIServerSource = "the API server's version"

// IsWorkloadSource tells whether a source is a kind of workload.
func IsWorkloadSource(name string) bool {
	for _, resource := range workloadResources {
		if resource == name {
			return true
		}
	}
	return false
}

// ProofSources are the resources that can prove an installation of the component, sorted: without a look at one of them
// nobody can say that the component is missing.
func (c *Component) ProofSources() []string {
	set := map[string]bool{}
	for _, signal := range c.workloads {
		if signal.role == v1alpha1.RoleProof {
			for _, kind := range signal.kinds {
				set[workloadResources[kind]] = true
			}
		}
	}
	for _, signal := range c.names {
		if signal.role == v1alpha1.RoleProof {
			for _, resource := range nameResources[signal.kind] {
				set[resource] = true
			}
		}
	}
	for _, signal := range c.nodes {
		if signal.role == v1alpha1.RoleProof {
			set["nodes"] = true
		}
	}
	if c.apiServer != nil && c.apiServer.role == v1alpha1.RoleProof {
		set[APIServerSource] = true
	}
	for _, signal := range c.configMaps {
		if signal.role == v1alpha1.RoleProof {
			set[ConfigMapSource(signal.namespace, signal.name)] = true
		}
	}
	return sortedSet(set)
}

// CheckNames are the names of the checks that a requirement can ask for, sorted.
func (c *Component) CheckNames() []string { return slices.Sorted(maps.Keys(c.Checks)) }

// Provides tells whether the component fills the role.
func (c *Component) Provides(capability string) bool {
	return slices.Contains(c.Capabilities, capability)
}
