package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/platformprofile/platformprofile/internal/cli"
	"github.com/platformprofile/platformprofile/internal/upgrade"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// deprecatedObjects are objects of APIs that the API server serves today and removes later.
const deprecatedObjects = `
apiVersion: admissionregistration.k8s.io/v1beta1
kind: MutatingAdmissionPolicy
metadata: {name: old}
spec:
  reinvocationPolicy: Never
  matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]}
  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: "Object{}"}}]
---
apiVersion: resource.k8s.io/v1beta2
kind: ResourceClaimTemplate
metadata: {name: old, namespace: default}
spec: {spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: old}}]}}}
---
apiVersion: resource.k8s.io/v1beta1
kind: DeviceClass
metadata: {name: old}
spec: {selectors: [{cel: {expression: "true"}}]}
---
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: new}
spec: {selectors: [{cel: {expression: "true"}}]}
`

// TestUpgradeFindsDeprecatedAPIs compares the APIs in use that upgrade finds, on a real API server and in the manifests, with those that
// the API server itself counts as requested and deprecated.
func TestUpgradeFindsDeprecatedAPIs(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := cluster.Start("--nodes", "1", "--without", "scheduler", "--without", "controllers", "--apiserver-arg",
		"runtime-config=admissionregistration.k8s.io/v1beta1=true,resource.k8s.io/v1beta1=true,resource.k8s.io/v1beta2=true")
	cluster.Must(t, err)
	defer c.Stop()
	folder := t.TempDir()
	cluster.Must(t, os.WriteFile(filepath.Join(folder, "objects.yaml"), []byte(deprecatedObjects), 0o600))
	if out, err := c.Kubectl(ctx, "apply", "-f", folder); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	metrics, err := c.Kubectl(ctx, "get", "--raw", "/metrics")
	cluster.Must(t, err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(metrics))
	cluster.Must(t, err)
	var want []string // group/version resource removedIn
	for _, metric := range families["apiserver_requested_deprecated_apis"].GetMetric() {
		labels := map[string]string{}
		for _, pair := range metric.GetLabel() {
			labels[pair.GetName()] = pair.GetValue()
		}
		if labels["removed_release"] != "" && labels["subresource"] == "" {
			want = append(want, labels["group"]+"/"+labels["version"]+" "+labels["resource"]+" "+labels["removed_release"])
		}
	}
	slices.Sort(want)
	want = slices.Compact(want)
	if len(want) < 3 {
		t.Fatalf("the API server counts %q", want)
	}
	for name, args := range map[string][]string{"cluster": {"--kubeconfig", c.Kubeconfig}, "files": {"--from", folder}} {
		if got := apisInUse(t, args...); !slices.Equal(got, want) {
			t.Errorf("%s: found %q, the API server counts %q", name, got, want)
		}
	}
}

// apisInUse returns the removed APIs that upgrade finds, in the form of the metric.
func apisInUse(t *testing.T, args ...string) []string {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := cli.Execute(append([]string{"upgrade", "--to", "1.99", "-o", "json"}, args...), nil, &out, &errOut); code != cli.ExitFound {
		t.Fatalf("exit code %d: %s", code, errOut.String())
	}
	var plan upgrade.Plan
	cluster.Must(t, json.Unmarshal(out.Bytes(), &plan))
	plurals := map[string]string{
		"MutatingAdmissionPolicy": "mutatingadmissionpolicies", "ResourceClaimTemplate": "resourceclaimtemplates", "DeviceClass": "deviceclasses",
	}
	var found []string
	for _, f := range plan.Findings {
		if f.Category != upgrade.RemovedAPI {
			continue
		}
		version, kind, _ := strings.Cut(f.Subject, " ")
		removed := strings.Fields(f.Message)[1] // "Kubernetes 1.40 no longer serves it"
		found = append(found, version+" "+plurals[kind]+" "+removed)
	}
	slices.Sort(found)
	return found
}
