package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// Discovery is the output of discover. Its JSON fields are stable.
type Discovery struct {
	// Components are the installed components, sorted by name.
	Components []Component `json:"components"`
	// Leftovers are components that are not installed and have leftovers. Their evidence is that of the only element of Installations.
	Leftovers []Component `json:"leftovers"`
	// Unreadable lists what cannot be read.
	Unreadable []string `json:"unreadable,omitempty"`
}

// Component is a component of a Discovery.
type Component struct {
	Name          string         `json:"name"`
	Layer         string         `json:"layer"`
	Capabilities  []string       `json:"capabilities"`
	Installations []Installation `json:"installations"`
}

// Installation is an installation of a component.
type Installation struct {
	Namespace string `json:"namespace"`
	// Version is that of the product; if it is unknown, that of the chart or package which is declared, and VersionOf is "chart".
	Version   string `json:"version"`
	VersionOf string `json:"versionOf,omitempty"`
	// ManagedBy is the object that manages the installation; empty if it is unknown.
	ManagedBy string          `json:"managedBy,omitempty"`
	Variant   string          `json:"variant,omitempty"`
	Health    v1alpha1.Health `json:"health,omitempty"`
	Message   string          `json:"message,omitempty"`
	// PartOf is the component that bundles this installation, if there is one.
	PartOf string `json:"partOf,omitempty"`
	// Released and EndOfLife are the day on which the release cycle of the version was first released, and the last day on which upstream
	// supports it; empty if they are unknown.
	Released  v1alpha1.Date       `json:"released,omitempty"`
	EndOfLife v1alpha1.Date       `json:"endOfLife,omitempty"`
	Evidence  []v1alpha1.Evidence `json:"evidence"`
	// Diagnoses are those of its pods, most severe first.
	Diagnoses []v1alpha1.Diagnosis `json:"diagnoses,omitempty"`
}

// NewDiscovery returns the components of a snapshot.
func NewDiscovery(s *inventory.Snapshot) Discovery {
	d := Discovery{Components: []Component{}, Leftovers: []Component{}}
	for _, installed := range s.InstalledComponents() {
		component := newComponent(installed)
		for n := range installed.Installations {
			i := &installed.Installations[n]
			found := Installation{
				Namespace: i.Namespace, Version: i.Version, ManagedBy: i.ManagedBy, Variant: i.Variant, Health: i.Health, Message: i.Message,
				PartOf: s.BundlerOf(installed, i), Evidence: i.Evidence, Diagnoses: i.Diagnoses,
			}
			if i.ChartVersion != "" {
				found.Version, found.VersionOf = i.ChartVersion, versionOfChart
			}
			if release, _ := installed.Definition.Releases.Find(i.Version); release != nil {
				found.EndOfLife = v1alpha1.Date(release.LastDay())
				if !release.Released.IsZero() {
					found.Released = v1alpha1.Date(release.Released.Format(time.DateOnly))
				}
			}
			component.Installations = append(component.Installations, found)
		}
		d.Components = append(d.Components, component)
	}
	for _, uninstalled := range s.LeftoverComponents() {
		component := newComponent(uninstalled)
		component.Installations = append(component.Installations, Installation{Evidence: uninstalled.Leftovers})
		d.Leftovers = append(d.Leftovers, component)
	}
	d.Unreadable = s.UnreadableSources()
	return d
}

// versionOfChart marks the version of a chart.
const versionOfChart = "chart"

// versionText returns the version and the variant as text.
func (i *Installation) versionText() string {
	version := i.Version
	if i.VersionOf != "" {
		version = i.VersionOf + " " + version
	}
	return orDash(strings.TrimSpace(version + " " + i.Variant))
}

func newComponent(c *inventory.Component) Component {
	return Component{Name: c.Definition.Name, Layer: c.Definition.Layer, Capabilities: append([]string{}, c.Definition.Capabilities...)}
}

// WriteTable writes a Discovery as a table and text.
func (d Discovery) WriteTable(w io.Writer, options TableOptions) error {
	columns := []string{"LAYER", "COMPONENT", "VERSION", "HEALTH", "NAMESPACE", "EVIDENCE"}
	if options.Wide {
		columns = append(columns, "RELEASED", "END OF LIFE", "MANAGED BY", "CAPABILITIES", "MESSAGE")
	}
	t := newTable(options, columns...)
	for _, layer := range sortedLayers(d.Components) {
		for _, component := range d.Components {
			if component.Layer != layer {
				continue
			}
			for _, i := range component.Installations {
				name := component.Name
				if i.PartOf != "" {
					name += " (part of " + i.PartOf + ")"
				}
				cells := []cell{
					{text: layer}, {text: name}, {text: i.versionText()},
					{string(i.Health), healthColour(i.Health)}, {text: orDash(i.Namespace)}, {text: summarizeEvidence(i.Evidence)},
				}
				if options.Wide {
					capabilities := strings.Join(component.Capabilities, ", ")
					for _, text := range []string{string(i.Released), string(i.EndOfLife), i.ManagedBy, capabilities, i.Message} {
						cells = append(cells, cell{text: orDash(text)})
					}
				}
				t.addCells(cells...)
			}
		}
	}
	p := &lineWriter{w: w}
	t.write(p)
	if len(d.Components) == 0 {
		p.line("No component of the catalog is installed.")
	}
	for _, component := range d.Leftovers {
		p.line("Leftovers of %s: %s", component.Name, summarizeEvidence(component.Installations[0].Evidence))
	}
	for _, reason := range d.Unreadable {
		p.line("Warning: %s", reason)
	}
	return p.err
}

// summarizeEvidence returns the first piece of evidence, and how many more there are.
func summarizeEvidence(evidence []v1alpha1.Evidence) string {
	if len(evidence) == 0 {
		return "-"
	}
	text := formatObject(evidence[0])
	if len(evidence) > 1 {
		text += fmt.Sprintf(" and %d more", len(evidence)-1)
	}
	return text
}

// layerOrder are the standard layers in the order in which a platform is built.
var layerOrder = []string{
	"core", "provisioning", "runtime", "network", "storage", "data", "delivery", "registry", "observability", "security", "mesh",
	"serverless", "workloads", "developer-platform",
}

// sortedLayers returns the layers of components: the standard ones in their order, then others in the order of the components.
func sortedLayers(components []Component) []string {
	has := map[string]bool{}
	for _, component := range components {
		has[component.Layer] = true
	}
	var layers []string
	for _, layer := range layerOrder {
		if has[layer] {
			layers = append(layers, layer)
			delete(has, layer)
		}
	}
	for _, component := range components {
		if has[component.Layer] {
			layers = append(layers, component.Layer)
			delete(has, component.Layer)
		}
	}
	return layers
}

func orDash(text string) string {
	if strings.TrimSpace(text) == "" {
		return "-"
	}
	return text
}
