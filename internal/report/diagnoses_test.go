package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/podcases"
)

func TestDiagnosesText(t *testing.T) {
	since := metav1.NewTime(time.Date(2026, 11, 25, 11, 0, 0, 0, time.UTC))
	workload := v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: "shop", Name: "web"}
	first := v1alpha1.Diagnosis{
		Workload: workload, Pod: "web-1", Container: "app", Symptom: "CrashLoop", Meaning: "it ends \x1b[31msoon",
		LikelyCauses: []string{"first", "second " + strings.Repeat("long ", 30) + "end"}, Since: &since,
		Commands: []string{"kubectl -n shop describe pod web-1"},
	}
	second := first
	second.Pod = "web-2"
	var out bytes.Buffer
	diagnoses := Diagnoses{
		Diagnoses: []v1alpha1.Diagnosis{first, second}, Unreadable: []string{"cannot read events"}, Now: since.Add(time.Hour),
	}
	if err := diagnoses.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 pods of 1 workload fail: 2 CrashLoop. All have the same cause.\n", "  Since 2026-11-25 11:00:00 UTC (60m ago)\n",
		"CrashLoop  Deployment shop/web, pod web-1 and 1 more, container app\n", "    1. first\n    2. second long", "\n       long", "end\n",
		"    kubectl -n shop describe pod web-1\n", "cannot read events\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 101 {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
	}
	if strings.Count(out.String(), "\nCrashLoop") != 1 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("the diagnosis is repeated, or not printable:\n%q", out.String())
	}
	out.Reset()
	if err := diagnoses.WriteWide(&out); err != nil || !strings.Contains(out.String(), "  Pods: web-1 web-2\n") {
		t.Errorf("got %q, %v", out.String(), err)
	}
	for want, healthy := range map[string]Diagnoses{
		"No failing pods or workloads found.\n": {},
		"No failing pods or workloads found among 3 pods and 2 workloads in 1 namespace.\n": {
			Examined: podcases.Examined{Pods: 3, Workloads: 2, Namespaces: 1},
		},
	} {
		out.Reset()
		if err := healthy.WriteText(&out); err != nil || out.String() != want {
			t.Errorf("got %q, %v", out.String(), err)
		}
	}
}

// What a node does to pods of several workloads is reported once, with the pods counted.
func TestDiagnosesOfNode(t *testing.T) {
	d := Diagnoses{Now: time.Now()}
	for n := range 20 {
		d.Diagnoses = append(d.Diagnoses, v1alpha1.Diagnosis{
			Workload: v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: "shop", Name: fmt.Sprint("web-", n%7)}, Pod: fmt.Sprint("pod-", n),
			Symptom: "NodeLost", Node: "n1", Meaning: "The node n1 has not reported.", LikelyCauses: []string{"the machine is down"},
		})
	}
	other := d.Diagnoses[0]
	other.Node, other.Pod = "n2", "pod-20"
	var out bytes.Buffer
	if err := d.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"20 pods of 7 workloads fail: 20 NodeLost. All of it is because of the node n1.\n",
		"\nNodeLost  Node n1: 20 pods of 7 workloads, such as shop/pod-0\n",
	} {
		if !strings.Contains(out.String(), want) || strings.Count(out.String(), "The node n1 has") != 1 {
			t.Errorf("no %q, or the node more than once in:\n%s", want, out.String())
		}
	}
	out.Reset()
	d.Diagnoses = append(d.Diagnoses, other)
	if err := d.WriteText(&out); err != nil || strings.Contains(out.String(), "All of it") || strings.Count(out.String(), "\nNodeLost") != 2 {
		t.Errorf("two nodes: %v\n%s", err, out.String())
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

// In JSON the parts of Error keep this symptom, and nothing is lost on the way.
func TestDiagnosesInJSON(t *testing.T) {
	given := Diagnoses{Diagnoses: []v1alpha1.Diagnosis{{Symptom: diagnosis.JobFailed, Meaning: "a"}, {Symptom: diagnosis.CrashLoop}}}
	data, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"symptom":"Error"`, `"reason":"JobFailed"`, `"symptom":"CrashLoop"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s lacks %s", data, want)
		}
	}
	var read Diagnoses
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read.Diagnoses, given.Diagnoses) {
		t.Errorf("got %+v", read.Diagnoses)
	}
	if data, _ := json.Marshal(Diagnoses{}); string(data) != `{"diagnoses":[]}` {
		t.Errorf("nothing is %s", data)
	}
}
