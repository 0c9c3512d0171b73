package files

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/manifest"
)

// declarationSource is the name of the source of what files declare and clusters do not contain.
const declarationSource = "declarations in files"

// The kinds of objects that are read for their declarations.
var (
	helmReleaseKind    = schema.GroupKind{Group: "helm.toolkit.fluxcd.io", Kind: "HelmRelease"}
	applicationSetKind = schema.GroupKind{Group: "argoproj.io", Kind: "ApplicationSet"}
	fluxSourceGroup    = "source.toolkit.fluxcd.io"
)

// addDeclarations adds what a document declares that is not an object of a cluster. It returns false for any other document.
func (d *Dump) addDeclarations(name string, o manifest.Object) bool {
	content, path := o.Content, filepath.ToSlash(name)
	base := filepath.Base(path)
	if o.Err != nil && isHelmfile(path) {
		content = decodeTemplate(o.Text)
	}
	_, isObject := content["kind"]
	switch {
	case len(content) == 0:
		return false
	case base == "Chart.yaml" || base == "requirements.yaml":
		d.addChartFile(path, content)
	case strings.TrimSuffix(base, filepath.Ext(base)) == "kustomization":
		d.addKustomization(path, content)
	case isObject || !isHelmfile(path) && content["releases"] == nil:
		return false
	default:
		return d.addHelmfile(path, content)
	}
	return true
}

// addFileDeclaration adds a chart that a part of a file declares. The kind is that of the file, and id names the part.
func (d *Dump) addFileDeclaration(kind, path, id, namespace, release string, declared facts.Declaration) {
	declared.Ref = facts.Ref{Kind: kind, Name: path + "#" + id}
	declared.TargetNamespace, declared.Release = literal(namespace), literal(release)
	d.facts[declarationSource] = append(d.facts[declarationSource], &declared)
}

func charts(chart facts.Chart) facts.Declaration {
	return facts.Declaration{Charts: []facts.Chart{chart}}
}

// literal returns a text; empty if it is a template or has a placeholder.
func literal(text string) string {
	if strings.Contains(text, "{{") || strings.Contains(text, "${") {
		return ""
	}
	return text
}

// addChartFile adds the dependencies of a chart, and the chart itself if it is the copy of one that is published.
func (d *Dump) addChartFile(path string, content map[string]any) {
	folder := filepath.Dir(path)
	var values map[string]any
	isOwn := false
	name := text(content, "name")
	for _, dependency := range mappings(content["dependencies"]) {
		chart := text(dependency, "name")
		isOwn = isOwn || chart == name
		if condition := text(dependency, "condition"); condition != "" {
			if values == nil {
				values = readValues(filepath.Join(folder, "values.yaml"))
			}
			if isDisabled(condition, values) {
				continue
			}
		}
		own, _ := values[chart].(map[string]any)
		d.addFileDeclaration("Chart.yaml", path, chart, "", "",
			charts(facts.NewChart(chart, text(dependency, "repository"), text(dependency, "version"), own)))
	}
	// A chart below the charts folder of another one is a dependency of that one.
	_, err := os.Stat(filepath.Join(folder, "..", "..", "Chart.yaml"))
	if filepath.Base(filepath.Dir(folder)) == "charts" && err == nil || isOwn || name == "" || text(content, "type") == "library" {
		return
	}
	chart := facts.NewChart(name, "", text(content, "version"), readValues(filepath.Join(folder, "values.yaml")))
	chart.AppVersion = facts.ExactVersion(text(content, "appVersion"))
	d.addFileDeclaration("Chart.yaml", path, name, "", "", charts(chart))
}

// isDisabled reports whether the first of the paths of a condition that the values set is false, as Helm determines it.
func isDisabled(condition string, values map[string]any) bool {
	for path := range strings.SplitSeq(condition, ",") {
		if value, ok, _ := unstructured.NestedBool(values, strings.Split(strings.TrimSpace(path), ".")...); ok {
			return !value
		}
	}
	return false
}

// readValues returns the values in a file; nil if there is none.
func readValues(path string) map[string]any {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var values map[string]any
	if manifest.Decode(data, &values) != nil {
		return nil
	}
	return values
}

