package upgrade

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/catalog/catalogtest"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

const testDefinitions = `
metadata: {name: kubernetes}
spec:
  layer: core
  capabilities: [orchestrator]
  signals: {apiServer: {version: "."}}
  version: [{from: APIServer}]
  releases:
  - {cycle: "1.36", released: 2026-04-01, source: "https://a.dev", asOf: 2026-11-01}
  - {cycle: "1.37", released: 2026-08-01, source: "https://a.dev", asOf: 2026-11-01}
---
metadata: {name: mesh}
spec:
  displayName: Mesh
  layer: mesh
  signals: {workloads: [{images: [example/mesh]}]}
  releases:
  - {cycle: "1.1", kubernetes: ">=1.33 <=1.36", endOfLife: 2026-06-30, source: "https://mesh.dev/support", asOf: 2026-10-01}
  - {cycle: "1.2", kubernetes: ">=1.35 <=1.37", source: "https://mesh.dev/support", asOf: 2026-10-01}
  - {cycle: "1.3", kubernetes: ">=1.37 <=1.39", source: "https://mesh.dev/support", asOf: 2026-10-01}
---
metadata: {name: scaler}
spec:
  layer: core
  signals: {workloads: [{images: [example/scaler]}]}
  releases:
  - {cycle: "1.36", kubernetes: "~1.36", source: "https://scaler.dev", asOf: 2026-10-01}
  - {cycle: "1.37", kubernetes: "~1.37", source: "https://scaler.dev", asOf: 2026-10-01}
---
metadata: {name: plain}
spec:
  layer: core
  signals: {workloads: [{images: [example/plain]}]}
`

// testReader has objects by resource, and uses of APIs.
type testReader struct {
	objects map[string][]string
	uses    map[schema.GroupVersionKind][]Use
	err     error
}

func (r testReader) Each(_ context.Context, _, _, resource string, do func(*unstructured.Unstructured)) error {
	for _, text := range r.objects[resource] {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
			return err
		}
		if replicas, ok := o.Object["status"].(map[string]any); ok { // as a decoder of Kubernetes has them
			for key, value := range replicas {
				if number, isFloat := value.(float64); isFloat {
					replicas[key] = int64(number)
				}
			}
		}
		do(o)
	}
	return r.err
}

func (r testReader) Uses(_ context.Context, apis []API, do func(Use)) error {
	for _, api := range apis {
		for _, use := range r.uses[api.GroupVersionKind] {
			use.API = api
			do(use)
		}
	}
	return nil
}

func newSnapshot(t *testing.T, cluster string, images ...string) *inventory.Snapshot {
	t.Helper()
	i := inventory.New(catalogtest.New(t, testDefinitions), time.Now)
	if cluster != "" {
		i.Source(catalog.APIServerSource).Replace([]facts.Fact{facts.NewAPIServer(cluster)})
	} else {
		i.Source(catalog.APIServerSource).Replace(nil)
	}
	var workloads []facts.Fact
	for n, image := range images {
		parsed, ok := facts.ParseImage(image)
		if !ok {
			t.Fatal(image)
		}
		workloads = append(workloads, &facts.Workload{
			Ref:        facts.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "a", Name: fmt.Sprint(n)},
			Containers: []facts.Container{{Image: parsed}},
		})
	}
	i.Source("deployments.apps").Replace(workloads)
	for _, source := range []string{"daemonsets.apps", "statefulsets.apps"} {
		i.Source(source).Replace(nil)
	}
	return i.Snapshot()
}

func newTestPlan(t *testing.T, s *inventory.Snapshot, r Reader, to string) *Plan {
	t.Helper()
	target, ok := catalog.ParseVersion(to)
	if !ok {
		t.Fatal(to)
	}
	return NewPlan(t.Context(), s, r, target, time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC))
}

// summarize returns the findings as "Severity Category Subject: Message", and the steps as "when: do".
func summarize(p *Plan) (findings, steps []string) {
	for _, f := range p.Findings {
		findings = append(findings, fmt.Sprintf("%s %s %s: %s", f.Severity, f.Category, f.Subject, f.Message))
	}
	for _, s := range p.Steps {
		steps = append(steps, s.When+": "+s.Do)
	}
	return findings, steps
}

