package catalog

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// Match is a match of a fact and a signal of a component.
type Match struct {
	Component *Component
	Role      v1alpha1.Role
	// Signal describes what matched: "image quay.io/cilium/cilium:v1.18.2".
	Signal string
	// Tag is the tag of the image of the product, which may be its version.
	Tag string
	// DeclaredVersion is the version of the chart or package that is declared; empty if it is unknown. IsProductVersion is true if it is
	// that of the product.
	DeclaredVersion  string
	IsProductVersion bool
	// order is the index of the signal in its definition. The first matching signal wins.
	order int
}

// label is a label of a signal; the value "*" matches any value.
type label struct{ key, value string }

type workloadSignal struct {
	component *Component
	role      v1alpha1.Role
	order     int
	kinds     []v1alpha1.WorkloadKind
	images    []string
	labels    []label
	names     []string
	// One container must match these fields and images.
	containers, arguments, env []string
}

// needsContainer reports whether a container must match the signal.
func (s *workloadSignal) needsContainer() bool {
	return len(s.images)+len(s.containers)+len(s.arguments)+len(s.env) > 0
}

// match matches the workload against all fields of the signal.
func (s *workloadSignal) match(w *facts.Workload) (Match, bool) {
	if !slices.Contains(s.kinds, v1alpha1.WorkloadKind(w.Kind)) {
		return Match{}, false
	}
	if len(s.names) > 0 && !slices.Contains(s.names, w.Name) {
		return Match{}, false
	}
	for _, l := range s.labels {
		if !w.HasLabel(l.key, l.value) {
			return Match{}, false
		}
	}
	match := Match{Component: s.component, Role: s.role, order: s.order}
	if s.needsContainer() {
		container, ok := s.findContainer(w)
		if !ok {
			return Match{}, false
		}
		match.Tag = container.Image.Tag
		match.Signal = "container " + container.Name
		if len(s.images) > 0 {
			match.Signal = "image " + container.Image.String()
		}
		return match, true
	}
	match.Tag = s.productTag(w)
	if len(s.labels) > 0 {
		value := s.labels[0].value
		if got, ok := w.Label(s.labels[0].key); ok && value == "*" {
			value = got
		}
		match.Signal = "label " + s.labels[0].key + "=" + value
		return match, true
	}
	match.Signal = "name " + w.Name
	return match, true
}

// productTag returns the tag of the product's image for a signal without images: that of the only container, or of the image whose name
// contains the component's. The tag of another container may be that of a sidecar.
func (s *workloadSignal) productTag(w *facts.Workload) string {
	if len(w.Containers) == 1 {
		return w.Containers[0].Image.Tag
	}
	for _, container := range w.Containers {
		if strings.Contains(container.Image.Base(), s.component.Name) {
			return container.Image.Tag
		}
	}
	return ""
}

// findContainer returns the first container that matches the signal.
func (s *workloadSignal) findContainer(w *facts.Workload) (facts.Container, bool) {
	for _, container := range w.Containers {
		if (len(s.images) == 0 || slices.ContainsFunc(s.images, container.Image.HasPath)) &&
			(len(s.containers) == 0 || slices.Contains(s.containers, container.Name)) &&
			container.HasArguments(s.arguments) && container.HasEnv(s.env) {
			return container, true
		}
	}
	return facts.Container{}, false
}

type nameSignal struct {
	component *Component
	role      v1alpha1.Role
	kind      facts.NameKind
	name      string
}

type nodeSignal struct {
	component   *Component
	role        v1alpha1.Role
	runtime     string
	kubelet     *regexp.Regexp
	osImage     *regexp.Regexp
	providerID  string
	labels      []label
	annotations []string
}