// addKustomization adds the charts of a kustomization, and the manifests of releases that it reads from upstream's repositories.
func (d *Dump) addKustomization(path string, content map[string]any) {
	for _, chart := range mappings(content["helmCharts"]) {
		namespace := text(chart, "namespace")
		if namespace == "" {
			namespace = text(content, "namespace")
		}
		values, _ := chart["valuesInline"].(map[string]any)
		name := text(chart, "name")
		d.addFileDeclaration("Kustomization", path, name, namespace, text(chart, "releaseName"),
			charts(facts.NewChart(name, text(chart, "repo"), text(chart, "version"), values)))
	}
	resources, _ := content["resources"].([]any)
	for _, item := range resources {
		address, _ := item.(string)
		if remote, ok := facts.NewRemoteChart(address, ""); ok {
			d.addFileDeclaration("Kustomization", path, address, text(content, "namespace"), "", charts(remote))
		}
	}
}

// isHelmfile reports whether a path is that of a helmfile.
func isHelmfile(path string) bool {
	return strings.HasPrefix(filepath.Base(path), "helmfile.y") || strings.Contains(path, "helmfile.d/")
}

// addHelmfile adds the releases of a helmfile; false if there are none.
func (d *Dump) addHelmfile(path string, content map[string]any) bool {
	for _, repository := range mappings(content["repositories"]) {
		d.helmRepositories[text(repository, "name")] = text(repository, "url")
	}
	releases := mappings(content["releases"])
	for _, release := range releases {
		if installed, ok := release["installed"].(bool); ok && !installed {
			continue
		}
		name, chart := text(release, "name"), text(release, "chart")
		alias, base, hasAlias := strings.Cut(chart, "/")
		repository, isKnown := d.helmRepositories[alias]
		if hasAlias && !strings.Contains(chart, "://") && !strings.HasPrefix(chart, ".") {
			chart = base
			if !isKnown {
				repository = alias
			}
		}
		values := map[string]any{}
		for _, inline := range mappings(release["values"]) {
			maps.Copy(values, inline)
		}
		d.addFileDeclaration("helmfile", path, name, text(release, "namespace"), name,
			charts(facts.NewChart(chart, repository, text(release, "version"), values)))
	}
	return len(releases) > 0 || content["repositories"] != nil
}

// templatePlaceholder replaces an action of a template while it is decoded, and templateMark afterwards.
const templatePlaceholder, templateMark = "__template__", "{{…}}"

var (
	templateLine   = regexp.MustCompile(`(?m)^\s*(\{\{[^\n]*?\}\}\s*)+$`)
	templateAction = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
)

// decodeTemplate returns the mapping in a Go template; nil if there is none. An action in a text becomes a mark.
func decodeTemplate(document []byte) map[string]any {
	plain := templateAction.ReplaceAll(templateLine.ReplaceAll(document, nil), []byte(templatePlaceholder))
	var content map[string]any
	if manifest.Decode(plain, &content) != nil {
		return nil
	}
	marked, _ := mapTexts(content, func(text string) string {
		return strings.ReplaceAll(text, templatePlaceholder, templateMark)
	}).(map[string]any)
	return marked
}

// declaringGroups are the API groups of objects that declare what another program installs.
var declaringGroups = []string{"argoproj.io", "helm.toolkit.fluxcd.io", fluxSourceGroup, "operators.coreos.com", "helm.cattle.io"}

// isDeclaring reports whether an object in a template is read for its declarations, as in an app of apps. Other objects in templates depend
// on values that are not known.
func isDeclaring(content map[string]any) bool {
	group, _, _ := strings.Cut(text(content, "apiVersion"), "/")
	return slices.Contains(declaringGroups, group) && text(content, "kind") != ""
}

// addTerraform adds the Helm releases and the add-ons of a Terraform file. It ignores expressions other than literals.
func (d *Dump) addTerraform(path string, data []byte) error {
	file, diagnostics := hclsyntax.ParseConfig(data, path, hcl.InitialPos)
	if diagnostics.HasErrors() {
		return fmt.Errorf("line %d: %s", diagnostics[0].Subject.Start.Line, diagnostics[0].Summary)
	}
	for _, block := range file.Body.(*hclsyntax.Body).Blocks {
		if block.Type != "resource" || len(block.Labels) != 2 {
			continue
		}
		attribute := func(name string) string { return terraformText(block.Body.Attributes[name]) }
		id := strings.Join(block.Labels, ".")
		switch block.Labels[0] {
		case "helm_release":
			chart := facts.NewChart(attribute("chart"), attribute("repository"), attribute("version"), terraformValues(block.Body))
			d.addFileDeclaration("Terraform", path, id, attribute("namespace"), attribute("name"), charts(chart))
		case "aws_eks_addon":
			addon := facts.Package{Name: attribute("addon_name"), Version: facts.ExactVersion(attribute("addon_version"))}
			d.addFileDeclaration("Terraform", path, id, "", "", facts.Declaration{Packages: []facts.Package{addon}})
		}
	}
	return nil
}

