package report

import (
	"io"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// WriteCatalogTable writes the components of a catalog, sorted by layer.
func WriteCatalogTable(w io.Writer, c *catalog.Catalog) error {
	t := newTable(TableOptions{}, "LAYER", "COMPONENT", "NAME", "CAPABILITIES", "CHECKS")
	for _, layer := range catalogLayers(c) {
		for _, name := range c.Names() {
			component := c.Component(name)
			if component.Layer == layer {
				t.addRow(layer, name, component.DisplayName,
					orDash(strings.Join(component.Capabilities, ", ")), orDash(strings.Join(component.CheckNames(), ", ")))
			}
		}
	}
	p := &lineWriter{w: w}
	t.write(p)
	return p.err
}

// WriteCatalogMarkdown writes a catalog as a Markdown page with a table for each layer.
func WriteCatalogMarkdown(w io.Writer, c *catalog.Catalog) error {
	p := &lineWriter{w: w}
	p.line("# What is recognised")
	p.line("")
	p.line("Generated from `internal/catalog/definitions` by `make generate`. `platformprofile catalog NAME` explains one of them.")
	for _, layer := range catalogLayers(c) {
		p.heading("## " + layer)
		p.line("")
		p.line("| component | product | capabilities | checks |")
		p.line("| --- | --- | --- | --- |")
		for _, name := range c.Names() {
			component := c.Component(name)
			if component.Layer != layer {
				continue
			}
			p.line("| `%s` | [%s](%s) | %s | %s |", name, component.DisplayName, component.Homepage,
				strings.Join(component.Capabilities, ", "), strings.Join(component.CheckNames(), ", "))
		}
	}
	return p.err
}

// WriteDefinition describes a component: its signals, the sources of its version and health, its checks and its remediation.
func WriteDefinition(w io.Writer, definition *v1alpha1.PlatformComponent) error {
	p := &lineWriter{w: w}
	spec := &definition.Spec
	p.line("%s (%s)", spec.DisplayName, definition.Name)
	p.fact("layer", string(spec.Layer))
	p.fact("capabilities", joinStrings(spec.Capabilities))
	p.fact("bundles", joinStrings(spec.Bundles))
	p.fact("homepage", spec.Homepage)
	p.heading("Signals (* proof of an installation, - supporting evidence):")
	writeSignals(p, &spec.Signals)
	p.heading("Version from:")
	if len(spec.Version) == 0 {
		p.line("  the image tag, or else the label app.kubernetes.io/version")
	}
	for _, source := range spec.Version {
		text := string(source.From)
		if source.Resource != nil {
			text += " of " + rule.NewResource(*source.Resource).String()
		}
		if source.Pattern != "" {
			text += ", pattern " + source.Pattern
		}
		p.line("  %s", text)
	}
	p.heading("Health from:")
	p.line("  the status of its workloads")
	if spec.Health != nil {
		for i := range spec.Health.Rules {
			health := &spec.Health.Rules[i]
			read := rule.New(&health.Rule, rule.ProfileScope, "").Resources
			resources := make([]string, 0, len(read))
			for _, resource := range read {
				resources = append(resources, resource.String())
			}
			p.line("  %s: %s; message: %s", health.Name, strings.Join(resources, " and "), health.Message)
		}
	}
	if len(spec.Checks) > 0 {
		p.heading("Checks:")
	}
	for _, check := range spec.Checks {
		text := check.Description
		if text == "" {
			text = check.Message
		}
		p.line("  %s: %s", check.Name, text)
		for _, parameter := range check.Parameters {
			defaultValue := "required"
			if parameter.Default != nil {
				defaultValue = "default " + string(*parameter.Default)
			}
			p.line("    %s (%s; %s) %s", parameter.Name, parameter.Type, defaultValue, parameter.Description)
		}
	}
	if len(spec.PodHints) > 0 {
		p.heading("Pod labels that explain failures:")
	}
	for _, hint := range spec.PodHints {
		p.line("  %s: %s", labels.FormatLabels(hint.Labels), hint.Meaning)
	}
	if r := spec.Remediation; r != nil {
		p.heading("Remediation:")
		p.fact("install", r.Install)
		p.fact("documentation", r.Docs)
		p.fact("when degraded", r.Degraded)
	}
	return p.err
}

func writeSignals(p *lineWriter, s *v1alpha1.Signals) {
	for _, w := range s.Workloads {
		var parts []string
		if len(w.Kinds) > 0 {
			parts = append(parts, joinStrings(w.Kinds))
		} else {
			parts = append(parts, "any workload")
		}
		if len(w.Images) > 0 {
			parts = append(parts, "image ending in "+strings.Join(w.Images, " or "))
		}
		for _, label := range sortedLabels(w.Labels) {
			parts = append(parts, "label "+label)
		}
		if len(w.Containers) > 0 {
			parts = append(parts, "container "+strings.Join(w.Containers, " or "))
		}
		if len(w.Arguments) > 0 {
			parts = append(parts, "argument "+strings.Join(w.Arguments, " and "))
		}
		if len(w.Env) > 0 {
			parts = append(parts, "environment variable "+strings.Join(w.Env, " and "))
		}
		if len(w.Names) > 0 {
			parts = append(parts, "name "+strings.Join(w.Names, " or "))
		}
		p.signal(w.Role, v1alpha1.RoleProof, strings.Join(parts, ", "))
	}
	if s.APIServer != nil {
		p.signal(s.APIServer.Role, v1alpha1.RoleProof, "version of the API server matches "+s.APIServer.Version)
	}
	for _, n := range s.Nodes {
		var parts []string
		for _, fact := range [][2]string{
			{"container runtime", n.ContainerRuntime}, {"kubelet version", n.KubeletVersion},
			{"OS image", n.OSImage}, {"provider ID prefix", n.ProviderID},
		} {
			if fact[1] != "" {
				parts = append(parts, fact[0]+" "+fact[1])
			}
		}
		parts = append(parts, sortedLabels(n.Labels)...)
		parts = append(parts, n.Annotations...)
		p.signal(n.Role, v1alpha1.RoleProof, "nodes with "+strings.Join(parts, ", "))
	}
	for _, named := range []struct {
		what    string
		signals []v1alpha1.NameSignal
	}{
		{"CRD", s.CRDs},
		{"StorageClass with provisioner", s.StorageProvisioners},
		{"CSIDriver", s.CSIDrivers},
		{"IngressClass with controller", s.IngressControllers},
		{"GatewayClass with controller", s.GatewayControllers},
		{"APIService", s.APIServices},
		{"webhook", s.Webhooks},
		{"RuntimeClass with handler", s.RuntimeHandlers},
	} {
		for _, signal := range named.signals {
			p.signal(signal.Role, v1alpha1.RoleSupport, named.what+" "+signal.Name)
		}
	}
	for _, c := range s.ConfigMaps {
		p.signal(c.Role, v1alpha1.RoleSupport, "ConfigMap "+c.Namespace+"/"+c.Name)
	}
	for _, l := range s.Leases {
		p.signal("", v1alpha1.RoleProof, "Lease "+l.Namespace+"/"+l.Name+" that its holder renews")
	}
	writeDeclarations(p, s)
}

func writeDeclarations(p *lineWriter, s *v1alpha1.Signals) {
	if len(s.Charts)+len(s.Packages)+len(s.DeclaredBy) == 0 {
		return
	}
	p.heading("Declared by (* proof of an installation in files):")
	for _, c := range s.Charts {
		text := "chart " + strings.Join(c.Names, " or ")
		if len(c.Repositories) > 0 {
			text += ", repository " + strings.Join(c.Repositories, " or ")
		}
		switch {
		case c.Optional:
			text += ", if " + c.Condition + " is true"
		case c.Condition != "":
			text += ", unless " + c.Condition + " is false"
		}
		p.signal("", v1alpha1.RoleProof, text)
	}
	for _, pkg := range s.Packages {
		p.signal("", v1alpha1.RoleProof, "package "+strings.Join(pkg.Names, " or "))
	}
	for _, d := range s.DeclaredBy {
		p.signal("", v1alpha1.RoleProof, "object of "+rule.NewResource(d.Resource).String())
	}
}

func (p *lineWriter) signal(role, defaultRole v1alpha1.Role, text string) {
	if role == "" {
		role = defaultRole
	}
	mark := "-"
	if role == v1alpha1.RoleProof {
		mark = "*"
	}
	p.line("  %s %s", mark, text)
}

// catalogLayers returns the layers of a catalog in the order in which a platform is built.
func catalogLayers(c *catalog.Catalog) []string {
	components := make([]Component, 0, len(c.Names()))
	for _, name := range c.Names() {
		components = append(components, Component{Layer: c.Component(name).Layer})
	}
	return sortedLayers(components)
}

func joinStrings[T ~string](values []T) string {
	texts := make([]string, 0, len(values))
	for _, value := range values {
		texts = append(texts, string(value))
	}
	return strings.Join(texts, ", ")
}

func sortedLabels(labels map[string]v1alpha1.LabelValue) []string {
	texts := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		value := string(labels[key])
		if value == "*" {
			value = "(any value)"
		}
		texts = append(texts, key+"="+value)
	}
	return texts
}
