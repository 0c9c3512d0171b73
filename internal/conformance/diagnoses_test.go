package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// setSymptoms sets the diagnoses of a Deployment, one symptom for each container.
func (w *world) setSymptoms(namespace, name string, symptoms ...string) {
	var found []v1alpha1.Diagnosis
	for n, symptom := range symptoms {
		found = append(found, v1alpha1.Diagnosis{
			Workload: v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: namespace, Name: name},
			Pod:      name + "-1", Container: fmt.Sprintf("c%02d", n), Symptom: symptom, Meaning: "in words",
		})
	}
	w.inventory.SetDiagnoses(facts.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: name}, found)
}

// diagnosisTexts returns the diagnoses of the status, each as "symptom workload container".
func (w *world) diagnosisTexts() []string {
	var all []string
	for _, d := range w.status.Diagnoses {
		all = append(all, d.Symptom+" "+d.Workload.Name+" "+d.Container)
	}
	return all
}

func TestWorstDiagnosesAreReportedAndOthersCounted(t *testing.T) {
	w := newWorld(t, `
layers:
- name: network
  requirements:
  - {name: nice, severity: Recommended, anyOf: [{component: delta}, {component: beta}]}
  - {name: fine, anyOf: [{component: beta}], health: Any}
  - {name: nicer, severity: Recommended, anyOf: [{component: alpha}]}
  - {name: cni, anyOf: [{component: alpha}]}
  - {name: registry, anyOf: [{component: gamma}]}`)
	w.setDeployments(degradedDeployment("net", "example/alpha:v1"), degradedDeployment("net", "example/beta:v1"),
		degradedDeployment("reg", "example/gamma:v1"))
	w.setSymptoms("net", "alpha", diagnosis.NotReady, diagnosis.CrashLoop)
	w.setSymptoms("net", "beta", diagnosis.NodeLost, diagnosis.CrashLoop)
	w.setSymptoms("reg", "gamma", diagnosis.Unschedulable)
	w.evaluate()
	want := []string{"Unschedulable gamma c00", "CrashLoop alpha c01", "NotReady alpha c00", "NodeLost beta c00", "CrashLoop beta c01"}
	if got := w.diagnosisTexts(); !slices.Equal(got, want) || w.status.DiagnosesOmitted != 0 {
		t.Errorf("got %q and %d more, want those of Required requirements first, worst first, without duplicates: %q", got, w.status.DiagnosesOmitted, want)
	}
	if got := w.requirement("cni").Message; !strings.Contains(got, "; Deployment net/alpha: CrashLoop: in words") {
		t.Errorf("the message does not name the worst symptom: %q", got)
	}

	w.setSymptoms("net", "alpha", slices.Repeat([]string{diagnosis.NotReady}, 20)...)
	w.evaluate()
	if got := w.diagnosisTexts(); len(got) != 16 || got[0] != want[0] || got[15] != "NotReady alpha c14" || w.status.DiagnosesOmitted != 7 {
		t.Errorf("got %q and %d more", got, w.status.DiagnosesOmitted)
	}
	if again := w.evaluate(); again.Changed {
		t.Error("evaluating it again wrote another status")
	}

	w.setDeployments(healthyDeployment("net", "example/alpha:v1"), healthyDeployment("net", "example/beta:v1"),
		healthyDeployment("reg", "example/gamma:v1"))
	w.evaluate()
	if len(w.status.Diagnoses) > 0 || w.status.DiagnosesOmitted > 0 {
		t.Errorf("the healthy cluster has diagnoses %q and %d more", w.diagnosisTexts(), w.status.DiagnosesOmitted)
	}
}

func TestTransitionIncludesDiagnosis(t *testing.T) {
	w := newWorld(t, specWith("anyOf: [{component: gamma}], health: Any"))
	w.setDeployments(degradedDeployment("reg", "example/gamma:v1"))
	if result := w.evaluate(); result.Transitions[0].Diagnosis != nil || result.Transitions[0].IsFailure() {
		t.Fatalf("%+v", result.Transitions)
	}
	w.setSpec(specWith("anyOf: [{component: gamma}]"))
	w.setSymptoms("reg", "gamma", diagnosis.NotReady, diagnosis.CrashLoop)
	result := w.evaluate()
	if len(result.Transitions) != 1 || !result.Transitions[0].IsFailure() ||
		SymptomText(result.Transitions[0].Diagnosis) != "Deployment reg/gamma: CrashLoop" {
		t.Errorf("%+v", result.Transitions)
	}
	w.setDeployments(healthyDeployment("reg", "example/gamma:v1"))
	w.setSymptoms("reg", "gamma")
	if result := w.evaluate(); len(result.Transitions) != 1 || result.Transitions[0].Diagnosis != nil {
		t.Errorf("a satisfied requirement has a diagnosis: %+v", result.Transitions)
	}
}

func TestLateDiagnosisIsReportedOnce(t *testing.T) {
	w := newWorld(t, specWith("anyOf: [{component: gamma}]"))
	w.setDeployments(degradedDeployment("reg", "example/gamma:v1"))
	if result := w.evaluate(); len(result.Transitions) != 1 || len(result.Diagnosed) > 0 {
		t.Fatalf("%+v", result)
	}
	w.setSymptoms("reg", "gamma", diagnosis.NotReady)
	result := w.evaluate()
	if len(result.Transitions) > 0 || len(result.Diagnosed) != 1 ||
		SymptomText(result.Diagnosed[0].Diagnosis) != "Deployment reg/gamma: NotReady" ||
		result.Diagnosed[0].Now.Verdict != v1alpha1.VerdictDegraded {
		t.Fatalf("%+v", result)
	}
	w.setSymptoms("reg", "gamma", diagnosis.CrashLoop)
	if result := w.evaluate(); !result.Changed || len(result.Diagnosed) > 0 {
		t.Errorf("another symptom of the same pods is reported again: %+v", result.Diagnosed)
	}
	w.setDeployments(healthyDeployment("reg", "example/gamma:v1"))
	w.setSymptoms("reg", "gamma")
	w.evaluate()
	w.setDeployments(degradedDeployment("reg", "example/gamma:v1"))
	w.evaluate()
	w.setSymptoms("reg", "gamma", diagnosis.CrashLoop)
	if result := w.evaluate(); len(result.Diagnosed) != 1 {
		t.Errorf("the diagnosis of the next failure is not reported: %+v", result)
	}
}

func TestSkippedWorkloadsAreCounted(t *testing.T) {
	w := newWorld(t, specWith("anyOf: [{component: gamma}]"))
	var all []*facts.Workload
	for n := range 40 {
		deployment := degradedDeployment("reg", "example/gamma:v1")
		deployment.Name = fmt.Sprintf("gamma-%02d", n)
		all = append(all, deployment)
	}
	w.setDeployments(all...)
	w.setSymptoms("reg", "gamma-00", diagnosis.CrashLoop)
	w.evaluate()
	if got := len(w.inventory.Snapshot().DegradedWorkloads()); got != 32 {
		t.Errorf("%d are diagnosed", got)
	}
	if len(w.status.Diagnoses) != 1 || w.status.DiagnosesOmitted != 8 {
		t.Errorf("%d diagnoses, and %d more", len(w.status.Diagnoses), w.status.DiagnosesOmitted)
	}
}