// terraformValues returns the boolean values in the set blocks of a helm_release.
func terraformValues(body *hclsyntax.Body) map[string]any {
	values := map[string]any{}
	for _, block := range body.Blocks {
		if block.Type != "set" {
			continue
		}
		path := strings.Split(terraformText(block.Body.Attributes["name"]), ".")
		if value := terraformText(block.Body.Attributes["value"]); value == "true" || value == "false" {
			_ = unstructured.SetNestedField(values, value == "true", path...) // an impossible path sets nothing
		}
	}
	return values
}

// terraformText returns the literal in an attribute as text; empty if it is not a literal.
func terraformText(attribute *hclsyntax.Attribute) string {
	if attribute == nil {
		return ""
	}
	value, diagnostics := attribute.Expr.Value(nil)
	switch {
	case diagnostics.HasErrors() || !value.IsKnown() || value.IsNull():
		return ""
	case value.Type() == cty.String:
		return value.AsString()
	case value.Type() == cty.Bool:
		return fmt.Sprint(value.True())
	}
	return ""
}

// resolveDeclarations returns the facts of objects whose declarations depend on other objects, by source.
func (d *Dump) resolveDeclarations() (map[string][]facts.Fact, error) {
	resolved := map[string][]facts.Fact{}
	sources := newFluxSources()
	if err := d.eachOfKind(func(kind schema.GroupKind) bool { return kind.Group == fluxSourceGroup }, sources.add); err != nil {
		return nil, err
	}
	err := d.eachOfKind(func(kind schema.GroupKind) bool { return kind == helmReleaseKind || kind == applicationSetKind },
		func(o *unstructured.Unstructured) {
			if o.GetKind() == applicationSetKind.Kind {
				resolved[declarationSource] = append(resolved[declarationSource], applicationSetFacts(o)...)
				return
			}
			release := facts.NewHelmRelease(o, sources.lookUp)
			if len(release.Charts) > 0 { // the object is no patch of another one
				release.TargetNamespace = literal(release.TargetNamespace)
				values, _, _ := unstructured.NestedMap(o.Object, "spec", "values")
				release.Workloads = facts.NewTemplatedWorkloads(release.Release, release.TargetNamespace, values)
				resolved[facts.ChartSources[0]] = append(resolved[facts.ChartSources[0]], release)
			}
		})
	return resolved, err
}

// eachOfKind calls do with each object of the wanted kinds.
func (d *Dump) eachOfKind(isWanted func(schema.GroupKind) bool, do func(*unstructured.Unstructured)) error {
	for _, o := range d.objects {
		if !isWanted(o.kind) {
			continue
		}
		content, err := o.decode()
		if err != nil {
			return err
		}
		do(content)
	}
	return nil
}

// fluxSources are the sources of charts of Flux.
type fluxSources struct {
	exact map[facts.HelmReleaseSource]fluxSource
	// byName has the sources without their namespaces, which objects in Git often lack.
	byName map[facts.HelmReleaseSource]fluxSource
}

type fluxSource struct{ address, version string }

func newFluxSources() *fluxSources {
	return &fluxSources{exact: map[facts.HelmReleaseSource]fluxSource{}, byName: map[facts.HelmReleaseSource]fluxSource{}}
}

func (s *fluxSources) add(o *unstructured.Unstructured) {
	source := fluxSource{}
	source.address, _, _ = unstructured.NestedString(o.Object, "spec", "url")
	source.version, _, _ = unstructured.NestedString(o.Object, "spec", "ref", "tag")
	if source.address == "" {
		return
	}
	s.exact[facts.HelmReleaseSource{Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}] = source
	s.byName[facts.HelmReleaseSource{Kind: o.GetKind(), Name: o.GetName()}] = source
}

func (s *fluxSources) lookUp(name facts.HelmReleaseSource) (address, version string) {
	source, ok := s.exact[name]
	if !ok {
		name.Namespace = ""
		source = s.byName[name]
	}
	return source.address, source.version
}

