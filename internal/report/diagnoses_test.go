package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

func TestDiagnosesForPeople(t *testing.T) {
	workload := v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: "shop", Name: "web"}
	one := v1alpha1.Diagnosis{
		Workload: workload, Pod: "web-1", Container: "app", Symptom: "CrashLoop", Meaning: "it ends \x1b[31msoon",
		LikelyCauses: []string{"first", "second"}, Commands: []string{"kubectl -n shop describe pod web-1"},
	}
	other := one
	other.Pod = "web-2"
	var out bytes.Buffer
	if err := (Diagnoses{Diagnoses: []v1alpha1.Diagnosis{one, other}, Unreadable: []string{"could not look at events"}}).WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"CrashLoop  Deployment shop/web, pod web-1 and 1 more, container app\n", "    1. first\n    2. second\n", "    kubectl -n shop describe pod web-1\n", "could not look at events\n"} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("%q is not said in:\n%s", says, out.String())
		}
	}
	if strings.Count(out.String(), "CrashLoop") != 1 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("pods that ail alike are told of twice, or a message steers the terminal:\n%q", out.String())
	}
	out.Reset()
	if err := (Diagnoses{}).WriteText(&out); err != nil || !strings.Contains(out.String(), "Nothing is wrong") {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

func TestTheDiscoveredPageSaysWhatIsWrongWithPods(t *testing.T) {
	workload := v1alpha1.WorkloadReference{Kind: "DaemonSet", Namespace: "falco", Name: "falco"}
	one := v1alpha1.Diagnosis{Workload: workload, Pod: "falco-1", Symptom: "CrashLoop", Meaning: "it ends soon", LikelyCauses: []string{"its kernel is old"}, Commands: []string{"kubectl -n falco describe pod falco-1"}}
	other := one
	other.Pod = "falco-2"
	falco, sensor := newInstallation("falco", "0.40.0", v1alpha1.HealthDegraded), newInstallation("falco", "", v1alpha1.HealthDegraded)
	falco.Diagnoses, sensor.Diagnoses = []v1alpha1.Diagnosis{one, other}, []v1alpha1.Diagnosis{one, other} // one workload shows both
	d := Discovery{Components: []Component{
		newTestComponent("falco", "security", falco), newTestComponent("sensor", "security", sensor),
		newTestComponent("argo-cd", "delivery", newInstallation("argocd", "2.13.0", v1alpha1.HealthDegraded)),
	}}
	top := d.newStack().Layers[0]
	if top.Title != "Troubleshooting" || top.Count != "3 degraded, 1 thing wrong with pods" || top.Badge.Class != "bad" {
		t.Errorf("%q says %q and looks %q", top.Title, top.Count, top.Badge.Class)
	}
	var titles []string
	for _, tile := range top.Tiles {
		titles = append(titles, tile.Title)
	}
	if got := strings.Join(titles, " "); got != "argo-cd CrashLoop" {
		t.Errorf("it shows %q: what has no diagnosis stands for itself, what ails two pods is told of once", got)
	}
	var out bytes.Buffer
	if err := d.WriteHTML(&out, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"falco-1 and 1 more", "its kernel is old", "<code>kubectl -n falco describe pod falco-1</code>", "<dt>Wrong with its pods</dt>"} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("%q is not said", says)
		}
	}
}
