package report

import (
	"bytes"
	"strings"
	"testing"

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
	if err := (Diagnoses{Diagnoses: []v1alpha1.Diagnosis{one, other}, Unread: []string{"could not look at events"}}).Text(&out); err != nil {
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
	if err := (Diagnoses{}).Text(&out); err != nil || !strings.Contains(out.String(), "Nothing is wrong") {
		t.Errorf("got %q, %v", out.String(), err)
	}
}
