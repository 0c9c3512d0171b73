package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/internal/catalog"
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

// scoreFolder compares the result of discover for each variant of a folder with EXPECTED.tsv.
func scoreFolder(t *testing.T, folder string, isDefined func(component string) bool) {
	t.Helper()
	file, err := os.Open(filepath.Join(folder, "EXPECTED.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // nothing was written
	variants := map[string]bool{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") || strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		columns := append(strings.Split(lines.Text(), "\t"), "", "")
		variant, must, may := columns[0], strings.Fields(columns[1]), strings.Fields(columns[2])
		variants[variant] = true
		t.Run(variant, func(t *testing.T) {
			found := discoverVersions(t, filepath.Join(folder, variant))
			var allowed []string
			for _, expected := range append(slices.Clone(must), may...) {
				name, _, _ := strings.Cut(expected, "@")
				allowed = append(allowed, name)
			}
			for _, expected := range must {
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
				if !slices.Contains(allowed, name) {
					t.Errorf("%s %q is a false alarm", name, versions)
				}
				if n := countCopies(must, name); n > 1 && len(versions) != n {
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

// discoverVersions returns the versions of each component that is discovered in a folder.
func discoverVersions(t *testing.T, folder string) map[string][]string {
	t.Helper()
	code, out, errOut := run("", "discover", "--from", folder, "-o", "json")
	if code != ExitOK || errOut != "" {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	var d report.Discovery
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for _, component := range d.Components {
		for _, installation := range component.Installations {
			found[component.Name] = append(found[component.Name], installation.Version)
			if len(installation.Evidence) == 0 {
				t.Errorf("%s has no evidence", component.Name)
			}
		}
	}
	return found
}
