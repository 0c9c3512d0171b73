package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// Catalog is a set of compiled definitions, indexed for matching. It is immutable.
type Catalog struct {
	components   []*Component // in the order of their names
	names        []string
	positions    map[string]int // of the components, by name
	byCapability map[string][]string

	// The index of the signals. byImage has the last segment of the image path.
	byImage          map[string][]*workloadSignal
	byLabel          map[label][]*workloadSignal
	byName           map[string][]*workloadSignal
	byContainer      map[string][]*workloadSignal
	byNameKey        map[nameKey][]*nameSignal
	nodeSignals      []*nodeSignal
	apiServerSignals []*apiServerSignal
	byConfigMap      map[string][]*configMapSignal
	byLease          map[string][]*leaseSignal
	byChart          map[string][]*chartSignal
	byPackage        map[string][]*packageSignal

	// Names of components, by the name of a bundled component, a source, or the key of a rule.
	bundlers map[string][]string
	bySource map[string][]string
	byRule   map[string][]string

	instances []rule.Instance
	podHints  []v1alpha1.PodHint

	invalid []invalidComponent
}

// invalidComponent is an invalid definition in the cluster.
type invalidComponent struct {
	name         string
	capabilities []v1alpha1.Name
}

// MarkInvalid adds an invalid definition that no other definition replaces: its component may be installed all the same. It must be called
// before the catalog is in use.
func (c *Catalog) MarkInvalid(name string, capabilities []v1alpha1.Name) {
	c.invalid = append(c.invalid, invalidComponent{name, capabilities})
}

// IsInvalid reports whether a component has only an invalid definition.
func (c *Catalog) IsInvalid(component string) bool {
	return slices.ContainsFunc(c.invalid, func(i invalidComponent) bool { return i.name == component })
}

// InvalidProviders returns the names of the components with invalid definitions that provide a capability, sorted.
func (c *Catalog) InvalidProviders(capability string) []string {
	var names []string
	for _, i := range c.invalid {
		if slices.Contains(i.capabilities, v1alpha1.Name(capability)) {
			names = append(names, i.name)
		}
	}
	slices.Sort(names)
	return names
}

// PodHints returns the pod hints of all components.
func (c *Catalog) PodHints() []v1alpha1.PodHint { return c.podHints }

type nameKey struct {
	kind facts.NameKind
	name string
}

// New returns a catalog of components. The last of several with the same name wins, so that definitions in the cluster override built-in
// ones.
func New(components ...*Component) *Catalog {
	c := &Catalog{
		positions:    map[string]int{},
		byCapability: map[string][]string{},
		byImage:      map[string][]*workloadSignal{},
		byLabel:      map[label][]*workloadSignal{},
		byName:       map[string][]*workloadSignal{},
		byContainer:  map[string][]*workloadSignal{},
		byNameKey:    map[nameKey][]*nameSignal{},
		byConfigMap:  map[string][]*configMapSignal{},
		byLease:      map[string][]*leaseSignal{},
		byChart:      map[string][]*chartSignal{},
		byPackage:    map[string][]*packageSignal{},
		bySource:     map[string][]string{},
		bundlers:     map[string][]string{},
		byRule:       map[string][]string{},
	}
	byName := make(map[string]*Component, len(components))
	for _, component := range components {
		byName[component.Name] = component
	}
	c.names = slices.Sorted(maps.Keys(byName))
	for i, name := range c.names {
		c.components = append(c.components, byName[name])
		c.positions[name] = i
		c.indexComponent(byName[name])
	}
	return c
}

