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

// ails tells the inventory what is wrong with the pods of a Deployment: a symptom for each of its containers.
func (w *world) ails(namespace, name string, symptoms ...string) {
	var found []v1alpha1.Diagnosis
	for n, symptom := range symptoms {
		found = append(found, v1alpha1.Diagnosis{
			Workload: v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: namespace, Name: name},
			Pod:      name + "-1", Container: fmt.Sprintf("c%02d", n), Symptom: symptom, Meaning: "in words",
		})
	}
	w.inventory.SetDiagnoses(facts.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: name}, found)
}

// shown are the diagnoses of the status, each as "symptom workload container".
func (w *world) shown() []string {
	var all []string
	for _, d := range w.status.Diagnoses {
		all = append(all, d.Symptom+" "+d.Workload.Name+" "+d.Container)
	}
	return all
}

func TestTheWorstDiagnosesAreShownAndTheRestCounted(t *testing.T) {
	w := newWorld(t, `
layers:
- name: network
  requirements:
  - {name: nice, severity: Recommended, anyOf: [{component: delta}, {component: beta}]}
  - {name: fine, anyOf: [{component: beta}], health: Any}
  - {name: nicer, severity: Recommended, anyOf: [{component: alpha}]}
  - {name: cni, anyOf: [{component: alpha}]}
  - {name: registry, anyOf: [{component: gamma}]}`)
	w.setDeployments(degradedDeployment("net", "example/alpha:v1"), degradedDeployment("net", "example/beta:v1"), degradedDeployment("reg", "example/gamma:v1"))
	w.ails("net", "alpha", diagnosis.NotReady, diagnosis.CrashLoop)
	w.ails("net", "beta", diagnosis.NodeLost, diagnosis.CrashLoop)
	w.ails("reg", "gamma", diagnosis.Unschedulable)
	w.evaluate()
	want := []string{"Unschedulable gamma c00", "CrashLoop alpha c01", "NotReady alpha c00", "NodeLost beta c00", "CrashLoop beta c01"}
	if got := w.shown(); !slices.Equal(got, want) || w.status.DiagnosesOmitted != 0 {
		t.Errorf("got %q and %d more, want what is Required first, each thing once, and the worst of it first: %q", got, w.status.DiagnosesOmitted, want)
	}
	if got := w.requirement("cni").Message; !strings.Contains(got, "; Deployment net/alpha: CrashLoop: in words") {
		t.Errorf("the message does not name the worst: %q", got)
	}

	w.ails("net", "alpha", slices.Repeat([]string{diagnosis.NotReady}, 20)...)
	w.evaluate()
	if got := w.shown(); len(got) != 16 || got[0] != want[0] || got[15] != "NotReady alpha c14" || w.status.DiagnosesOmitted != 7 {
		t.Errorf("got %q and %d more", got, w.status.DiagnosesOmitted)
	}
	if again := w.evaluate(); again.Changed {
		t.Error("evaluating it again wrote another status")
	}

	w.setDeployments(healthyDeployment("net", "example/alpha:v1"), healthyDeployment("net", "example/beta:v1"), healthyDeployment("reg", "example/gamma:v1"))
	w.evaluate()
	if len(w.status.Diagnoses) > 0 || w.status.DiagnosesOmitted > 0 {
		t.Errorf("all is well, and the status shows %q and %d more", w.shown(), w.status.DiagnosesOmitted)
	}
}

func TestATurnCarriesTheDiagnosisThatIsKnown(t *testing.T) {
	w := newWorld(t, specWith("anyOf: [{component: gamma}], health: Any"))
	w.setDeployments(degradedDeployment("reg", "example/gamma:v1"))
	if result := w.evaluate(); result.Transitions[0].Diagnosis != nil || result.Transitions[0].IsFailure() {
		t.Fatalf("%+v", result.Transitions)
	}
	w.setSpec(specWith("anyOf: [{component: gamma}]"))
	w.ails("reg", "gamma", diagnosis.NotReady, diagnosis.CrashLoop)
	result := w.evaluate()
	if len(result.Transitions) != 1 || !result.Transitions[0].IsFailure() || SymptomText(result.Transitions[0].Diagnosis) != "Deployment reg/gamma: CrashLoop" {
		t.Errorf("%+v", result.Transitions)
	}
	w.setDeployments(healthyDeployment("reg", "example/gamma:v1"))
	w.ails("reg", "gamma")
	if result := w.evaluate(); len(result.Transitions) != 1 || result.Transitions[0].Diagnosis != nil {
		t.Errorf("what holds again is diagnosed: %+v", result.Transitions)
	}
}

func TestACauseThatIsFoundLateIsNewsOnce(t *testing.T) {
	w := newWorld(t, specWith("anyOf: [{component: gamma}]"))
	w.setDeployments(degradedDeployment("reg", "example/gamma:v1"))
	if result := w.evaluate(); len(result.Transitions) != 1 || len(result.Diagnosed) > 0 {
		t.Fatalf("%+v", result)
	}
	w.ails("reg", "gamma", diagnosis.NotReady)
	result := w.evaluate()
	if len(result.Transitions) > 0 || len(result.Diagnosed) != 1 || SymptomText(result.Diagnosed[0].Diagnosis) != "Deployment reg/gamma: NotReady" || result.Diagnosed[0].Now.Verdict != v1alpha1.VerdictDegraded {
		t.Fatalf("%+v", result)
	}
	w.ails("reg", "gamma", diagnosis.CrashLoop)
	if result := w.evaluate(); !result.Changed || len(result.Diagnosed) > 0 {
		t.Errorf("another symptom of the same pods is news again: %+v", result.Diagnosed)
	}
	w.setDeployments(healthyDeployment("reg", "example/gamma:v1"))
	w.ails("reg", "gamma")
	w.evaluate()
	w.setDeployments(degradedDeployment("reg", "example/gamma:v1"))
	w.evaluate()
	w.ails("reg", "gamma", diagnosis.CrashLoop)
	if result := w.evaluate(); len(result.Diagnosed) != 1 {
		t.Errorf("the next failure's cause is no news: %+v", result)
	}
}

func TestWorkloadsThatNobodyDiagnosesAreCounted(t *testing.T) {
	w := newWorld(t, specWith("anyOf: [{component: gamma}]"))
	var all []*facts.Workload
	for n := range 40 {
		one := degradedDeployment("reg", "example/gamma:v1")
		one.Name = fmt.Sprintf("gamma-%02d", n)
		all = append(all, one)
	}
	w.setDeployments(all...)
	w.ails("reg", "gamma-00", diagnosis.CrashLoop)
	w.evaluate()
	if got := len(w.inventory.Snapshot().DegradedWorkloads()); got != 32 {
		t.Errorf("%d are diagnosed", got)
	}
	if len(w.status.Diagnoses) != 1 || w.status.DiagnosesOmitted != 8 {
		t.Errorf("%d diagnoses, and %d more", len(w.status.Diagnoses), w.status.DiagnosesOmitted)
	}
}
