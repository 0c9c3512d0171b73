package catalog

import (
	"maps"
	"regexp"
	"slices"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

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
	Health   []HealthRule
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
	// Rule yields the version, for Expression.
	Rule *rule.Instance
}

// ExtractVersion takes the version out of what the place says, cleaned; "" where it tells none.
func (s VersionSource) ExtractVersion(text string) string { return CleanVersion(s.ExtractText(text)) }

// ExtractVariant takes the name of a product's edition out of what the place says; "" for what is too long to be one.
func (s VersionSource) ExtractVariant(text string) string {
	word := s.ExtractText(text)
	if len(word) > maxVersion {
		return ""
	}
	return word
}

// ExtractText takes out of what the place says what the pattern asks for, as it stands there: all of it without a pattern.
func (s VersionSource) ExtractText(text string) string {
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

// HealthRule is a rule that decides the component's health beside its workloads.
type HealthRule struct {
	Name, Message string
	Instance      rule.Instance
}

// NamedCheck is a check that a requirement can ask for.
type NamedCheck struct {
	Name       string
	Message    string
	Rule       *rule.Rule
	Parameters []v1alpha1.CheckParameter
}

// Instances are the rules that decide the component's health and say its version.
func (c *Component) Instances() []rule.Instance {
	var all []rule.Instance
	for _, health := range c.Health {
		all = append(all, health.Instance)
	}
	for _, source := range slices.Concat(c.Versions, c.Variants) {
		if source.Rule != nil {
			all = append(all, *source.Rule)
		}
	}
	return all
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