func (c *Catalog) indexComponent(component *Component) {
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
		c.byNameKey[key] = append(c.byNameKey[key], signal)
	}
	c.nodeSignals = append(c.nodeSignals, component.nodes...)
	if component.apiServer != nil {
		c.apiServerSignals = append(c.apiServerSignals, component.apiServer)
	}
	for _, part := range component.Bundles {
		c.bundlers[part] = append(c.bundlers[part], component.Name)
	}
	c.indexDeclarations(component)
	for _, signal := range component.configMaps {
		source := ConfigMapSource(signal.namespace, signal.name)
		c.byConfigMap[source] = append(c.byConfigMap[source], signal)
	}
	for _, signal := range component.leases {
		source := LeaseSource(signal.namespace, signal.name)
		c.byLease[source] = append(c.byLease[source], signal)
	}
}

func (c *Catalog) indexDeclarations(component *Component) {
	for _, signal := range component.charts {
		for _, name := range signal.spec.Names {
			c.byChart[name] = append(c.byChart[name], signal)
		}
	}
	for _, signal := range component.packages {
		for _, name := range signal.spec.Names {
			c.byPackage[name] = append(c.byPackage[name], signal)
		}
	}
}

// Component returns a component by name; nil if it is not defined.
func (c *Catalog) Component(name string) *Component {
	if i, ok := c.positions[name]; ok {
		return c.components[i]
	}
	return nil
}

// Names returns the names of all components, sorted.
func (c *Catalog) Names() []string { return c.names }

// Position returns the index of a component in Names; false if it is not defined.
func (c *Catalog) Position(name string) (int, bool) {
	i, ok := c.positions[name]
	return i, ok
}

// Providers returns the names of the components that provide a capability, sorted.
func (c *Catalog) Providers(capability string) []string { return c.byCapability[capability] }

// NamedObject is a single object that a signal names, a ConfigMap or a Lease.
type NamedObject struct {
	Kind, Namespace, Name string
}

// The kinds of named objects.
const (
	KindConfigMap = "ConfigMap"
	KindLease     = "Lease"
)

// Source returns the name of the source of the object.
func (o NamedObject) Source() string {
	if o.Kind == KindLease {
		return LeaseSource(o.Namespace, o.Name)
	}
	return ConfigMapSource(o.Namespace, o.Name)
}

// NamedObjects returns the single objects that signals name, sorted.
func (c *Catalog) NamedObjects() []NamedObject {
	objects := make([]NamedObject, 0, len(c.byConfigMap)+len(c.byLease))
	for _, signals := range c.byConfigMap {
		objects = append(objects, NamedObject{KindConfigMap, signals[0].namespace, signals[0].name})
	}
	for _, signals := range c.byLease {
		objects = append(objects, NamedObject{KindLease, signals[0].namespace, signals[0].name})
	}
	slices.SortFunc(objects, func(a, b NamedObject) int { return strings.Compare(a.Source(), b.Source()) })
	return objects
}

// BundlersOf returns the names of the components that bundle a component, sorted.
func (c *Catalog) BundlersOf(component string) []string { return c.bundlers[component] }

// ComponentsProvedBy returns the names of the components with a proof in a source, sorted.
func (c *Catalog) ComponentsProvedBy(source string) []string { return c.bySource[source] }

// ComponentsDecidedBy returns the names of the components whose health or version depends on the rule with a key, sorted.
func (c *Catalog) ComponentsDecidedBy(key string) []string { return c.byRule[key] }

// Instances returns the rules for health and versions of all components. The result must not be modified.
func (c *Catalog) Instances() []rule.Instance { return c.instances }

