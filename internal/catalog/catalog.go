package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Catalog is a set of compiled definitions, indexed for matching. It never changes.
type Catalog struct {
	components   []*Component // in the order of their names
	names        []string
	positions    map[string]int // of the components, by name
	byCapability map[string][]string

	// Workload signals by what they can be looked up by: the last segment of an image path, a container's name, a label, a
	// name.
	byImage     map[string][]*workloadSignal
	byLabel     map[label][]*workloadSignal
	byName      map[string][]*workloadSignal
	byContainer map[string][]*workloadSignal
	byNamed     map[nameKey][]*nameSignal
	nodes       []*nodeSignal
	apiServers  []*apiServerSignal
	bundlers    map[string][]string // names of the components that ship a component as a part
	byConfigMap map[string][]*configMapSignal

	// Names of the components that a source can prove, and of those whose health or version a rule decides, by the rule's key.
	bySource map[string][]string
	byRule   map[string][]string
	// instances are the rules that decide health and versions.
	instances []rule.Instance
	podHints  []v1alpha1.PodHint

	invalid []invalidComponent
}

// invalidComponent is a definition that is applied to the cluster and not in use.
type invalidComponent struct {
	name         string
	capabilities []v1alpha1.Name
}

// MarkInvalid notes a definition that cannot be used and that no other stands in for: what it defines may well be installed. It
// must be called before the catalog is in use.
func (c *Catalog) MarkInvalid(name string, capabilities []v1alpha1.Name) {
	c.invalid = append(c.invalid, invalidComponent{name, capabilities})
}

// IsInvalid tells whether a component's definition is applied to the cluster and cannot be used.
func (c *Catalog) IsInvalid(component string) bool {
	return slices.ContainsFunc(c.invalid, func(r invalidComponent) bool { return r.name == component })
}

// InvalidProviders are the components whose definitions cannot be used and would provide a capability.
func (c *Catalog) InvalidProviders(capability string) []string {
	var names []string
	for _, r := range c.invalid {
		if slices.Contains(r.capabilities, v1alpha1.Name(capability)) {
			names = append(names, r.name)
		}
	}
	slices.Sort(names)
	return names
}

// PodHints are what labels of pods tell, of all components.
func (c *Catalog) PodHints() []v1alpha1.PodHint { return c.podHints }

type nameKey struct {
	kind facts.NameKind
	name string
}

// New indexes compiled definitions. Of two of the same name the later one counts, so that a definition applied to the
// cluster overrides the built-in one.
func New(components ...*Component) *Catalog {
	c := &Catalog{
		positions:    map[string]int{},
		byCapability: map[string][]string{},
		byImage:      map[string][]*workloadSignal{},
		byLabel:      map[label][]*workloadSignal{},
		byName:       map[string][]*workloadSignal{},
		byContainer:  map[string][]*workloadSignal{},
		byNamed:      map[nameKey][]*nameSignal{},
		byConfigMap:  map[string][]*configMapSignal{},
		bySource:     map[string][]string{},
		bundlers:     map[string][]string{},
		byRule:       map[string][]string{},
	}
	named := make(map[string]*Component, len(components))
	for _, component := range components {
		named[component.Name] = component
	}
	c.names = slices.Sorted(maps.Keys(named))
	for at, name := range c.names {
		c.components = append(c.components, named[name])
		c.positions[name] = at
		c.index(named[name])
	}
	return c
}

func (c *Catalog) index(component *Component) {
	for _, capability := range component.Capabilities {
		c.byCapability[capability] = append(c.byCapability[capability], component.Name)
	}
	for _, source := range component.ProofSources() {
		c.bySource[source] = append(c.bySource[source], component.Name)
	}
	for _, instance := range component.Instances() {
		c.byRule[instance.Key] = append(c.byRule[instance.Key], component.Name)
		c.instances = append(c.instances, instance)
	}
	c.podHints = append(c.podHints, component.PodHints...)
	for _, signal := range component.workloads {
		switch {
		case len(signal.images) > 0:
			for _, path := range signal.images {
				base := path[strings.LastIndexByte(path, '/')+1:]
				if !slices.Contains(c.byImage[base], signal) {
					c.byImage[base] = append(c.byImage[base], signal)
				}
			}
		case len(signal.containers) > 0:
			for _, name := range signal.containers {
				c.byContainer[name] = append(c.byContainer[name], signal)
			}
		case len(signal.labels) > 0:
			c.byLabel[signal.labels[0]] = append(c.byLabel[signal.labels[0]], signal)
		default:
			for _, name := range signal.names {
				c.byName[name] = append(c.byName[name], signal)
			}
		}
	}
	for _, signal := range component.names {
		key := nameKey{signal.kind, signal.name}
		c.byNamed[key] = append(c.byNamed[key], signal)
	}
	c.nodes = append(c.nodes, component.nodes...)
	if component.apiServer != nil {
		c.apiServers = append(c.apiServers, component.apiServer)
	}
	for _, part := range component.Bundles {
		c.bundlers[part] = append(c.bundlers[part], component.Name)
	}
	for _, signal := range component.configMaps {
		source := ConfigMapSource(signal.namespace, signal.name)
		c.byConfigMap[source] = append(c.byConfigMap[source], signal)
	}
}

