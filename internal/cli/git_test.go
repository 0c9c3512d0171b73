package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/report"
)

// Repositories of each shape in which people declare platforms in Git. EXPECTED.tsv has every component of each.
func TestGitRepositories(t *testing.T) {
	const folder = "testdata/git"
	data, err := os.ReadFile(filepath.Join(folder, "EXPECTED.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	expected := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		repository, component, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if component == "-" {
			expected[repository] = []string{}
			continue
		}
		expected[repository] = append(expected[repository], component)
	}
	for repository, want := range expected {
		t.Run(repository, func(t *testing.T) {
			from := filepath.Join(folder, repository)
			code, out, errOut := run("", "discover", "--from", from, "-o", "json")
			if code != ExitOK || errOut != "" {
				t.Fatalf("exit code %d: %s", code, errOut)
			}
			var d report.Discovery
			if err := json.Unmarshal([]byte(out), &d); err != nil {
				t.Fatal(err)
			}
			got := declarations(t, d, from)
			slices.Sort(want)
			for _, line := range want {
				if !slices.Contains(got, line) {
					t.Errorf("missing:    %s", line)
				}
			}
			for _, line := range got {
				if !slices.Contains(want, line) {
					t.Errorf("unexpected: %s", line)
				}
			}
		})
	}
	if folders, _ := filepath.Glob(filepath.Join(folder, "*", "")); len(folders)-1 != len(expected) {
		t.Errorf("%d repositories, and %d in EXPECTED.tsv", len(folders)-1, len(expected))
	}
}

// declarations returns the lines of EXPECTED.tsv for what was discovered in a folder.
func declarations(t *testing.T, d report.Discovery, folder string) []string {
	t.Helper()
	var lines []string
	for _, component := range d.Components {
		for _, i := range component.Installations {
			if i.Health != v1alpha1.HealthNotObserved {
				t.Errorf("%s is %s", component.Name, i.Health)
			}
			object := i.Evidence[0]
			name := strings.TrimPrefix(object.Name, folder+"/")
			if object.Namespace != "" {
				name = object.Namespace + "/" + name
			}
			version := strings.TrimSpace(i.VersionOf + " " + i.Version)
			lines = append(lines, strings.Join([]string{component.Name, version, i.Namespace, object.Kind + " " + name}, "\t"))
		}
	}
	return lines
}
