package podcases_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// caseTime is when the dumps were taken.
var caseTime = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// expectation is expect.yaml of a case.
type expectation struct {
	// Source is the public report that the case is rebuilt from.
	Source    string              `json:"source"`
	Diagnoses []expectedDiagnosis `json:"diagnoses"`
}

type expectedDiagnosis struct {
	Workload string `json:"workload"`
	Symptom  string `json:"symptom"`
	// Patterns that one of the first two causes, the meaning and a command must match.
	Cause   string `json:"cause"`
	Meaning string `json:"meaning"`
	Command string `json:"command"`
}

// TestCases diagnoses every case below testdata: those that people reported, those of the other kinds, and healthy ones that look alike.
func TestCases(t *testing.T) {
	folders, err := filepath.Glob("testdata/cases/*")
	if err != nil || len(folders) < 60 {
		t.Fatalf("%d cases, %v", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(folder, "dump.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			pods := collectFromDump(t, string(data), "", caseTime)
			if len(pods.Unreadable) > 0 {
				t.Errorf("unreadable: %q", pods.Unreadable)
			}
			checkCase(t, folder, pods.Diagnose(nil, caseTime))
		})
	}
}

func checkCase(t *testing.T, folder string, found []v1alpha1.Diagnosis) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, "expect.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := expectation{}
	if err := yaml.UnmarshalStrict(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(found) != len(want.Diagnoses) {
		t.Fatalf("got %+v, want %+v", found, want.Diagnoses)
	}
	for _, expected := range want.Diagnoses {
		if !slices.ContainsFunc(found, expected.matches) {
			t.Errorf("want %+v, got %+v", expected, found)
		}
	}
	for _, d := range found {
		if d.Since == nil || d.Since.After(caseTime) {
			t.Errorf("%s is since %v", d.Symptom, d.Since)
		}
		if d.Meaning == "" || len(d.LikelyCauses) == 0 || len(d.Commands) == 0 {
			t.Errorf("something is missing: %+v", d)
		}
		for n, cause := range d.LikelyCauses {
			if strings.Contains(d.Meaning, cause) || slices.Contains(d.LikelyCauses[:n], cause) {
				t.Errorf("%q is said twice: %q, %q", cause, d.Meaning, d.LikelyCauses)
			}
		}
	}
}

func (e expectedDiagnosis) matches(d v1alpha1.Diagnosis) bool {
	isMatch := func(pattern, text string) bool { return regexp.MustCompile("(?i)" + pattern).MatchString(text) }
	causes := d.LikelyCauses[:min(2, len(d.LikelyCauses))]
	workload := d.Workload.Kind + " " + d.Workload.Namespace + "/" + d.Workload.Name
	return workload == e.Workload && d.Symptom == e.Symptom && isMatch(e.Meaning, d.Meaning) &&
		slices.ContainsFunc(causes, func(cause string) bool { return isMatch(e.Cause, cause) }) &&
		slices.ContainsFunc(d.Commands, func(command string) bool { return isMatch(e.Command, command) })
}