// Component returns a component by name, nil where nobody defines it.
func (c *Catalog) Component(name string) *Component {
	if at, ok := c.positions[name]; ok {
		return c.components[at]
	}
	return nil
}

// Names are the names of all components, sorted.
func (c *Catalog) Names() []string { return c.names }

// Position is the place of a component among Names; false where nobody defines it.
func (c *Catalog) Position(name string) (int, bool) {
	at, ok := c.positions[name]
	return at, ok
}

// Providers are the names of the components that fill a role, sorted.
func (c *Catalog) Providers(capability string) []string { return c.byCapability[capability] }

// ConfigMap names a single ConfigMap that a definition looks at.
type ConfigMap struct{ Namespace, Name string }

// ConfigMaps are the single ConfigMaps that definitions look at, sorted.
func (c *Catalog) ConfigMaps() []ConfigMap {
	found := make([]ConfigMap, 0, len(c.byConfigMap))
	for _, signals := range c.byConfigMap {
		found = append(found, ConfigMap{signals[0].namespace, signals[0].name})
	}
	slices.SortFunc(found, func(a, b ConfigMap) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return found
}

// BundlersOf are the names of the components that ship a component as a part of themselves, sorted.
func (c *Catalog) BundlersOf(component string) []string { return c.bundlers[component] }

// ComponentsProvedBy are the names of the components that a source can prove, sorted.
func (c *Catalog) ComponentsProvedBy(source string) []string { return c.bySource[source] }

// ComponentsDecidedBy are the names of the components whose health or version a rule decides, by the rule's key, sorted.
func (c *Catalog) ComponentsDecidedBy(key string) []string { return c.byRule[key] }

// Instances are the rules that decide the health and versions of all components. They must not be changed.
func (c *Catalog) Instances() []rule.Instance { return c.instances }

// Match matches a fact against all definitions. For each component the best match counts: a proof before what only
// supports, then the order of the definition.
func (c *Catalog) Match(fact facts.Fact) []Match {
	var found []Match
	switch f := fact.(type) {
	case *facts.Workload:
		found = c.matchWorkload(f)
	case *facts.Named:
		found = c.matchNamed(f)
	case *facts.Node:
		for _, signal := range c.nodes {
			if match, ok := signal.match(f); ok {
				found = addMatch(found, match)
			}
		}
	case *facts.APIServer:
		for _, signal := range c.apiServers {
			if signal.version.MatchString(f.Version) {
				found = addMatch(found, Match{Component: signal.component, Role: signal.role, Signal: "API server " + f.Version})
			}
		}
	case *facts.ConfigMap:
		for _, signal := range c.byConfigMap[ConfigMapSource(f.Namespace, f.Name)] {
			if match, ok := signal.match(f); ok {
				found = addMatch(found, match)
			}
		}
	}
	return found
}

func (c *Catalog) matchWorkload(w *facts.Workload) []Match {
	var found []Match
	try := func(signals []*workloadSignal) {
		for _, signal := range signals {
			if match, ok := signal.match(w); ok {
				found = addMatch(found, match)
			}
		}
	}
	for _, container := range w.Containers {
		try(c.byImage[container.Image.Base()])
		try(c.byContainer[container.Name])
	}
	for _, labels := range []facts.Labels{w.Labels, w.PodLabels} {
		for _, l := range labels {
			try(c.byLabel[label{l.Key, l.Value}])
			try(c.byLabel[label{l.Key, "*"}])
		}
	}
	try(c.byName[w.Name])
	// By name, whatever showed them.
	slices.SortStableFunc(found, func(a, b Match) int { return strings.Compare(a.Component.Name, b.Component.Name) })
	return found
}

func (c *Catalog) matchNamed(n *facts.Named) []Match {
	var found []Match
	try := func(name, shown string) {
		for _, signal := range c.byNamed[nameKey{n.NameKind, name}] {
			found = addMatch(found, Match{Component: signal.component, Role: signal.role, Signal: string(n.NameKind) + " " + shown})
		}
	}
	for _, value := range n.Values {
		try(value, value)
		switch n.NameKind {
		case facts.CRDName:
			if _, group, ok := strings.Cut(value, "."); ok {
				try(group, value)
			}
		case facts.StorageProvisioner, facts.CSIDriverName:
			for rest := value; ; {
				_, after, ok := strings.Cut(rest, ".")
				if !ok {
					break
				}
				try("*."+after, value)
				rest = after
			}
		case facts.WebhookName:
			for rest := value; ; {
				_, after, ok := strings.Cut(rest, ".")
				if !ok {
					break
				}
				try(after, value)
				rest = after
			}
		default:
		}
	}
	return found
}

// addMatch keeps one match for each component, a proof before what only supports.
func addMatch(found []Match, match Match) []Match {
	for i := range found {
		if found[i].Component == match.Component {
			proof, was := match.Role == v1alpha1.RoleProof, found[i].Role == v1alpha1.RoleProof
			if proof && !was || proof == was && match.order < found[i].order {
				found[i] = match
			}
			return found
		}
	}
	return append(found, match)
}

func sortedSet(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
