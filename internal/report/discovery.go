package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/text"
)

// Discovery is what is in a cluster, in the stable shape of discover -o json.
type Discovery struct {
	// Components are those with at least one installation, sorted by name.
	Components []Component `json:"components"`
	// Leftovers are those of which only traces are there, in the same shape.
	Leftovers []Component `json:"residue"`
	// Unreadable says what could not be looked at; empty where all was.
	Unreadable []string `json:"unseen,omitempty"`
}

// Component is one component of a Discovery.
type Component struct {
	Name          string         `json:"name"`
	Layer         string         `json:"layer"`
	Capabilities  []string       `json:"capabilities"`
	Installations []Installation `json:"installations"`
}

// Installation is one copy of a component.
type Installation struct {
	Namespace string          `json:"namespace"`
	Version   string          `json:"version"`
	Variant   string          `json:"variant,omitempty"`
	Health    v1alpha1.Health `json:"health,omitempty"`
	Message   string          `json:"message,omitempty"`
	// PartOf names the component that ships this copy as a part of itself; empty for one that stands for itself.
	PartOf   string              `json:"partOf,omitempty"`
	Evidence []v1alpha1.Evidence `json:"evidence"`
	// Diagnoses are what is wrong with its pods, the worst first; empty where it is healthy.
	Diagnoses []v1alpha1.Diagnosis `json:"diagnoses,omitempty"`
}

// NewDiscovery takes a Discovery out of a snapshot.
func NewDiscovery(s *inventory.Snapshot) Discovery {
	d := Discovery{Components: []Component{}, Leftovers: []Component{}}
	for _, found := range s.InstalledComponents() {
		component := newComponent(found)
		for n := range found.Installations {
			i := &found.Installations[n]
			component.Installations = append(component.Installations, Installation{i.Namespace, i.Version, i.Variant, i.Health, i.Message, s.BundlerOf(found, i), i.Evidence, i.Diagnoses})
		}
		d.Components = append(d.Components, component)
	}
	for _, left := range s.LeftoverComponents() {
		component := newComponent(left)
		component.Installations = append(component.Installations, Installation{Evidence: left.Leftovers})
		d.Leftovers = append(d.Leftovers, component)
	}
	d.Unreadable = s.UnreadableSources()
	return d
}

func newComponent(c *inventory.Component) Component {
	return Component{Name: c.Definition.Name, Layer: c.Definition.Layer, Capabilities: append([]string{}, c.Definition.Capabilities...)}
}

// WriteTable writes a Discovery for people.
func (d Discovery) WriteTable(w io.Writer, look TableOptions) error {
	columns := []string{"LAYER", "COMPONENT", "VERSION", "HEALTH", "NAMESPACE", "EVIDENCE"}
	if look.Wide {
		columns = append(columns, "CAPABILITIES", "MESSAGE")
	}
	t := newTable(w, look, columns...)
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
					{text: layer}, {text: name}, {text: orDash(strings.TrimSpace(i.Version + " " + i.Variant))}, {string(i.Health), healthColour(i.Health)},
					{text: orDash(i.Namespace)}, {text: summarizeEvidence(i.Evidence)},
				}
				if look.Wide {
					cells = append(cells, cell{text: orDash(strings.Join(component.Capabilities, ", "))}, cell{text: orDash(i.Message)})
				}
				t.cells(cells...)
			}
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	if len(d.Components) == 0 {
		if _, err := fmt.Fprintln(w, "Nothing that the catalog knows is installed."); err != nil {
			return err
		}
	}
	for _, left := range d.Leftovers {
		if _, err := fmt.Fprintf(w, "Only traces, no installation: %s\n", text.Printable(fmt.Sprintf("%s (%s)", left.Name, summarizeEvidence(left.Installations[0].Evidence)))); err != nil {
			return err
		}
	}
	for _, reason := range d.Unreadable {
		if _, err := fmt.Fprintf(w, "Could not look: %s\n", text.Printable(reason)); err != nil {
			return err
		}
	}
	return nil
}

// summarizeEvidence is the most telling piece of evidence, and how much more there is.
func summarizeEvidence(evidence []v1alpha1.Evidence) string {
	if len(evidence) == 0 {
		return "-"
	}
	first := evidence[0]
	name := first.Name
	if first.Namespace != "" {
		name = first.Namespace + "/" + name
	}
	text := first.Kind + " " + name
	if len(evidence) > 1 {
		text += fmt.Sprintf(" and %d more", len(evidence)-1)
	}
	return text
}

// layerOrder are the layers in the order in which a platform is built up.
var layerOrder = []string{
	"core", "provisioning", "runtime", "network", "storage", "delivery", "registry", "observability", "security", "mesh", "serverless", "workloads",
}

// sortedLayers are the layers that components belong to: the standard ones in their order, then others as they come.
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
