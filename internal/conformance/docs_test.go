package conformance_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/manifest"
)

const layersPage = "../../docs/layers.md"

// row is one row of a table.
type row struct {
	line  int
	cells []string
}

// block is one fenced block.
type block struct {
	language, text string
	line           int
}

// readPage parses docs/layers.md: its tables by the first word of their header, and its fenced blocks.
func readPage(t *testing.T) (map[string][]row, []block) {
	t.Helper()
	data, err := os.ReadFile(layersPage)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string][]row{}
	var blocks []block
	var open *block
	kind := ""
	for n, line := range strings.Split(string(data), "\n") {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && open == nil:
			open = &block{language: fence, line: n + 1}
		case isFence:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		case !strings.HasPrefix(line, "|"):
			kind = ""
		default:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			switch {
			case kind == "":
				kind = cells[0]
			case strings.Trim(cells[0], "-") != "":
				tables[kind] = append(tables[kind], row{n + 1, cells})
			}
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: the block is not closed", layersPage, open.line)
	}
	return tables, blocks
}

var quotedName = regexp.MustCompile("`([^`]+)`")

// names returns the names in backticks in a cell.
func (r row) names(cell int) []string {
	var found []string
	if cell >= len(r.cells) {
		return nil
	}
	for _, match := range quotedName.FindAllStringSubmatch(r.cells[cell], -1) {
		found = append(found, match[1])
	}
	return found
}

// name returns the name in the first cell; empty if there is none.
func (r row) name() string {
	if found := r.names(0); len(found) > 0 {
		return found[0]
	}
	return ""
}

