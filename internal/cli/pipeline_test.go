package cli

import (
	"encoding/json"
	"encoding/xml"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

// junit is the part of a JUnit report that pipelines read.
type junit struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
	Suites   []struct {
		Name  string `xml:"name,attr"`
		Cases []struct {
			Name    string  `xml:"name,attr"`
			Failure *string `xml:"failure"`
			Error   *string `xml:"error"`
			Skipped *string `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

const requirementsOfEachKind = `{name: a, capability: runtime-security}, {name: b, anyOf: [{component: vault}]},
  {name: c, severity: Recommended, anyOf: [{component: vault}]},
  {name: d, rule: {resource: {group: example.com, resource: widgets}, expression: 'true', message: m}}`

func TestJUnit(t *testing.T) {
	file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": newProfile(requirementsOfEachKind)}), "p.yaml")
	code, out, errOut := run(falcoManifest, "check", "-f", file, "--from", "-", "-o", "junit")
	if code != ExitFound {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	var got junit
	if err := xml.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if got.Tests != 4 || got.Failures != 1 || got.Errors != 1 || got.Skipped != 1 || len(got.Suites) != 1 ||
		got.Suites[0].Name != "p/security" {
		t.Fatalf("%+v", got)
	}
	for _, c := range got.Suites[0].Cases {
		if (c.Failure != nil) != (c.Name == "b") || (c.Error != nil) != (c.Name == "d") || (c.Skipped != nil) != (c.Name == "c") {
			t.Errorf("%+v", c)
		}
	}
	if text := *got.Suites[0].Cases[1].Failure; !strings.Contains(text, "vault is not installed") ||
		!strings.Contains(text, "Install HashiCorp Vault") {
		t.Errorf("no remediation in %q", text)
	}
}

func TestJUnitOfSeveralProfiles(t *testing.T) {
	two := newProfile("{name: a, capability: runtime-security}") + "---\n" +
		strings.Replace(newProfile("{name: a, capability: secrets}"), "name: p}", "name: q}", 1)
	folder := writeFiles(t, map[string]string{"m.yaml": falcoManifest})
	code, out, _ := run(two, "check", "-f", "-", "--from", folder, "-o", "junit")
	var got junit
	if err := xml.Unmarshal([]byte(out), &got); err != nil || code != ExitFound || len(got.Suites) != 2 ||
		got.Suites[0].Name != "p/security" || got.Suites[1].Name != "q/security" || got.Failures != 1 {
		t.Errorf("exit code %d, %v, %+v", code, err, got)
	}
	if code, out, _ = run(two, "check", "p", "-f", "-", "--from", folder); code != ExitOK || strings.Contains(out, "PlatformProfile q") {
		t.Errorf("one profile: exit code %d:\n%s", code, out)
	}
	if code, _, errOut := run(two, "check", "r", "-f", "-", "--from", folder); code != ExitError ||
		!strings.Contains(errOut, `no PlatformProfile "r"`) || !strings.Contains(errOut, "p, q") {
		t.Errorf("an unknown profile: exit code %d: %s", code, errOut)
	}
}

// If the exit code is not 0, a report contains a failure or an error.
func TestReportsMatchExitCode(t *testing.T) {
	for name, spec := range map[string]string{
		"a spec error": "{layers: [{name: security, requirements: [{name: a, severity: Recommended, anyOf: [{component: falcon}]}]}]}",
		"undeclared":   "{undeclared: Forbid, layers: [{name: security, requirements: [{name: a, severity: Recommended, anyOf: [{component: vault}]}]}]}",
		"unreadable":   "{undeclared: Forbid, layers: [{name: security, requirements: [{name: a, capability: runtime-security}]}]}",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: p}\nspec: " + spec + "\n"}), "p.yaml")
			code, out, _ := run(falcoManifest, "check", "-f", file, "--from", "-", "-o", "junit")
			var got junit
			if err := xml.Unmarshal([]byte(out), &got); err != nil {
				t.Fatal(err)
			}
			if code == ExitOK || got.Failures+got.Errors == 0 {
				t.Errorf("exit code %d with %d failures and %d errors", code, got.Failures, got.Errors)
			}
			code, out, _ = run(falcoManifest, "check", "-f", file, "--from", "-", "-o", "sarif")
			if levels := levelsOf(t, out); code == ExitOK || !slices.Contains(levels, "error") && !slices.Contains(levels, "warning") {
				t.Errorf("exit code %d with results %q", code, levels)
			}
		})
	}
}

func levelsOf(t *testing.T, out string) []string {
	t.Helper()
	got, err := sarif.FromString(out)
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	var levels []string
	for _, result := range got.Runs[0].Results {
		levels = append(levels, result.Level)
	}
	return levels
}

func TestSARIF(t *testing.T) {
	folder := writeFiles(t, map[string]string{"sub dir/p.yaml": "# a remark\n---\n" + newProfile("\n"+requirementsOfEachKind)})
	t.Chdir(folder)
	code, out, errOut := run(falcoManifest, "check", "-f", filepath.Join("sub dir", "p.yaml"), "--from", "-", "-o", "sarif")
	if code != ExitFound {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	got, err := sarif.FromString(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Validate(); err != nil {
		t.Fatalf("invalid by the schema: %v", err)
	}
	if rules := got.Runs[0].Tool.Driver.Rules; len(rules) != 4 || *rules[1].ID != "p/security/b" {
		t.Errorf("got %d rules, want one for each requirement", len(rules))
	}
	want := map[string]string{"p/security/b": "error", "p/security/c": "note", "p/security/d": "warning"}
	lines := map[string]int{"p/security/b": 7, "p/security/c": 8, "p/security/d": 9}
	if len(got.Runs[0].Results) != len(want) {
		t.Fatalf("got %d results, want %d", len(got.Runs[0].Results), len(want))
	}
	for _, result := range got.Runs[0].Results {
		at := result.Locations[0].PhysicalLocation
		if result.Level != want[*result.RuleID] || *at.ArtifactLocation.URI != "sub%20dir/p.yaml" ||
			*at.Region.StartLine != lines[*result.RuleID] {
			t.Errorf("%s is %s at %s:%d", *result.RuleID, result.Level, *at.ArtifactLocation.URI, *at.Region.StartLine)
		}
	}
	var raw map[string]any
	if err := json.Unmarshal([]byte(out), &raw); err != nil || raw["version"] != "2.1.0" {
		t.Errorf("version %v, %v", raw["version"], err)
	}
}

// Reports escape text from clusters and files.
func TestReportsEscapeText(t *testing.T) {
	const evil = `]]></failure><script>alert(1)</script>&\"'\u202e\u001b[31m`
	requirements := `{name: a, rule: {resource: {group: apps, resource: daemonsets}, expression: 'false', message: "` + evil + `"}}`
	file := filepath.Join(writeFiles(t, map[string]string{"p.yaml": newProfile(requirements)}), "p.yaml")
	_, out, errOut := run(falcoManifest, "check", "-f", file, "--from", "-", "-o", "junit")
	var got junit
	if err := xml.Unmarshal([]byte(out), &got); err != nil || got.Failures != 1 {
		t.Fatalf("%v: %+v\n%s%s", err, got, out, errOut)
	}
	if text := *got.Suites[0].Cases[0].Failure; !strings.Contains(text, `]]></failure><script>alert(1)</script>&"'`) ||
		strings.ContainsAny(out, "\x1b\u202e") {
		t.Errorf("%q", out)
	}
	_, out, _ = run(falcoManifest, "check", "-f", file, "--from", "-", "-o", "sarif")
	report, err := sarif.FromString(out)
	if err != nil || strings.ContainsAny(out, "\x1b\u202e") || !strings.Contains(*report.Runs[0].Results[0].Message.Text, "<script>") {
		t.Errorf("%v: %q", err, out)
	}
}