func TestPlan(t *testing.T) {
	const node = "metadata: {name: %s}\nstatus: {nodeInfo: {kubeletVersion: %s}}"
	flowSchema := schema.GroupVersionKind{Group: "flowcontrol.apiserver.k8s.io", Version: "v1beta3", Kind: "FlowSchema"}
	for name, test := range map[string]struct {
		cluster, to     string
		images          []string
		reader          testReader
		findings, steps []string
		worst           Severity
	}{
		"nothing": {
			"v1.36.2", "1.37", []string{"example/mesh:1.2.0"}, testReader{}, nil,
			[]string{"with: Upgrade the control plane to Kubernetes 1.37."}, "",
		},
		"a component that must be upgraded first": {
			"v1.36.2", "1.37", []string{"example/mesh:1.1.4"}, testReader{},
			[]string{
				"Blocking Compatibility mesh 1.1.4 in a: 1.1 supports Kubernetes >=1.33 <=1.36",
				"Warning Support mesh 1.1.4 in a: it is out of support since 2026-06-30",
			},
			[]string{
				"before: Upgrade mesh 1.1.4 in a to 1.2: it supports both versions.",
				"with: Upgrade the control plane to Kubernetes 1.37.",
			}, Blocking,
		},
		"a component that no release carries over": {
			"v1.36.2", "1.38", []string{"example/mesh:1.2.0"}, testReader{},
			[]string{
				"Blocking Compatibility mesh 1.2.0 in a: 1.2 supports Kubernetes >=1.35 <=1.37",
				"Warning Skew Kubernetes 1.36: the target is 2 minor versions ahead",
			},
			[]string{
				"with: Upgrade mesh 1.2.0 in a to 1.3.",
				"with: Upgrade the control plane to Kubernetes 1.37.", "with: Upgrade the control plane to Kubernetes 1.38.",
			}, Blocking,
		},
		"a component of one minor version": {
			"v1.36.2", "1.37", []string{"example/scaler:1.36.1"}, testReader{},
			[]string{"Blocking Compatibility scaler 1.36.1 in a: 1.36 supports Kubernetes ~1.36"},
			[]string{"with: Upgrade scaler 1.36.1 in a to 1.37.", "with: Upgrade the control plane to Kubernetes 1.37."}, Blocking,
		},
		"a component without facts": {
			"v1.36.2", "1.37", []string{"example/plain:1.0.0"}, testReader{},
			[]string{"Unknown Compatibility plain 1.0.0 in a: it is unknown whether it supports Kubernetes 1.37: the catalog has no facts about its releases"},
			[]string{"with: Upgrade the control plane to Kubernetes 1.37."}, Unknown,
		},
		"kubelets": {
			"v1.36.2", "1.37", nil,
			testReader{objects: map[string][]string{"nodes": {
				fmt.Sprintf(node, "old", "v1.33.9"), fmt.Sprintf(node, "edge", "v1.34.0"), fmt.Sprintf(node, "new", "v1.37.0"),
			}}},
			[]string{"Blocking Skew kubelets 1.33: 1 node: a kubelet may be at most 3 minor versions older than the API server: old"},
			[]string{
				"before: Upgrade the kubelets of 1 node from 1.33 to 1.34 or later.",
				"with: Upgrade the control plane to Kubernetes 1.37.", "after: Upgrade the kubelets of 2 nodes to Kubernetes 1.37.",
			}, Blocking,
		},
		"budgets": {
			"v1.36.2", "1.37", nil,
			testReader{objects: map[string][]string{"poddisruptionbudgets": {
				"metadata: {name: tight, namespace: a}\nstatus: {disruptionsAllowed: 0, expectedPods: 2, currentHealthy: 2, desiredHealthy: 2}",
				"metadata: {name: empty, namespace: a}\nstatus: {disruptionsAllowed: 0, expectedPods: 0}",
				"metadata: {name: loose, namespace: a}\nstatus: {disruptionsAllowed: 1, expectedPods: 2}",
				"metadata: {name: new, namespace: a}",
			}}},
			[]string{"Blocking Drain PodDisruptionBudget a/tight: it allows no eviction, so the drain of a node waits: 2 of 2 pods are healthy, and it requires 2"},
			[]string{"with: Upgrade the control plane to Kubernetes 1.37."}, Blocking,
		},
		"an API in use": {
			"v1.31.0", "1.32", nil,
			testReader{uses: map[schema.GroupVersionKind][]Use{flowSchema: {{Name: "one", By: "helm"}, {Name: "two", By: "helm"}}}},
			[]string{"Blocking RemovedAPI flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema: Kubernetes 1.32 no longer serves it, and it is in use, for 2 objects: helm"},
			[]string{
				"before: Move what uses flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema: use flowcontrol.apiserver.k8s.io/v1 FlowSchema instead.",
				"with: Upgrade the control plane to Kubernetes 1.32.",
			}, Blocking,
		},
		"an API that the target serves": {
			"v1.30.0", "1.31", nil, testReader{uses: map[schema.GroupVersionKind][]Use{flowSchema: {{Name: "one", By: "helm"}}}}, nil,
			[]string{"with: Upgrade the control plane to Kubernetes 1.31."}, "",
		},
		"CRDs, webhooks and APIServices": {
			"v1.36.2", "1.37", nil,
			testReader{objects: map[string][]string{
				"customresourcedefinitions": {
					"metadata: {name: a.dev}\nspec: {versions: [{name: v1, served: true}, {name: v1beta1, served: false}]}\nstatus: {storedVersions: [v1, v1beta1]}",
					"metadata: {name: b.dev}\nspec: {versions: [{name: v1, served: true}]}\nstatus: {storedVersions: [v1]}",
				},
				"validatingwebhookconfigurations": {
					"kind: ValidatingWebhookConfiguration\nmetadata: {name: old}\nwebhooks: [{name: a.b, rules: [{apiGroups: [flowcontrol.apiserver.k8s.io], apiVersions: [v1beta3], resources: [flowschemas]}]}]",
					"kind: ValidatingWebhookConfiguration\nmetadata: {name: both}\nwebhooks: [{name: a.b, rules: [{apiGroups: [flowcontrol.apiserver.k8s.io], apiVersions: [v1beta3, v1], resources: [flowschemas]}]}]",
				},
				"apiservices": {"metadata: {name: v1.c.dev}\nstatus: {conditions: [{type: Available, status: \"False\", message: no endpoints}]}"},
			}},
			[]string{
				"Warning StoredVersion CustomResourceDefinition a.dev: objects may be stored in v1beta1, which it no longer serves",
				"Warning Webhook ValidatingWebhookConfiguration old: the webhook a.b matches flowschemas of flowcontrol.apiserver.k8s.io/v1beta3 only, which Kubernetes 1.37 does not serve",
				"Warning APIService APIService v1.c.dev: it is not available: no endpoints", //nolint:dupword // category and kind
			},
			[]string{"with: Upgrade the control plane to Kubernetes 1.37."}, "",
		},
		"a target that is no upgrade": {
			"v1.37.0", "1.36", nil, testReader{},
			[]string{"Blocking Skew Kubernetes 1.37: the cluster is not older than the target 1.36"}, nil, Blocking,
		},
		"an unknown cluster": {
			"", "1.37", nil, testReader{}, nil, []string{"with: Upgrade the control plane to Kubernetes 1.37."}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan := newTestPlan(t, newSnapshot(t, test.cluster, test.images...), test.reader, test.to)
			findings, steps := summarize(plan)
			if !slices.Equal(findings, test.findings) {
				t.Errorf("the findings are\n%s\nwant\n%s", strings.Join(findings, "\n"), strings.Join(test.findings, "\n"))
			}
			if !slices.Equal(steps, test.steps) {
				t.Errorf("the steps are\n%s\nwant\n%s", strings.Join(steps, "\n"), strings.Join(test.steps, "\n"))
			}
			if got := plan.Worst(); got != test.worst {
				t.Errorf("the worst severity is %q, want %q", got, test.worst)
			}
		})
	}
}

// What cannot be read is unknown, and never absent.
func TestUnreadableObjects(t *testing.T) {
	plan := newTestPlan(t, newSnapshot(t, "v1.36.2"), testReader{err: errors.New("cannot read it: permission is missing")}, "1.37")
	if plan.Worst() != Unknown {
		t.Errorf("the worst severity is %q", plan.Worst())
	}
	var subjects []string
	for _, f := range plan.Findings {
		subjects = append(subjects, f.Subject)
	}
	want := "[apiservices customresourcedefinitions mutatingwebhookconfigurations nodes poddisruptionbudgets validatingwebhookconfigurations]"
	if fmt.Sprint(subjects) != want {
		t.Errorf("unknown are %v, want %s", subjects, want)
	}
}

// The report says how far its facts go.
func TestFacts(t *testing.T) {
	plan := newTestPlan(t, newSnapshot(t, "v1.36.2", "example/mesh:1.2.0"), testReader{}, "1.37")
	if plan.FactsUpTo != "1.37" || plan.FactsAsOf != "2026-10-01" || plan.Current != "1.36" || plan.Target != "1.37" {
		t.Errorf("got %+v", plan)
	}
}
