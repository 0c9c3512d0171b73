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

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/cli"
	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// declaredInGit is a repository that declares a platform in several ways.
const declaredInGit = `
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: cert-manager, namespace: cert-manager}
spec:
  interval: 1h
  chart: {spec: {chart: cert-manager, version: v1.16.2, sourceRef: {kind: HelmRepository, name: jetstack, namespace: flux-system}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: load-balancer, namespace: argocd}
spec:
  project: default
  destination: {server: https://kubernetes.default.svc, namespace: metallb-system}
  source: {repoURL: https://metallb.github.io/metallb, chart: metallb, targetRevision: 0.14.9}
---
apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata: {name: metrics, namespace: kube-system}
spec: {chart: metrics-server, repo: https://kubernetes-sigs.github.io/metrics-server, targetNamespace: kube-system}
---
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: k8s, namespace: monitoring}
spec: {version: v3.5.0}
`

// TestGitAndClusterAgree asserts that discover lists the same components for a repository and for the cluster that it made, with the
// same managers. The objects that the controllers of Flux, Argo CD and K3s would create are applied by hand.
func TestGitAndClusterAgree(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	c, err := cluster.Start("--nodes", "1", "--without", "scheduler")
	cluster.Must(t, err)
	defer c.Stop()
	cluster.Must(t, c.Install(ctx))
	before := managers(t, discover(t, "--kubeconfig", c.Kubeconfig))

	git := t.TempDir()
	cluster.Must(t, os.WriteFile(filepath.Join(git, "platform.yaml"), []byte(declaredInGit), 0o600))
	declared, err := cluster.Objects(git)
	cluster.Must(t, err)
	cluster.Must(t, c.ApplyObjects(ctx, append(definitionsOf(declared), declared...), "default"))
	for variant, namespace := range map[string]string{
		"cert-manager/v1.17.1-helm": "cert-manager", "metallb/v0.14.9-native": "metallb-system", "metrics-server/v0.3.6-amd64": "kube-system",
	} {
		_, err := c.Apply(ctx, filepath.Join(cluster.Fixtures(), variant), namespace)
		cluster.Must(t, err)
	}
	want := managers(t, discover(t, "--from", git))
	got := slices.DeleteFunc(managers(t, discover(t, "--kubeconfig", c.Kubeconfig)), func(line string) bool {
		return slices.Contains(before, line)
	})
	if !slices.Equal(got, want) {
		t.Errorf("the cluster has %q, the repository %q", got, want)
	}
	t.Run("status", func(t *testing.T) { testDeclaredStatus(ctx, t, c) })
}

// testDeclaredStatus asserts what the operator reports about what is declared in a cluster.
func testDeclaredStatus(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	operator, err := c.Run(ctx)
	cluster.Must(t, err)
	defer operator.Stop()
	profile := c.CreateWatchedProfile(t, cluster.Profile("declared", cluster.Layer("platform",
		cluster.AnyOf("certificates", "cert-manager", ""),
		cluster.AnyOf("metrics", "prometheus", ""),
		cluster.AnyOf("backup", "velero", ""),
		cluster.AnyOf("vip", "kube-vip", ""),
	)))
	profile.AwaitLast(t, "kube-vip is missing", cluster.VerdictIs("platform", "vip", v1alpha1.VerdictMissing))
	profile.AwaitLast(t, "Prometheus is wanted", cluster.VerdictIs("platform", "metrics", v1alpha1.VerdictDegraded))
	requirement := func(name string) *v1alpha1.RequirementStatus {
		return cluster.FindRequirement(profile.Last(), "platform", name)
	}
	const wanted = "Prometheus monitoring/k8s is declared, and no workload of it runs"
	if message := requirement("metrics").Message; !strings.Contains(message, wanted) {
		t.Errorf("got %s", message)
	}
	if manager := requirement("certificates").ManagedBy; manager != "HelmRelease cert-manager/cert-manager" {
		t.Errorf("cert-manager is managed by %q", manager)
	}

	// A HelmRelease that fails is named where its component is missing.
	release := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
		"metadata": map[string]any{"name": "backup", "namespace": "cert-manager"},
		"spec":     map[string]any{"chart": map[string]any{"spec": map[string]any{"chart": "velero"}}},
		"status": map[string]any{"conditions": []any{map[string]any{
			"type": "Ready", "status": "False", "reason": "InstallFailed", "message": "timed out", "lastTransitionTime": "2026-11-01T00:00:00Z",
		}}},
	}}
	cluster.Must(t, c.ApplyObjects(ctx, []*unstructured.Unstructured{release}, ""))
	profile.AwaitLast(t, "the failure is named", func(p *v1alpha1.PlatformProfile) bool {
		r := cluster.FindRequirement(p, "platform", "backup")
		return r.Verdict == v1alpha1.VerdictMissing && strings.HasSuffix(r.Message,
			"HelmRelease cert-manager/backup, which declares it, failed: InstallFailed since 2026-11-01T00:00:00Z: timed out")
	})

	// kube-vip in static pods leaves the Leases of its leaders.
	holder, now := "node-0", metav1.NowMicro()
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "plndr-svcs-lock"},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &now},
	}
	profile.AwaitVerdict(t, "platform", "vip", v1alpha1.VerdictSatisfied, func() { cluster.Must(t, c.Client.Create(ctx, lease)) })
	expired := metav1.NewMicroTime(now.Add(-time.Hour))
	lease.Spec.RenewTime = &expired
	profile.AwaitVerdict(t, "platform", "vip", v1alpha1.VerdictMissing, func() { cluster.Must(t, c.Client.Update(ctx, lease)) })
}

// definitionsOf returns a CRD without a schema for the kind of each object.
func definitionsOf(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	definitions := make([]*unstructured.Unstructured, 0, len(objects))
	for _, o := range objects {
		kind := o.GroupVersionKind()
		plural := strings.ToLower(kind.Kind) + "s"
		if strings.HasSuffix(plural, "ss") {
			plural = strings.TrimSuffix(plural, "s") + "es"
		}
		definitions = append(definitions, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
			"metadata": map[string]any{
				"name":        plural + "." + kind.Group,
				"annotations": map[string]any{"api-approved.kubernetes.io": "https://github.com/kubernetes/kubernetes/pull/78458"},
			},
			"spec": map[string]any{
				"group": kind.Group, "scope": "Namespaced",
				"names": map[string]any{"kind": kind.Kind, "plural": plural, "singular": strings.ToLower(kind.Kind)},
				"versions": []any{map[string]any{
					"name": kind.Version, "served": true, "storage": true,
					"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
				}},
			},
		}})
	}
	return definitions
}

func discover(t *testing.T, args ...string) report.Discovery {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := cli.Execute(append([]string{"discover", "-o", "json"}, args...), nil, &out, &errOut); code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut.String())
	}
	var discovery report.Discovery
	cluster.Must(t, json.Unmarshal(out.Bytes(), &discovery))
	return discovery
}

// managers returns the installations with their namespaces and managers, sorted.
func managers(t *testing.T, discovery report.Discovery) []string {
	t.Helper()
	var lines []string
	for _, component := range discovery.Components {
		for _, i := range component.Installations {
			lines = append(lines, strings.TrimSpace(strings.Join([]string{component.Name, i.Namespace, i.ManagedBy}, " ")))
		}
	}
	slices.Sort(lines)
	return lines
}