func (s *nodeSignal) match(n *facts.Node) (Match, bool) {
	signal := ""
	if s.runtime != "" {
		if name, _, ok := strings.Cut(n.ContainerRuntime, "://"); !ok || name != s.runtime {
			return Match{}, false
		}
		signal = "container runtime " + n.ContainerRuntime
	}
	if s.kubelet != nil {
		if !s.kubelet.MatchString(n.Kubelet) {
			return Match{}, false
		}
		signal = "kubelet " + n.Kubelet
	}
	if s.osImage != nil {
		if !s.osImage.MatchString(n.OSImage) {
			return Match{}, false
		}
		signal = "OS image " + n.OSImage
	}
	if s.providerID != "" {
		if !strings.HasPrefix(n.ProviderID, s.providerID) {
			return Match{}, false
		}
		signal = "provider ID " + s.providerID
	}
	for _, l := range s.labels {
		if got, ok := n.Labels.Get(l.key); !ok || l.value != "*" && got != l.value {
			return Match{}, false
		}
		signal = "label " + l.key
	}
	for _, name := range s.annotations {
		if _, ok := slices.BinarySearch(n.Annotations, name); !ok {
			return Match{}, false
		}
		signal = "annotation " + name
	}
	return Match{Component: s.component, Role: s.role, Signal: signal}, true
}

type apiServerSignal struct {
	component *Component
	role      v1alpha1.Role
	version   *regexp.Regexp
}

type configMapSignal struct {
	component                 *Component
	role                      v1alpha1.Role
	namespace, name, contains string
}

func (s *configMapSignal) match(c *facts.ConfigMap) (Match, bool) {
	if s.namespace != c.Namespace || s.name != c.Name {
		return Match{}, false
	}
	match := Match{Component: s.component, Role: s.role, Signal: "ConfigMap " + c.Namespace + "/" + c.Name}
	if s.contains == "" {
		return match, true
	}
	for _, value := range c.Data {
		if strings.Contains(value, s.contains) {
			return match, true
		}
	}
	return Match{}, false
}

// leaseSignal matches a Lease. It is always a proof, as long as the holder renews the Lease.
type leaseSignal struct {
	component       *Component
	namespace, name string
}

// LeaseSource returns the name of the source of a single Lease.
func LeaseSource(namespace, name string) string {
	return "leases.coordination.k8s.io/" + name + " in " + namespace
}

type chartSignal struct {
	component *Component
	order     int
	spec      v1alpha1.ChartSignal
}

// match matches a chart, whose name the index has matched.
func (s *chartSignal) match(chart facts.Chart) (Match, bool) {
	isInRepository := func(repository string) bool { return containsPath(chart.Repository, repository) }
	if len(s.spec.Repositories) > 0 && !slices.ContainsFunc(s.spec.Repositories, isInRepository) {
		return Match{}, false
	}
	if s.spec.Condition != "" {
		value, isSet := chart.Values[s.spec.Condition]
		if isSet && !value || !isSet && s.spec.Optional {
			return Match{}, false
		}
	}
	match := Match{
		Component: s.component, Role: v1alpha1.RoleProof, Signal: strings.TrimSpace("chart " + chart.Name + " " + chart.Version),
		DeclaredVersion: chart.Version, IsProductVersion: s.spec.ProductVersion, order: s.order,
	}
	if chart.AppVersion != "" && s.spec.Condition == "" {
		match.DeclaredVersion, match.IsProductVersion = chart.AppVersion, true
	}
	return match, true
}

// containsPath reports whether a path contains whole segments.
func containsPath(path, segments string) bool {
	return strings.Contains("/"+path+"/", "/"+segments+"/")
}

type packageSignal struct {
	component *Component
	spec      v1alpha1.PackageSignal
}

func (s *packageSignal) match(p facts.Package) Match {
	return Match{
		Component: s.component, Role: v1alpha1.RoleProof, Signal: strings.TrimSpace("package " + p.Name + " " + p.Version),
		DeclaredVersion: p.Version, IsProductVersion: s.spec.ProductVersion,
	}
}

// ConfigMapSource returns the name of the source of a single ConfigMap.
func ConfigMapSource(namespace, name string) string {
	return "configmaps/" + name + " in " + namespace
}

// Compare compares two matches of a component by the order of their signals.
func (m Match) Compare(other Match) int { return m.order - other.order }

// Key identifies the signal in its definition.
func (m Match) Key() string { return strconv.Itoa(m.order) }
