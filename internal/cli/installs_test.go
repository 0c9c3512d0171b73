package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/report"
)

// EXPECTED.tsv lists the components that must and may be discovered in each fixture.
func TestFixtures(t *testing.T) {
	scoreFolder(t, "../catalog/testdata/installs", func(string) bool { return true })
}

// Platforms of several products, with what runs beside them and what is left over from an uninstall.
func TestPlatforms(t *testing.T) {
	scoreFolder(t, "testdata/installs", func(string) bool { return true })
}

// Real installations, if they are available: the components that the catalog defines.
func TestRealInstallations(t *testing.T) {
	const corpus = "../../../shared/corpus"
	if _, err := os.Stat(filepath.Join(corpus, "EXPECTED.tsv")); errors.Is(err, fs.ErrNotExist) {
		t.Skip("../shared/corpus does not exist")
	}
	definitions, err := catalog.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	scoreFolder(t, corpus, func(name string) bool { return definitions[name] != nil })
}

// fixture is a line of EXPECTED.tsv: a variant, and the components that must and may be discovered in it.
type fixture struct {
	variant   string
	must, may []string
}

// allows reports whether the component may be discovered in the fixture.
func (f fixture) allows(component string) bool {
	return countCopies(f.must, component)+countCopies(f.may, component) > 0
}

// readFixtures returns the lines of a folder's EXPECTED.tsv.
func readFixtures(t *testing.T, folder string) []fixture {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, "EXPECTED.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var fixtures []fixture
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		columns := append(strings.Split(strings.TrimRight(line, "\n"), "\t"), "", "")
		fixtures = append(fixtures, fixture{columns[0], strings.Fields(columns[1]), strings.Fields(columns[2])})
	}
	return fixtures
}

// scoreFolder compares the result of discover for each variant of a folder with EXPECTED.tsv.
func scoreFolder(t *testing.T, folder string, isDefined func(component string) bool) {
	t.Helper()
	variants := map[string]bool{}
	for _, f := range readFixtures(t, folder) {
		variants[f.variant] = true
		t.Run(f.variant, func(t *testing.T) {
			found := discoverVersions(t, filepath.Join(folder, f.variant))
			for _, expected := range f.must {
				name, version, hasVersion := strings.Cut(expected, "@")
				switch versions, ok := found[name]; {
				case !isDefined(name):
				case !ok:
					t.Errorf("%s is not found", name)
				case hasVersion && !slices.Contains(versions, version):
					t.Errorf("%s is found in version %q, want %s", name, versions, version)
				}
			}
			for name, versions := range found {
				if !f.allows(name) {
					t.Errorf("%s %q is a false alarm", name, versions)
				}
				if n := countCopies(f.must, name); n > 1 && len(versions) != n {
					t.Errorf("%s is found %d times, want %d", name, len(versions), n)
				}
			}
		})
	}
	// EXPECTED.tsv must contain every fixture.
	folders, err := filepath.Glob(filepath.Join(folder, "*", "*", "manifests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, manifests := range folders {
		variant, _ := filepath.Rel(folder, filepath.Dir(manifests))
		if !variants[variant] {
			t.Errorf("EXPECTED.tsv does not contain %s", variant)
		}
	}
}

func countCopies(expected []string, component string) int {
	n := 0
	for _, text := range expected {
		if name, _, _ := strings.Cut(text, "@"); name == component {
			n++
		}
	}
	return n
}

// discover returns what is discovered in a folder.
func discover(t *testing.T, folder string) report.Discovery {
	t.Helper()
	code, out, errOut := run("", "discover", "--from", folder, "-o", "json")
	if code != ExitOK || errOut != "" {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	var d report.Discovery
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// discoverVersions returns the versions of each component that is discovered in a folder.
func discoverVersions(t *testing.T, folder string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, component := range discover(t, folder).Components {
		for _, installation := range component.Installations {
			found[component.Name] = append(found[component.Name], installation.Version)
			if len(installation.Evidence) == 0 {
				t.Errorf("%s has no evidence", component.Name)
			}
		}
	}
	return found
}

// objectKey identifies an object of a fixture; the kinds of fixtures are unique without their groups.
type objectKey struct{ kind, namespace, name string }

// fixtureObjects returns the objects of a file, and those of its Lists.
func fixtureObjects(t *testing.T, file string) []objectKey {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var keys []objectKey
	addObject := func(content map[string]any) error {
		o := unstructured.Unstructured{Object: content}
		keys = append(keys, objectKey{o.GetKind(), o.GetNamespace(), o.GetName()})
		return nil
	}
	err = manifest.EachObject(bytes.NewReader(data), func(o manifest.Object) error {
		list := unstructured.Unstructured{Object: o.Content}
		if !list.IsList() {
			return addObject(o.Content)
		}
		return list.EachListItem(func(item runtime.Object) error { return addObject(item.(*unstructured.Unstructured).Object) })
	})
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return keys
}

// TestFixturesTogether discovers all fixtures at once: the products beside the look-alikes and leftovers of all others. The first evidence
// of each installation, which is a proof, must be an object of a fixture in which the component is expected.
func TestFixturesTogether(t *testing.T) {
	const folder = "../catalog/testdata/installs"
	fixtures, variantsOf := readFixtures(t, folder), map[objectKey][]int{}
	for n, f := range fixtures {
		for _, key := range fixtureObjects(t, filepath.Join(folder, f.variant, "manifests.yaml")) {
			variantsOf[key] = append(variantsOf[key], n)
		}
	}
	found := map[string]bool{}
	for _, component := range discover(t, folder).Components {
		found[component.Name] = true
		for _, installation := range component.Installations {
			proof := installation.Evidence[0]
			isExpected := func(n int) bool { return fixtures[n].allows(component.Name) }
			if !slices.ContainsFunc(variantsOf[objectKey{proof.Kind, proof.Namespace, proof.Name}], isExpected) {
				t.Errorf("%s in the namespace %q is a false alarm: %+v", component.Name, installation.Namespace, proof)
			}
		}
	}
	for _, f := range fixtures {
		for _, expected := range f.must {
			if name, _, _ := strings.Cut(expected, "@"); !found[name] {
				t.Errorf("%s of %s is not found", name, f.variant)
			}
		}
	}
}