// Match matches a fact against all definitions. It returns the best match for each component: a proof before a support, then the first
// signal of the definition.
func (c *Catalog) Match(fact facts.Fact) []Match {
	var matches []Match
	switch f := fact.(type) {
	case *facts.Workload:
		matches = c.matchWorkload(f)
	case *facts.Named:
		matches = c.matchNamed(f)
	case *facts.Node:
		for _, signal := range c.nodeSignals {
			if match, ok := signal.match(f); ok {
				matches = addMatch(matches, match)
			}
		}
	case *facts.APIServer:
		for _, signal := range c.apiServerSignals {
			if signal.version.MatchString(f.Version) {
				matches = addMatch(matches, Match{Component: signal.component, Role: signal.role, Signal: "API server " + f.Version})
			}
		}
	case *facts.ConfigMap:
		for _, signal := range c.byConfigMap[ConfigMapSource(f.Namespace, f.Name)] {
			if match, ok := signal.match(f); ok {
				matches = addMatch(matches, match)
			}
		}
	case *facts.Lease:
		for _, signal := range c.byLease[LeaseSource(f.Namespace, f.Name)] {
			matches = addMatch(matches, Match{
				Component: signal.component, Role: v1alpha1.RoleProof, Signal: "Lease " + f.Namespace + "/" + f.Name + " held by " + f.Holder,
			})
		}
	case *facts.Declaration:
		matches = c.matchDeclaration(f)
	}
	return matches
}

func (c *Catalog) matchDeclaration(d *facts.Declaration) []Match {
	var matches []Match
	for _, chart := range d.Charts {
		for _, signal := range c.byChart[chart.Name] {
			if match, ok := signal.match(chart); ok {
				matches = addMatch(matches, match)
			}
		}
	}
	for _, p := range d.Packages {
		for _, signal := range c.byPackage[p.Name] {
			matches = addMatch(matches, signal.match(p))
		}
	}
	for _, w := range d.Workloads {
		for _, match := range c.matchWorkload(w) {
			matches = addMatch(matches, match)
		}
	}
	return matches
}

func (c *Catalog) matchWorkload(w *facts.Workload) []Match {
	var matches []Match
	matchSignals := func(signals []*workloadSignal) {
		for _, signal := range signals {
			if match, ok := signal.match(w); ok {
				matches = addMatch(matches, match)
			}
		}
	}
	for _, container := range w.Containers {
		matchSignals(c.byImage[container.Image.Base()])
		matchSignals(c.byContainer[container.Name])
	}
	for _, labels := range []facts.Labels{w.Labels, w.PodLabels} {
		for _, l := range labels {
			matchSignals(c.byLabel[label{l.Key, l.Value}])
			matchSignals(c.byLabel[label{l.Key, "*"}])
		}
	}
	matchSignals(c.byName[w.Name])
	slices.SortStableFunc(matches, func(a, b Match) int { return strings.Compare(a.Component.Name, b.Component.Name) })
	return matches
}

func (c *Catalog) matchNamed(n *facts.Named) []Match {
	var matches []Match
	matchName := func(name, fullName string) {
		for _, signal := range c.byNameKey[nameKey{n.NameKind, name}] {
			matches = addMatch(matches, Match{Component: signal.component, Role: signal.role, Signal: string(n.NameKind) + " " + fullName})
		}
	}
	for _, value := range n.Values {
		matchName(value, value)
		switch n.NameKind {
		case facts.CRDName:
			if _, group, ok := strings.Cut(value, "."); ok {
				matchName(group, value)
			}
		case facts.StorageProvisioner, facts.CSIDriverName:
			for rest := value; ; {
				_, after, ok := strings.Cut(rest, ".")
				if !ok {
					break
				}
				matchName("*."+after, value)
				rest = after
			}
		case facts.WebhookName:
			for rest := value; ; {
				_, after, ok := strings.Cut(rest, ".")
				if !ok {
					break
				}
				matchName(after, value)
				rest = after
			}
		default: // only the whole value matches
		}
	}
	return matches
}

// addMatch adds a match, unless there is a better one for the component.
func addMatch(matches []Match, match Match) []Match {
	for i := range matches {
		if matches[i].Component == match.Component {
			isProof, wasProof := match.Role == v1alpha1.RoleProof, matches[i].Role == v1alpha1.RoleProof
			if isProof && !wasProof || isProof == wasProof && match.order < matches[i].order {
				matches[i] = match
			}
			return matches
		}
	}
	return append(matches, match)
}