// applicationSetFacts returns the Applications that the template of an ApplicationSet yields for the parameters in its generators.
func applicationSetFacts(o *unstructured.Unstructured) []facts.Fact {
	template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
	generators, _, _ := unstructured.NestedSlice(o.Object, "spec", "generators")
	var found []facts.Fact
	for _, parameters := range expandGenerators(generators) {
		application, _ := substitute(template, parameters).(map[string]any)
		name, _, _ := unstructured.NestedString(application, "metadata", "name")
		spec, _ := application["spec"].(map[string]any)
		ref := facts.Ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName() + "#" + name}
		d := facts.NewApplicationSpec(ref, spec)
		d.TargetNamespace, d.Release = literal(d.TargetNamespace), literal(name)
		if len(d.Charts) > 0 {
			found = append(found, d)
		}
	}
	return found
}

// maxParameters limits the parameter sets of an ApplicationSet.
const maxParameters = 1000

// expandGenerators returns the sets of parameters in generators, by path. Parameters that a generator reads from elsewhere are
// not in them.
func expandGenerators(generators []any) []map[string]string {
	var sets []map[string]string
	for _, item := range generators {
		generator, _ := item.(map[string]any)
		for kind, body := range generator {
			config, _ := body.(map[string]any)
			nested, _ := config["generators"].([]any)
			switch {
			case kind == "matrix" && len(nested) > 0:
				product := []map[string]string{{}}
				for _, one := range nested {
					product = multiply(product, expandGenerators([]any{one}))
				}
				sets = append(sets, product...)
			case kind == "merge" && len(nested) > 0: // the first one has the defaults, which the others override for some clusters
				sets = append(sets, expandGenerators(nested[:1])...)
			case kind == "list":
				for _, element := range mappings(config["elements"]) {
					sets = append(sets, flattenTexts("", element, map[string]string{}))
				}
			case config != nil:
				values, _ := config["values"].(map[string]any)
				sets = append(sets, flattenTexts("values.", values, map[string]string{}))
			}
		}
	}
	return sets[:min(len(sets), maxParameters)]
}

func multiply(left, right []map[string]string) []map[string]string {
	product := make([]map[string]string, 0, len(left)*len(right))
	for _, a := range left {
		for _, b := range right {
			both := maps.Clone(a)
			maps.Copy(both, b)
			product = append(product, both)
		}
	}
	return product[:min(len(product), maxParameters)]
}

// flattenTexts adds the texts in values to flat, by their paths below prefix.
func flattenTexts(prefix string, values map[string]any, flat map[string]string) map[string]string {
	for key, value := range values {
		switch value := value.(type) {
		case string:
			flat[prefix+key] = value
		case map[string]any:
			flattenTexts(prefix+key+".", value, flat)
		}
	}
	return flat
}

// parameter is a parameter in either template language of Argo CD.
var parameter = regexp.MustCompile(`\{\{-?\s*\.?([A-Za-z0-9_.-]+?)\s*-?\}\}`)

// substitute returns a value with the parameters in its texts replaced by those that are known.
func substitute(value any, parameters map[string]string) any {
	return mapTexts(value, func(text string) string {
		return parameter.ReplaceAllStringFunc(text, func(action string) string {
			if known, ok := parameters[parameter.FindStringSubmatch(action)[1]]; ok {
				return known
			}
			return action
		})
	})
}

// mapTexts returns a value with its texts replaced.
func mapTexts(value any, replace func(string) string) any {
	switch value := value.(type) {
	case string:
		return replace(value)
	case map[string]any:
		replaced := make(map[string]any, len(value))
		for key, item := range value {
			replaced[key] = mapTexts(item, replace)
		}
		return replaced
	case []any:
		replaced := make([]any, len(value))
		for i, item := range value {
			replaced[i] = mapTexts(item, replace)
		}
		return replaced
	}
	return value
}

// text returns the text of a field; empty if it has none.
func text(content map[string]any, field string) string {
	value, _ := content[field].(string)
	return strings.TrimSpace(value)
}

// mappings returns the mappings in a list.
func mappings(value any) []map[string]any {
	list, _ := value.([]any)
	var found []map[string]any
	for _, item := range list {
		if mapping, ok := item.(map[string]any); ok {
			found = append(found, mapping)
		}
	}
	return found
}