// quoteAll formats names as the content of a cell.
func quoteAll(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

// parameterCell returns the expected cell for the parameters of a check, with their defaults.
func parameterCell(parameters []v1alpha1.CheckParameter) string {
	var texts []string
	for _, p := range parameters {
		text := "`" + p.Name + "`"
		if p.Default != nil {
			text += " (" + string(*p.Default) + ")"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

// TestLayersPageExcerptsAreValid compiles every YAML block of the page, which is either a profile or the spec of one.
func TestLayersPageExcerptsAreValid(t *testing.T) {
	components, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(components...)
	_, blocks := readPage(t)
	profileCount, excerpts := 0, 0
	for _, b := range blocks {
		if b.language != "yaml" {
			t.Errorf("%s:%d: cannot check a block of %q: write a profile, or its spec, as yaml", layersPage, b.line, b.language)
			continue
		}
		content := map[string]any{}
		if err := yaml.UnmarshalStrict([]byte(b.text), &content); err != nil {
			t.Errorf("%s:%d: %v", layersPage, b.line, err)
			continue
		}
		text := b.text
		switch {
		case content["kind"] == "PlatformProfile":
			profileCount++
		case content["layers"] != nil:
			excerpts++
			profile := &unstructured.Unstructured{Object: map[string]any{"spec": content}}
			profile.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("PlatformProfile"))
			profile.SetName("excerpt")
			data, err := yaml.Marshal(profile.Object)
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		default:
			t.Errorf("%s:%d: the block is neither a PlatformProfile nor a spec with layers", layersPage, b.line)
			continue
		}
		profiles, err := manifest.Profiles(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s:%d: %v", layersPage, b.line, err)
			continue
		}
		for _, profile := range profiles {
			if compiled := conformance.Compile(&profile.Spec, c); len(compiled.Errors) > 0 {
				t.Errorf("%s:%d: %v", layersPage, b.line, compiled.Errors.ToAggregate())
			}
		}
	}
	if profileCount == 0 || excerpts < 10 {
		t.Errorf("%d profiles and %d excerpts were found in %s", profileCount, excerpts, layersPage)
	}
}

// catalogNames contains the names that requirements can use with the built-in definitions.
type catalogNames struct {
	definitions map[string]*v1alpha1.PlatformComponent
	// providers are the components by capability, sorted.
	providers map[string][]string
	// checks are the named checks by name, then by component.
	checks map[string]map[string]v1alpha1.NamedCheck
	// names are all names that the page may contain in backticks.
	names map[string]bool
}

func builtinNames(t *testing.T) *catalogNames {
	t.Helper()
	definitions, err := catalog.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	o := &catalogNames{definitions, map[string][]string{}, map[string]map[string]v1alpha1.NamedCheck{}, map[string]bool{}}
	for _, symptom := range diagnosis.Symptoms {
		o.names[symptom] = true
	}
	for _, component := range slices.Sorted(maps.Keys(definitions)) {
		o.names[component] = true
		for _, capability := range definitions[component].Spec.Capabilities {
			o.names[string(capability)] = true
			o.providers[string(capability)] = append(o.providers[string(capability)], component)
		}
		for _, check := range definitions[component].Spec.Checks {
			name := string(check.Name)
			o.names[name] = true
			for _, parameter := range check.Parameters {
				o.names[parameter.Name] = true
			}
			if o.checks[name] == nil {
				o.checks[name] = map[string]v1alpha1.NamedCheck{}
			}
			o.checks[name][component] = check
		}
	}
	return o
}

// layer returns the layer of a component, under which the page must list it.
func (o *catalogNames) layer(component string) string {
	return string(o.definitions[component].Spec.Layer)
}

// listedLines contains the line of each name that the page lists.
type listedLines map[string]int

func (listed listedLines) add(t *testing.T, what string, r row) {
	t.Helper()
	if line, isDuplicate := listed[what]; isDuplicate {
		t.Errorf("%s:%d: %s is already listed in line %d", layersPage, r.line, what, line)
	}
	listed[what] = r.line
}

// TestLayersPageNamesExist checks the cells of each table, and that names in backticks are names of the catalog.
func TestLayersPageNamesExist(t *testing.T) {
	tables, _ := readPage(t)
	o := builtinNames(t)
	columns := map[string]int{"capability": 3, "check": 4, "component": 2, "symptom": 4}
	for kind, rows := range tables {
		for _, r := range rows {
			at := fmt.Sprintf("%s:%d", layersPage, r.line)
			if columns[kind] == 0 {
				t.Fatalf("%s: cannot check a table whose header begins with %q: extend these tests", at, kind)
			}
			if len(r.cells) != columns[kind] || len(r.names(0)) != 1 {
				t.Errorf("%s: the row must have %d cells, and in the first one %s in backticks: %q", at, columns[kind], kind, r.cells)
			}
			for cell := range r.cells {
				for _, name := range r.names(cell) {
					if !o.names[name] {
						t.Errorf("%s: there is no component, capability, check, parameter or symptom %s: correct the name, or write it without backticks", at, name)
					}
				}
			}
		}
	}
}

func TestLayersPageListsCapabilities(t *testing.T) {
	tables, _ := readPage(t)
	o := builtinNames(t)
	listed := listedLines{}
	for _, r := range tables["capability"] {
		name := r.name()
		listed.add(t, name, r)
		if want := o.providers[name]; len(want) == 0 {
			t.Errorf("%s:%d: nothing provides %s: remove the row", layersPage, r.line, name)
		} else if got := r.names(1); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("%s:%d: the components of %s must be\n%s", layersPage, r.line, name, quoteAll(want))
		}
	}
	for _, capability := range slices.Sorted(maps.Keys(o.providers)) {
		if components := o.providers[capability]; listed[capability] == 0 {
			t.Errorf("%s does not list the capability %s: add to the table of capabilities of the layer %s the row\n| `%s` | %s | (what to know when one asks for it) |",
				layersPage, capability, o.layer(components[0]), capability, quoteAll(components))
		}
	}
}

func TestLayersPageListsChecks(t *testing.T) {
	tables, _ := readPage(t)
	o := builtinNames(t)
	listed := listedLines{}
	for _, r := range tables["check"] {
		name := r.name()
		if len(r.names(1)) == 0 || len(r.cells) < 4 || r.cells[3] == "" {
			t.Errorf("%s:%d: say which component offers %s, and when it fails", layersPage, r.line, name)
			continue
		}
		for _, component := range r.names(1) {
			listed.add(t, name+" of "+component, r)
			check, ok := o.checks[name][component]
			if !ok {
				t.Errorf("%s:%d: %s offers no check %s: remove it from the row", layersPage, r.line, component, name)
			} else if want := parameterCell(check.Parameters); r.cells[2] != want {
				t.Errorf("%s:%d: the parameters of %s's check %s are %q, want %q", layersPage, r.line, component, name, r.cells[2], want)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.checks)) {
		for _, component := range slices.Sorted(maps.Keys(o.checks[name])) {
			if listed[name+" of "+component] != 0 {
				continue
			}
			check := o.checks[name][component]
			t.Errorf("%s does not list %s's check %s: add to the table of checks of the layer %s the row\n| `%s` | `%s` | %s | (when it fails; its description is: %s) |",
				layersPage, component, name, o.layer(component), name, component, parameterCell(check.Parameters), check.Description)
		}
	}
}

func TestLayersPageListsHealthRules(t *testing.T) {
	tables, _ := readPage(t)
	o := builtinNames(t)
	listed := listedLines{}
	hasHealthRules := func(component string) bool {
		definition := o.definitions[component]
		return definition != nil && definition.Spec.Health != nil && len(definition.Spec.Health.Rules) > 0
	}
	for _, r := range tables["component"] {
		listed.add(t, r.name(), r)
		if !hasHealthRules(r.name()) {
			t.Errorf("%s:%d: %s has no health rules: remove the row", layersPage, r.line, r.name())
		}
	}
	for _, component := range slices.Sorted(maps.Keys(o.definitions)) {
		if hasHealthRules(component) && listed[component] == 0 {
			t.Errorf("%s does not list the health rules of %s: add to the table of the layer %s the row\n| `%s` | %s |",
				layersPage, component, o.layer(component), component, o.definitions[component].Spec.Health.Rules[0].Message)
		}
	}
}

func TestLayersPageListsSymptoms(t *testing.T) {
	tables, _ := readPage(t)
	listed := listedLines{}
	for _, r := range tables["symptom"] {
		listed.add(t, r.name(), r)
		if !slices.Contains(diagnosis.Symptoms, r.name()) {
			t.Errorf("%s:%d: nothing is diagnosed as %s: remove the row", layersPage, r.line, r.name())
		}
	}
	for _, symptom := range diagnosis.Symptoms {
		if listed[symptom] == 0 {
			t.Errorf("%s does not list the symptom %s: add to the table under Troubleshooting the row\n| `%s` | (what kubectl shows) | (what it means) | (where it shows up) |",
				layersPage, symptom, symptom)
		}
	}
}
