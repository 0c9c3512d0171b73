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
	// Bundles are the components that this one contains.
	Bundles     []string
	Homepage    string
	Remediation v1alpha1.Remediation
	// Builtin is true if the definition is embedded in the binary.
	Builtin bool

	Versions []VersionSource
	// Variants are the sources of the product's edition.
	Variants []VersionSource
	Health   []HealthRule
	Checks   map[string]*NamedCheck
	PodHints []v1alpha1.PodHint
	Releases Releases

	// DeclaredBy has a rule for each custom resource from which an operator creates the component. Its outcome lists the objects.
	DeclaredBy []rule.Instance

	workloads  []*workloadSignal
	names      []*nameSignal
	nodes      []*nodeSignal
	configMaps []*configMapSignal
	leases     []*leaseSignal
	apiServer  *apiServerSignal
	charts     []*chartSignal
	packages   []*packageSignal
}

// VersionSource is a source of the version.
type VersionSource struct {
	From v1alpha1.VersionOrigin
	// Label is the label of the node or workload, for NodeLabel and WorkloadLabel.
	Label string
	// Annotation is the annotation of the CRD, for CRDAnnotation.
	Annotation string
	pattern    *regexp.Regexp
	// Rule returns the version, for Expression.
	Rule *rule.Instance
}

// ExtractVersion returns the cleaned version in a text; empty if there is none.
func (s VersionSource) ExtractVersion(text string) string {
	extracted := s.ExtractText(text)
	if s.pattern != nil && singleNumber.MatchString(extracted) {
		return extracted // the definition says that the product numbers its releases so
	}
	return CleanVersion(extracted)
}

// singleNumber matches the version of a product that has a single number, for example Trino 476.
var singleNumber = regexp.MustCompile(`^\d{2,5}$`)

// ExtractVariant returns the edition in a text; empty if the result is too long.
func (s VersionSource) ExtractVariant(text string) string {
	variant := s.ExtractText(text)
	if len(variant) > maxVersion {
		return ""
	}
	return variant
}

// ExtractText returns the part of a text that matches the pattern or its first group; the whole text if there is no pattern.
func (s VersionSource) ExtractText(text string) string {
	if s.pattern == nil {
		return text
	}
	groups := s.pattern.FindStringSubmatch(text)
	switch {
	case groups == nil:
		return ""
	case len(groups) > 1:
		return groups[1]
	}
	return groups[0]
}

// HealthRule is a rule on which the component's health depends, in addition to its workloads.
type HealthRule struct {
	Name, Message string
	Instance      rule.Instance
}

// NamedCheck is a check that requirements can refer to.
type NamedCheck struct {
	Name        string
	Description string
	Message     string
	// Rule is nil for a common check, which is evaluated on the facts about releases.
	Rule       *rule.Rule
	Parameters []v1alpha1.CheckParameter
}

// Instances returns the rules for the component's health, version, variant and declarations.
func (c *Component) Instances() []rule.Instance {
	instances := slices.Clone(c.DeclaredBy)
	for _, health := range c.Health {
		instances = append(instances, health.Instance)
	}
	for _, source := range slices.Concat(c.Versions, c.Variants) {
		if source.Rule != nil {
			instances = append(instances, *source.Rule)
		}
	}
	return instances
}

// The sources of signals, by the names of their resources as in kubectl.
var workloadResources = map[v1alpha1.WorkloadKind]string{
	v1alpha1.KindDeployment:  "deployments.apps",
	v1alpha1.KindDaemonSet:   "daemonsets.apps",
	v1alpha1.KindStatefulSet: "statefulsets.apps",
	v1alpha1.KindCronJob:     "cronjobs.batch",
	v1alpha1.KindPod:         PodSource,
}

// PodSource is the name of the source of the Pods in files. In a cluster, Pods are no source.
const PodSource = "pods"

var nameResources = map[facts.NameKind][]string{
	facts.CRDName:            {"customresourcedefinitions.apiextensions.k8s.io"},
	facts.StorageProvisioner: {"storageclasses.storage.k8s.io"},
	facts.CSIDriverName:      {"csidrivers.storage.k8s.io"},
	facts.IngressController:  {"ingressclasses.networking.k8s.io"},
	facts.GatewayController:  {"gatewayclasses.gateway.networking.k8s.io"},
	facts.APIServiceName:     {"apiservices.apiregistration.k8s.io"},
	facts.WebhookName: {
		"validatingwebhookconfigurations.admissionregistration.k8s.io",
		"mutatingwebhookconfigurations.admissionregistration.k8s.io",
	},
	facts.RuntimeHandler: {"runtimeclasses.node.k8s.io"},
}

// APIServerSource is the name of the source of the API server's version.
const APIServerSource = "the API server's version"

// IsWorkloadSource reports whether a source has workloads.
func IsWorkloadSource(name string) bool {
	for _, resource := range workloadResources {
		if resource == name {
			return true
		}
	}
	return false
}

// ProofSources returns the sources that can prove an installation of the component, sorted. Unless all of them are readable, it is unknown
// whether the component is missing.
func (c *Component) ProofSources() []string {
	set := map[string]bool{}
	for _, signal := range c.workloads {
		if signal.role == v1alpha1.RoleProof {
			for _, kind := range signal.kinds {
				if kind != v1alpha1.KindPod {
					set[workloadResources[kind]] = true
				}
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
	for _, signal := range c.leases {
		set[LeaseSource(signal.namespace, signal.name)] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// FileSources returns the further sources that can prove an installation in files.
func (c *Component) FileSources() []string {
	var sources []string
	if slices.ContainsFunc(c.workloads, func(s *workloadSignal) bool { return slices.Contains(s.kinds, v1alpha1.KindPod) }) {
		sources = append(sources, PodSource)
	}
	if len(c.charts) > 0 {
		sources = append(sources, facts.ChartSources...)
	}
	if len(c.packages) > 0 {
		sources = append(sources, facts.PackageSource)
	}
	return sources
}

// CheckNames returns the names of the checks, sorted.
func (c *Component) CheckNames() []string { return slices.Sorted(maps.Keys(c.Checks)) }

// Provides reports whether the component provides the capability.
func (c *Component) Provides(capability string) bool {
	return slices.Contains(c.Capabilities, capability)
}
