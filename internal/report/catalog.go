package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/rule"
	"github.com/platformprofile/platformprofile/internal/text"
)

// WriteCatalogTable lists what can be recognised, layer by layer.
func WriteCatalogTable(w io.Writer, c *catalog.Catalog) error {
	t := newTable(w, TableOptions{}, "LAYER", "COMPONENT", "NAME", "CAPABILITIES", "CHECKS")
	for _, layer := range catalogLayers(c) {
		for _, name := range c.Names() {
			component := c.Component(name)
			if component.Layer == layer {
				t.row(layer, name, component.DisplayName, orDash(strings.Join(component.Capabilities, ", ")), orDash(strings.Join(component.CheckNames(), ", ")))
			}
		}
	}
	return t.flush()
}

// WriteCatalogMarkdown is the catalog as a page: a table for each layer.
func WriteCatalogMarkdown(w io.Writer, c *catalog.Catalog) error {
	p := &lineWriter{w: w}
	p.line("# What is recognised")
	p.line("")
	p.line("Generated from `internal/catalog/definitions` by `make generate`. `platformprofile catalog NAME` explains one of them.")
	for _, layer := range catalogLayers(c) {
		p.line("")
		p.line("## %s", layer)
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

// WriteDefinition says how one component is recognised, what its version and health come from, and what to do about it.
func WriteDefinition(w io.Writer, definition *v1alpha1.PlatformComponent) error {
	p := &lineWriter{w: w}
	spec := &definition.Spec
	p.line("%s (%s)", spec.DisplayName, definition.Name)
	p.fact("layer", string(spec.Layer))
	p.fact("capabilities", joinStrings(spec.Capabilities))
	p.fact("ships as parts", joinStrings(spec.Bundles))
	p.fact("home page", spec.Homepage)
	p.line("\nRecognised by (* proves an installation, - only supports one):")
	writeSignals(p, &spec.Signals)
	p.line("\nVersion from:")
	if len(spec.Version) == 0 {
		p.line("  the image tag, then the label app.kubernetes.io/version")
	}
	for _, source := range spec.Version {
		text := string(source.From)
		if source.Resource != nil {
			text += " over " + rule.NewResource(*source.Resource).String()
		}
		if source.Pattern != "" {
			text += ", by the pattern " + source.Pattern
		}
		p.line("  %s", text)
	}
	p.line("\nHealth from:")
	p.line("  the rollout of its workloads")
	if spec.Health != nil {
		for i := range spec.Health.Rules {
			health := &spec.Health.Rules[i]
			var about []string
			for _, resource := range rule.New(&health.Rule, rule.ProfileScope, "").Resources {
				about = append(about, resource.String())
			}
			p.line("  %s: %s; else: %s", health.Name, strings.Join(about, " and "), health.Message)
		}
	}
	if len(spec.Checks) > 0 {
		p.line("\nChecks that a requirement can ask for:")
	}
	for _, check := range spec.Checks {
		text := check.Description
		if text == "" {
			text = check.Message
		}
		p.line("  %s: %s", check.Name, text)
		for _, parameter := range check.Parameters {
			standard := "must be set"
			if parameter.Default != nil {
				standard = string(*parameter.Default) + " where it is not set"
			}
			p.line("    %s (%s; %s) %s", parameter.Name, parameter.Type, standard, parameter.Description)
		}
	}
	if len(spec.PodHints) > 0 {
		p.line("\nWhat labels of its pods tell when one is not well:")
	}
	for _, hint := range spec.PodHints {
		p.line("  %s: %s", labels.FormatLabels(hint.Labels), hint.Meaning)
	}
	if r := spec.Remediation; r != nil {
		p.line("\nWhat to do:")
		p.fact("to install", r.Install)
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
			parts = append(parts, "with an image that ends in "+strings.Join(w.Images, " or "))
		}
		for _, label := range sortedLabels(w.Labels) {
			parts = append(parts, "labelled "+label)
		}
		if len(w.Containers) > 0 {
			parts = append(parts, "with a container "+strings.Join(w.Containers, " or "))
		}
		if len(w.Arguments) > 0 {
			parts = append(parts, "started with "+strings.Join(w.Arguments, " and "))
		}
		if len(w.Env) > 0 {
			parts = append(parts, "given the variables "+strings.Join(w.Env, " and "))
		}
		if len(w.Names) > 0 {
			parts = append(parts, "named "+strings.Join(w.Names, " or "))
		}
		p.signal(w.Role, v1alpha1.RoleProof, strings.Join(parts, ", "))
	}
	if s.APIServer != nil {
		p.signal(s.APIServer.Role, v1alpha1.RoleProof, "API server of a version that matches "+s.APIServer.Version)
	}
	for _, n := range s.Nodes {
		var parts []string
		for _, fact := range [][2]string{
			{"container runtime", n.ContainerRuntime}, {"a kubelet version that matches", n.KubeletVersion},
			{"an OS image that matches", n.OSImage}, {"a provider ID that begins with", n.ProviderID},
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
		{"StorageClass with the provisioner", s.StorageProvisioners},
		{"CSIDriver", s.CSIDrivers},
		{"IngressClass of the controller", s.IngressControllers},
		{"GatewayClass of the controller", s.GatewayControllers},
		{"APIService", s.APIServices},
		{"webhook", s.Webhooks},
		{"RuntimeClass with the handler", s.RuntimeHandlers},
	} {
		for _, signal := range named.signals {
			p.signal(signal.Role, v1alpha1.RoleSupport, named.what+" "+signal.Name)
		}
	}
	for _, c := range s.ConfigMaps {
		p.signal(c.Role, v1alpha1.RoleSupport, "ConfigMap "+c.Namespace+"/"+c.Name)
	}
}

// lineWriter writes lines until one fails.
type lineWriter struct {
	w   io.Writer
	err error
}

func (p *lineWriter) line(format string, args ...any) {
	if p.err == nil {
		for i, line := range strings.Split(fmt.Sprintf(format, args...), "\n") {
			if i > 0 {
				line = "\n" + text.Printable(line)
			} else {
				line = text.Printable(line)
			}
			if _, p.err = io.WriteString(p.w, line); p.err != nil {
				return
			}
		}
		_, p.err = fmt.Fprintln(p.w)
	}
}

// fact writes a named value, if there is one.
func (p *lineWriter) fact(name, value string) {
	if value != "" {
		p.line("  %-15s %s", name+":", value)
	}
}

func (p *lineWriter) signal(role, otherwise v1alpha1.Role, text string) {
	if role == "" {
		role = otherwise
	}
	mark := "-"
	if role == v1alpha1.RoleProof {
		mark = "*"
	}
	p.line("  %s %s", mark, text)
}

// catalogLayers are the layers of a catalog in the order in which a platform is built up.
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
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		value := string(labels[key])
		if value == "*" {
			value = "(any value)"
		}
		texts = append(texts, key+"="+value)
	}
	return texts
}
