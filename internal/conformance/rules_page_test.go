package conformance_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/source/files"
)

const goodObjects = `
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: shop}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: free}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {replicas: 3, template: {metadata: {labels: {app: web, tier: front}}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: one, namespace: shop}, spec: {replicas: 1, template: {metadata: {labels: {app: one}}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: free}, spec: {replicas: 3, template: {metadata: {labels: {app: web}}}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web, namespace: shop}, spec: {selector: {matchLabels: {app: web}}}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: web, namespace: shop}, spec: {ingressClassName: nginx}}
---
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: nginx}}
---
{apiVersion: v1, kind: Node, metadata: {name: old}, status: {nodeInfo: {kubeletVersion: v1.34.1}}}
---
{apiVersion: v1, kind: Node, metadata: {name: new}, status: {nodeInfo: {kubeletVersion: v1.36.1}}}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: gp2}, provisioner: x}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: gp3, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}, provisioner: x}
---
{apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {name: staging}, status: {conditions: [{type: Ready, status: "False", message: Failed to register}]}}
---
{apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {name: prod}, status: {conditions: [{type: Ready, status: "True"}]}}
`

// TestTheFiveRulesOfTheRulesPage checks that the rules of docs/rules.md pass on valid objects, and that each fails on a violation.
func TestTheFiveRulesOfTheRulesPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	profiles, err := manifest.Profiles(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	c := catalog.New()
	verdicts := func(objects string) map[string]v1alpha1.RequirementStatus {
		compiled := conformance.Compile(&profiles[0].Spec, c)
		if len(compiled.Errors) > 0 {
			t.Fatal(compiled.Errors.ToAggregate())
		}
		dump, err := files.Read("-", strings.NewReader(objects))
		if err != nil {
			t.Fatal(err)
		}
		i := inventory.New(c, func() time.Time { return now })
		if err := dump.Load(i, slices.Concat(c.Instances(), compiled.Instances())); err != nil {
			t.Fatal(err)
		}
		found := map[string]v1alpha1.RequirementStatus{}
		for _, layer := range conformance.Evaluate(compiled, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, now).Status.Layers {
			for _, r := range layer.Requirements {
				found[r.Name] = r
			}
		}
		return found
	}
	good := verdicts(goodObjects)
	if len(good) != 5 {
		t.Fatalf("the page has %d rules", len(good))
	}
	for name, r := range good {
		if r.Verdict != v1alpha1.VerdictSatisfied {
			t.Errorf("%s is %s over what is in order: %s", name, r.Verdict, r.Message)
		}
	}
	for name, test := range map[string]struct{ from, to, want, object string }{
		"disruption-budgets": {"matchLabels: {app: web}", "matchLabels: {app: other}", "1 of 2 deployments fail: shop/web: 3 replicas and no PodDisruptionBudget", "web"},
		"ingress-classes":    {"ingressClassName: nginx", "ingressClassName: nginxx", "1 of 1 ingresses fail: shop/web: there is no class nginxx", "web"},
		"node-versions":      {"v1.34.1", "v1.33.1", "1 of 2 nodes fail: old: v1.33.1, and the newest is 1.36", "old"},
		"default-class":      {"{name: gp2}", `{name: gp2, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}`, "2 of 2 storageclasses satisfy it: gp2; gp3", "gp2"},
		"issuers":            {`status: "True"`, `status: "False"`, "none of 2 clusterissuers satisfies it: prod; staging: Failed to register", "prod"},
	} {
		changed := strings.Replace(goodObjects, test.from, test.to, 1)
		if changed == goodObjects {
			t.Fatalf("%s: nothing was changed", name)
		}
		r := verdicts(changed)[name]
		if r.Verdict != v1alpha1.VerdictCheckFailed || !strings.Contains(r.Message, test.want) {
			t.Errorf("%s is %s: %s\nwant %q in it", name, r.Verdict, r.Message, test.want)
		}
		if len(r.Evidence) == 0 || r.Evidence[0].Name != test.object {
			t.Errorf("%s: the evidence is %+v, want %s first", name, r.Evidence, test.object)
		}
	}
}
