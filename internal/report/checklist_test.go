package report

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/manifest"
)

// TestChecklistItem covers how the verdicts of an item's requirements amount to its status.
func TestChecklistItem(t *testing.T) {
	object := []v1alpha1.Evidence{{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "kueue-system", Name: "kueue"}}
	newRequirement := func(name string, verdict v1alpha1.Verdict, health v1alpha1.Health) v1alpha1.RequirementStatus {
		return v1alpha1.RequirementStatus{Name: name, Verdict: verdict, Health: health, Message: "m", Evidence: object}
	}
	holds := newRequirement("gang-scheduling", v1alpha1.VerdictSatisfied, v1alpha1.HealthHealthy)
	fails := newRequirement("gang-scheduling", v1alpha1.VerdictMissing, "")
	waived := fails
	until := metav1.NewTime(time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC))
	waived.Waived = &v1alpha1.AppliedWaiver{By: "ann", Reason: "it comes", Until: &until}
	unknown := newRequirement("gang-scheduling", v1alpha1.VerdictUnknown, "")
	declared := newRequirement("gang-scheduling", v1alpha1.VerdictSatisfied, v1alpha1.HealthNotObserved)
	partHolds := newRequirement("gang-scheduling.test", v1alpha1.VerdictAttested, "")
	partFails := newRequirement("gang-scheduling.test", v1alpha1.VerdictExpired, "")
	partUnknown := newRequirement("gang-scheduling.test", v1alpha1.VerdictUnknown, "")
	other := newRequirement("gang-scheduling-too", v1alpha1.VerdictMissing, "")
	evidence := []string{"Deployment kueue-system/kueue"}
	attested := []string{"https://example.com/test", "Deployment kueue-system/kueue"}
	for name, test := range map[string]struct {
		requirements []v1alpha1.RequirementStatus
		status       string
		evidence     []string
		notes        string
	}{
		"it holds": {[]v1alpha1.RequirementStatus{holds}, "Implemented", evidence, "m"},
		"it fails": {[]v1alpha1.RequirementStatus{fails}, "Not Implemented", nil, "Missing: m"},
		"it is waived": {[]v1alpha1.RequirementStatus{waived}, "Not Implemented", nil,
			"Missing, waived until 2027-01-31 00:00 UTC by ann: it comes: m"},
		"it is Unknown":                 {[]v1alpha1.RequirementStatus{unknown}, "", nil, "Unknown: m"},
		"it is only declared":           {[]v1alpha1.RequirementStatus{declared}, "", nil, "m"},
		"all parts hold":                {[]v1alpha1.RequirementStatus{partHolds, holds}, "Implemented", attested, "gang-scheduling.test: m\nm"},
		"a part fails":                  {[]v1alpha1.RequirementStatus{holds, partFails}, "Partially Implemented", evidence, "m\ngang-scheduling.test: Expired: m"},
		"a part is Unknown":             {[]v1alpha1.RequirementStatus{holds, partUnknown}, "", nil, "m\ngang-scheduling.test: Unknown: m"},
		"only a part holds":             {[]v1alpha1.RequirementStatus{fails, partHolds}, "Not Implemented", nil, "Missing: m\ngang-scheduling.test: m"},
		"it is Unknown, a part fails":   {[]v1alpha1.RequirementStatus{unknown, partFails}, "", nil, "Unknown: m\ngang-scheduling.test: Expired: m"},
		"a requirement of similar name": {[]v1alpha1.RequirementStatus{other}, "", nil, "the profile has no requirement gang-scheduling"},
		"a part without the item":       {[]v1alpha1.RequirementStatus{partHolds}, "", nil, "the profile has no requirement gang-scheduling\ngang-scheduling.test: m"},
	} {
		t.Run(name, func(t *testing.T) {
			profile := &v1alpha1.PlatformProfile{}
			profile.Spec.Layers = []v1alpha1.Layer{
				{Name: "other", Requirements: []v1alpha1.Requirement{{Name: "gang-scheduling.test"}}},
				{Name: "scheduling", Requirements: []v1alpha1.Requirement{
					{Name: "gang-scheduling.test", Attestation: &v1alpha1.Attestation{URL: "https://example.com/test"}},
				}},
			}
			profile.Status.Layers = []v1alpha1.LayerStatus{{Name: "scheduling", Requirements: test.requirements}}
			item := checklistItem{ID: "gang_scheduling", Level: "MUST"}
			hasRequirement := fillItem(&item, profile)
			if item.Status != test.status || !slices.Equal(item.Evidence, test.evidence) || item.Notes != test.notes {
				t.Errorf("the item is %+v", item)
			}
			if want := !strings.HasPrefix(test.notes, "the profile has no"); hasRequirement != want {
				t.Errorf("the profile has the requirement: %t, want %t", hasRequirement, want)
			}
		})
	}
}

// TestSampleCoversTheChecklist compares config/samples/ai-conformance.yaml with the checklist: a requirement for each item, with its level,
// in the layer of its category.
func TestSampleCoversTheChecklist(t *testing.T) {
	data, err := os.ReadFile("../../config/samples/ai-conformance.yaml")
	if err != nil {
		t.Fatal(err)
	}
	profiles, err := manifest.Profiles(bytes.NewReader(data))
	if err != nil || len(profiles) != 1 {
		t.Fatal(err, len(profiles))
	}
	severities := map[string]v1alpha1.Severity{}
	for _, layer := range profiles[0].Spec.Layers {
		for _, r := range layer.Requirements {
			severities[layer.Name+"/"+r.Name] = r.Severity
		}
	}
	var content struct {
		Metadata map[string]string          `yaml:"metadata"`
		Spec     map[string][]checklistItem `yaml:"spec"`
	}
	if err := yaml.Unmarshal(aiConformance, &content); err != nil {
		t.Fatal(err)
	}
	layers := map[string]string{"schedulingOrchestration": "scheduling-orchestration"}
	for category, items := range content.Spec {
		layer := layers[category]
		if layer == "" {
			layer = category
		}
		for _, item := range items {
			name := layer + "/" + strings.ReplaceAll(item.ID, "_", "-")
			severity, ok := severities[name]
			if isRequired := severity != v1alpha1.SeverityRecommended; !ok || isRequired != (item.Level == "MUST") {
				t.Errorf("the sample has no requirement %s with the level %s: %t, %s", name, item.Level, ok, severity)
			}
			delete(severities, name)
			for other, severity := range severities {
				if strings.HasPrefix(other, name+".") {
					if isRequired := severity != v1alpha1.SeverityRecommended; isRequired != (item.Level == "MUST") {
						t.Errorf("%s has another severity than %s", other, name)
					}
					delete(severities, other)
				}
			}
		}
	}
	delete(severities, "kubernetes/version")
	if len(severities) > 0 {
		t.Errorf("the checklist has no item for %v", severities)
	}
}
