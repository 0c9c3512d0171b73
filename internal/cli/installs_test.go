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

// The fixtures say what must be found in each of them, and what may be. Anything else is a false alarm.
func TestFixturesAreRecognised(t *testing.T) {
	score(t, "../catalog/testdata/installs", func(string) bool { return true })
}

// Platforms of several products, with what runs beside them and what is left over from an uninstall.
func TestPlatformsAreRecognised(t *testing.T) {
	score(t, "testdata/installs", func(string) bool { return true })
}

// Real installs, where they are at hand: as far as the built-in catalog reaches.
func TestRealInstallsAreRecognised(t *testing.T) {
	const corpus = "../../../shared/corpus"
	if _, err := os.Stat(filepath.Join(corpus, "EXPECTED.tsv")); errors.Is(err, fs.ErrNotExist) {
		t.Skip("the real installs of ../shared/corpus are not here")
	}
	definitions, err := catalog.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	score(t, corpus, func(name string) bool { return definitions[name] != nil })
}

// score runs discover over each variant of a folder and holds what it finds against EXPECTED.tsv there.
func score(t *testing.T, folder string, known func(component string) bool) {
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
			found := discovered(t, filepath.Join(folder, variant))
			var allowed []string
			for _, expected := range append(slices.Clone(must), may...) {
				name, _, _ := strings.Cut(expected, "@")
				allowed = append(allowed, name)
			}
			for _, expected := range must {
				name, version, told := strings.Cut(expected, "@")
				switch versions, ok := found[name]; {
				case !known(name):
				case !ok:
					t.Errorf("%s is not found", name)
				case told && !slices.Contains(versions, version):
					t.Errorf("%s is found in version %q, want %s", name, versions, version)
				}
			}
			for name, versions := range found {
				if !slices.Contains(allowed, name) {
					t.Errorf("%s %q is a false alarm", name, versions)
				}
				if n := copies(must, name); n > 1 && len(versions) != n {
					t.Errorf("%s is found %d times, want %d", name, len(versions), n)
				}
			}
		})
	}
	// A fixture that nobody scores proves nothing.
	folders, err := filepath.Glob(filepath.Join(folder, "*", "*", "manifests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, manifests := range folders {
		variant, _ := filepath.Rel(folder, filepath.Dir(manifests))
		if !variants[variant] {
			t.Errorf("EXPECTED.tsv says nothing of %s", variant)
		}
	}
}

func copies(expected []string, component string) int {
	n := 0
	for _, text := range expected {
		if name, _, _ := strings.Cut(text, "@"); name == component {
			n++
		}
	}
	return n
}

// discovered are the versions of each component that discover finds in a folder.
func discovered(t *testing.T, folder string) map[string][]string {
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
				t.Errorf("%s is found without evidence", component.Name)
			}
		}
	}
	return found
}
