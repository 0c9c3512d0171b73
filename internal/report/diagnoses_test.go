package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

func TestDiagnosesText(t *testing.T) {
	workload := v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: "shop", Name: "web"}
	first := v1alpha1.Diagnosis{
		Workload: workload, Pod: "web-1", Container: "app", Symptom: "CrashLoop", Meaning: "it ends \x1b[31msoon",
		LikelyCauses: []string{"first", "second"}, Commands: []string{"kubectl -n shop describe pod web-1"},
	}
	second := first
	second.Pod = "web-2"
	var out bytes.Buffer
	diagnoses := Diagnoses{Diagnoses: []v1alpha1.Diagnosis{first, second}, Unreadable: []string{"cannot read events"}}
	if err := diagnoses.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"CrashLoop  Deployment shop/web, pod web-1 and 1 more, container app\n", "    1. first\n    2. second\n",
		"    kubectl -n shop describe pod web-1\n", "cannot read events\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if strings.Count(out.String(), "CrashLoop") != 1 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("the diagnosis is repeated, or not printable:\n%q", out.String())
	}
	out.Reset()
	if err := (Diagnoses{}).WriteText(&out); err != nil || !strings.Contains(out.String(), "No failing pods") {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

func TestDiagnosesOnPage(t *testing.T) {
	workload := v1alpha1.WorkloadReference{Kind: "DaemonSet", Namespace: "falco", Name: "falco"}
	first := v1alpha1.Diagnosis{
		Workload:     workload,
		Pod:          "falco-1",
		Symptom:      "CrashLoop",
		Meaning:      "it ends soon",
		LikelyCauses: []string{"its kernel is old"},
		Commands:     []string{"kubectl -n falco describe pod falco-1"},
	}
	second := first
	second.Pod = "falco-2"
	falco, sensor := newInstallation("falco", "0.40.0", v1alpha1.HealthDegraded), newInstallation("falco", "", v1alpha1.HealthDegraded)
	falco.Diagnoses, sensor.Diagnoses = []v1alpha1.Diagnosis{first, second}, []v1alpha1.Diagnosis{first, second} // of the same workload
	d := Discovery{Components: []Component{
		newTestComponent("falco", "security", falco), newTestComponent("sensor", "security", sensor),
		newTestComponent("argo-cd", "delivery", newInstallation("argocd", "2.13.0", v1alpha1.HealthDegraded)),
	}}
	top := d.newStack().Layers[0]
	if top.Title != "Troubleshooting" || top.Count != "3 degraded, 1 diagnosis" || top.Badge.Class != "bad" {
		t.Errorf("%q has count %q and class %q", top.Title, top.Count, top.Badge.Class)
	}
	var titles []string
	for _, tile := range top.Tiles {
		titles = append(titles, tile.Title)
	}
	if got := strings.Join(titles, " "); got != "argo-cd CrashLoop" {
		t.Errorf("got tiles %q", got)
	}
	var out bytes.Buffer
	if err := d.WriteHTML(&out, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"falco-1 and 1 more", "its kernel is old", "<code>kubectl -n falco describe pod falco-1</code>",
		"<dt>Failing pods</dt>",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
}
