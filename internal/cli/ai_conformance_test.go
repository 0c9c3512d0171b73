package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	aiSample   = "../../config/samples/ai-conformance.yaml"
	aiTestdata = "testdata/ai-conformance/"
	aiTime     = "2026-11-20T12:00:00Z"
)

// aiItems are the categories, ids and levels of upstream's checklist for Kubernetes 1.37.
var aiItems = []string{
	"accelerators driver_runtime_management SHOULD",
	"accelerators gpu_sharing SHOULD",
	"accelerators virtualized_accelerator SHOULD",
	"networking advanced_inference_ingress SHOULD",
	"networking ai_inference MUST",
	"networking disaggregated_inference SHOULD",
	"networking high_performance_networking SHOULD",
	"observability accelerator_metrics MUST",
	"observability ai_service_metrics MUST",
	"operator robust_controller MUST",
	"schedulingOrchestration cluster_autoscaling MUST",
	"schedulingOrchestration gang_scheduling MUST",
	"schedulingOrchestration pod_autoscaling MUST",
	"security secure_accelerator_access MUST",
	"security workload_sandboxing SHOULD",
}

// aiDocument has the fields that upstream's validation reads.
type aiDocument struct {
	Metadata map[string]string `json:"metadata"`
	Spec     map[string][]struct {
		ID       string   `json:"id"`
		Level    string   `json:"level"`
		Status   string   `json:"status"`
		Evidence []string `json:"evidence"`
		Notes    string   `json:"notes"`
	} `json:"spec"`
}

func parseAIDocument(t *testing.T, out string) aiDocument {
	t.Helper()
	var document aiDocument
	if err := yaml.UnmarshalStrict([]byte(out), &document); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return document
}

// writeRenewedSample writes the sample as a team does that has tested what it attests.
func writeRenewedSample(t *testing.T) string {
	t.Helper()
	sample, err := os.ReadFile(aiSample)
	if err != nil {
		t.Fatal(err)
	}
	const ended = `expires: "2026-01-01T00:00:00Z"`
	if strings.Count(string(sample), ended) != strings.Count(string(sample), "attestation:") {
		t.Errorf("every attestation of %s must have ended: the sample claims nothing", aiSample)
	}
	renewed := strings.ReplaceAll(string(sample), ended, `expires: "2027-06-30T00:00:00Z"`+"\n        url: https://example.com/tests")
	return filepath.Join(writeFiles(t, map[string]string{"profile.yaml": renewed}), "profile.yaml")
}

func TestAIConformance(t *testing.T) {
	for name, test := range map[string]struct {
		profile string
		code    int
		// statuses are how many items have each status.
		statuses map[string]int
	}{
		"holds": {writeRenewedSample(t), ExitOK, map[string]int{"Implemented": 15}},
		// The sample as it is: the autoscaler runs, and nobody attests that it scales accelerators.
		"fails": {aiSample, ExitFound, map[string]int{"Not Implemented": 12, "Partially Implemented": 1, "": 2}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := run("", "check", "-f", test.profile, "--from", aiTestdata+name+".yaml", "--at", aiTime, "-o", "ai-conformance")
			if code != test.code || errOut != "" {
				t.Errorf("exit code %d: %s", code, errOut)
			}
			golden, err := os.ReadFile(aiTestdata + name + ".golden.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if out != string(golden) {
				t.Errorf("the output differs from %s.golden.yaml:\n%s", name, out)
			}
			document := parseAIDocument(t, out)
			if document.Metadata["kubernetesVersion"] != "v1.37" || document.Metadata["platformName"] != "[Platform Name]" {
				t.Errorf("the metadata is %v", document.Metadata)
			}
			var items []string
			statuses := map[string]int{}
			for category, categoryItems := range document.Spec {
				for _, item := range categoryItems {
					items = append(items, category+" "+item.ID+" "+item.Level)
					statuses[item.Status]++
					hasEvidence := len(item.Evidence) > 0
					if isClaimed := strings.HasSuffix(item.Status, "Implemented") && item.Status != "Not Implemented"; isClaimed != hasEvidence {
						t.Errorf("%s is %q with the evidence %v", item.ID, item.Status, item.Evidence)
					}
					if item.Notes == "" {
						t.Errorf("%s has no notes", item.ID)
					}
				}
			}
			slices.Sort(items)
			if !slices.Equal(items, aiItems) {
				t.Errorf("the items are\n%s", strings.Join(items, "\n"))
			}
			for status, want := range test.statuses {
				if statuses[status] != want {
					t.Errorf("%d items have the status %q, want %d", statuses[status], status, want)
				}
			}
		})
	}
}

// What manifests declare is not implemented yet: nothing shows that it runs.
func TestAIConformanceOfRenderedManifests(t *testing.T) {
	const kueue = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: kueue-controller-manager, namespace: kueue-system}
spec: {template: {spec: {containers: [{name: manager, image: "registry.k8s.io/kueue/kueue:v0.19.2"}]}}}
---
apiVersion: kueue.x-k8s.io/v1beta1
kind: ClusterQueue
metadata: {name: team-a}
`
	file := filepath.Join(writeFiles(t, map[string]string{
		"p.yaml": newProfile("{name: gang-scheduling, anyOf: [{component: kueue}], checks: [{name: queues-active}]}"),
	}), "p.yaml")
	code, out, errOut := run(kueue, "check", "-f", file, "--from", "-", "-o", "ai-conformance")
	if code != ExitOK || errOut != "" {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	for _, item := range parseAIDocument(t, out).Spec["schedulingOrchestration"] {
		wantNotes := "the profile has no requirement " + strings.ReplaceAll(item.ID, "_", "-")
		if item.ID == "gang_scheduling" {
			wantNotes = "kueue 0.19.2 in kueue-system is NotObserved"
		}
		if item.Status != "" || len(item.Evidence) > 0 || item.Notes != wantNotes {
			t.Errorf("the item is %+v", item)
		}
	}
}

func TestAIConformanceOfProfiles(t *testing.T) {
	item, other := newProfile("{name: gang-scheduling, anyOf: [{component: kueue}]}"), newProfile("{name: a, anyOf: [{component: falco}]}")
	folder := writeFiles(t, map[string]string{
		"both.yaml":  item + "---\n" + strings.Replace(item, "name: p", "name: q", 1),
		"mixed.yaml": item + "---\n" + strings.Replace(other, "name: p", "name: q", 1),
	})
	code, out, errOut := run(falcoManifest, "check", "-f", filepath.Join(folder, "both.yaml"), "--from", "-", "-o", "ai-conformance")
	documents := strings.Split(out, "---\n")
	if code != ExitFound || errOut != "" || len(documents) != 2 {
		t.Fatalf("exit code %d, %d documents: %s", code, len(documents), errOut)
	}
	for i, name := range []string{"p", "q"} {
		document := parseAIDocument(t, documents[i])
		if len(document.Spec) != 6 || !strings.Contains(documents[i], "PlatformProfile "+name+"\n") {
			t.Errorf("the document of %s is\n%s", name, documents[i])
		}
	}
	code, out, errOut = run(falcoManifest, "check", "-f", filepath.Join(folder, "mixed.yaml"), "--from", "-", "-o", "ai-conformance")
	if code != ExitError || out != "" || !strings.Contains(errOut, "PlatformProfile q has no requirement of the checklist") ||
		!strings.Contains(errOut, "config/samples/ai-conformance.yaml") {
		t.Errorf("exit code %d: %s%s", code, out, errOut)
	}
}
