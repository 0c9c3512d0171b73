package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/cli"
	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// install is one real install, and what the operator must report about it.
type install struct {
	component, layer string
	corpus, fixture  string // the variants, in the folder of real installs and in the project's own fixtures
	// inCorpus and inFixture are the namespaces that it is installed to.
	inCorpus, inFixture string
	// evidence is the kind and the end of the name of an object that must be among the evidence.
	evidence string
}

var installs = []install{
	{"cilium", "network", "cilium/v1.20.0", "cilium/v1.18.2-helm", "cilium-system", "", "DaemonSet cilium"},
	{"metallb", "network", "metallb/v0.16.1-native", "metallb/v0.14.9-native", "metallb-system", "", "Deployment controller"},
	{"ingress-nginx", "network", "ingress-nginx/controller-v1.15.1-cloud", "ingress-nginx/v1.11.3-helm", "ingress-nginx", "", "Deployment controller"},
	{"rook", "storage", "rook/v1.20.6-with-cluster", "rook/v1.16.5-operator-only", "rook-ceph", "", "Deployment rook-ceph-operator"},
	{"velero", "storage", "velero/chart-12.1.0", "velero/v1.15.2-install", "velero-system", "", "Deployment velero"},
	{"argo-cd", "delivery", "argo-cd/v3.5.1", "argo-cd/v2.13.3-manifests", "argocd", "", "StatefulSet application-controller"},
	{"harbor", "registry", "harbor/v1.19.1", "harbor/v2.12.2-helm", "harbor-system", "", "Deployment core"},
	{"prometheus", "observability", "prometheus/chart-29.27.0", "prometheus/v3.2.1-helm", "prometheus-system", "", "Deployment server"},
	{"grafana", "observability", "grafana/chart-10.5.15", "grafana/v11.5.2-helm", "grafana-system", "", "Deployment grafana"},
	{"falco", "security", "falco/chart-9.1.0", "falco/v0.40.0-helm", "falco-system", "", "DaemonSet falco"},
	{"vault", "security", "vault/v0.34.1-ha", "vault/v1.19.0-helm", "vault-system", "", "StatefulSet vault"},
	{"istio", "mesh", "istio/istiod-1.30.3", "istio/v1.26.2-helm", "istiod-system", "", "Deployment istiod"},
	{"knative-serving", "serverless", "knative-serving/kubeflow-26.03", "knative-serving/v1.18.1", "knative-serving", "", "Deployment controller"},
}

// neighbours are installs that the platform shares the cluster with. Nothing of them may be taken for a required one.
var neighbours = []string{"keda/main", "cert-manager/kubeflow-26.03", "tempo/chart-1.24.4", "fluent-bit/0.58.1", "traefik/v41.3.0"}

// versions are those that EXPECTED.tsv names for a component in a variant.
func versions(t *testing.T, folder, variant, component string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, "EXPECTED.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		columns := strings.Split(line, "\t")
		if columns[0] != variant || len(columns) < 2 {
			continue
		}
		for must := range strings.FieldsSeq(columns[1]) {
			if name, version, _ := strings.Cut(must, "@"); name == component {
				return version
			}
		}
	}
	t.Fatalf("%s/EXPECTED.tsv has no %s in %s", folder, component, variant)
	return ""
}

// namespaceOf is the namespace of the object that is reported as evidence.
func namespaceOf(t *testing.T, objects []*unstructured.Unstructured, evidence, otherwise string) (namespace, name string) {
	t.Helper()
	kind, end, _ := strings.Cut(evidence, " ")
	for _, object := range objects {
		if object.GetKind() == kind && strings.HasSuffix(object.GetName(), end) {
			if object.GetNamespace() != "" {
				otherwise = object.GetNamespace()
			}
			return otherwise, object.GetName()
		}
	}
	t.Fatalf("the install has no %s", evidence)
	return "", ""
}

// TestPlatform installs a platform of real parts, and then does to it what happens to platforms.
func TestPlatform(t *testing.T) {
	ctx := context.Background()
	folder, hasCorpus := cluster.Corpus()
	if !hasCorpus {
		folder = cluster.Fixtures()
		t.Log("the folder of real installs is absent: the project's own fixtures stand in")
	}
	found := map[string]location{}
	applied := map[string]string{} // folders of installs, and the namespace for what names none
	for _, i := range installs {
		variant, namespace := i.fixture, i.component
		if hasCorpus {
			variant, namespace = i.corpus, i.inCorpus
		}
		objects, err := env.Apply(ctx, filepath.Join(folder, variant), namespace)
		if err != nil {
			t.Fatalf("applying %s: %v", variant, err)
		}
		applied[filepath.Join(folder, variant)] = namespace
		p := location{version: versions(t, folder, variant, i.component)}
		p.namespace, p.name = namespaceOf(t, objects, i.evidence, namespace)
		found[i.component] = p
	}
	if hasCorpus {
		for _, variant := range neighbours {
			if _, err := env.Apply(ctx, filepath.Join(folder, variant), "neighbours"); err != nil {
				t.Fatalf("applying %s: %v", variant, err)
			}
			applied[filepath.Join(folder, variant)] = "neighbours"
		}
		if len(applied) < 15 {
			t.Fatalf("only %d installs were applied together", len(applied))
		}
	}
	profile := createProfile(t, "platform", platform()...)

	t.Run("every component is found, in its version, health and namespace, on evidence", func(t *testing.T) {
		profile.AwaitLast(t, "the platform is conformant", func(p *v1alpha1.PlatformProfile) bool {
			c := condition(p, v1alpha1.ConditionConformant)
			return c != nil && c.Status == metav1.ConditionTrue && healthy(p)
		})
		last := profile.Last()
		for _, i := range installs {
			r := cluster.FindRequirement(last, i.layer, i.component)
			want := found[i.component]
			if r == nil || r.Verdict != v1alpha1.VerdictSatisfied || r.Component != i.component {
				t.Errorf("%s: got %+v", i.component, r)
				continue
			}
			if r.Version != want.version && want.version != "" {
				t.Errorf("%s: version %q, want %q", i.component, r.Version, want.version)
			}
			if r.Health != v1alpha1.HealthHealthy {
				t.Errorf("%s: health %s: %s", i.component, r.Health, r.Message)
			}
			if r.Namespace != want.namespace {
				t.Errorf("%s: namespace %q, want %q", i.component, r.Namespace, want.namespace)
			}
			// Of what holds the status has one piece of evidence.
			if len(r.Evidence) != 1 || want.namespace != "" && r.Evidence[0].Namespace != want.namespace {
				t.Errorf("%s: the evidence is not one object of %s: %+v", i.component, want.namespace, r.Evidence)
			}
		}
		runtime := cluster.FindRequirement(last, "runtime", "containerd")
		if runtime == nil || runtime.Version != "2.1.4" || runtime.Verdict != v1alpha1.VerdictSatisfied {
			t.Errorf("containerd: got %+v", runtime)
		}
	})

	t.Run("tools of the field wait for it", func(t *testing.T) { testToolsWait(t) })

	t.Run("the command line reports the same", func(t *testing.T) { testCommandLine(t, profile.Last()) })

	t.Run("files and cluster hold the same", func(t *testing.T) { testInventory(t, applied) })

	t.Run("an operator that starts again writes nothing", func(t *testing.T) { testRestart(t, profile) })

	t.Run("a deleted DaemonSet is Missing", func(t *testing.T) {
		falco := &appsv1.DaemonSet{}
		get(t, falco, found["falco"])
		r := profile.AwaitVerdict(t, "security", "falco", v1alpha1.VerdictMissing, func() { cluster.Must(t, env.Client.Delete(ctx, falco)) })
		if r.Remediation == "" || r.FailingSince == nil {
			t.Errorf("a missing component has no remediation or no time since when it fails: %+v", r)
		}
		falco.ResourceVersion, falco.UID = "", ""
		profile.AwaitVerdict(t, "security", "falco", v1alpha1.VerdictSatisfied, func() { cluster.Must(t, env.Client.Create(ctx, falco)) })
		awaitConformant(t, profile)
	})

	t.Run("a controller that is scaled away is Degraded", func(t *testing.T) {
		controller := &appsv1.Deployment{}
		get(t, controller, found["metallb"])
		r := profile.AwaitVerdict(t, "network", "metallb", v1alpha1.VerdictDegraded, func() { scale(t, controller, 0) })
		if !strings.Contains(r.Message, "scaled to zero") || !strings.Contains(r.Message, controller.Name) {
			t.Errorf("the message does not say what is wrong: %s", r.Message)
		}
		profile.AwaitVerdict(t, "network", "metallb", v1alpha1.VerdictSatisfied, func() { scale(t, controller, 1) })
		awaitConformant(t, profile)
	})

	t.Run("an image below the range is a VersionMismatch", func(t *testing.T) {
		controller := &appsv1.Deployment{}
		get(t, controller, found["ingress-nginx"])
		was := controller.Spec.Template.Spec.Containers[0].Image
		r := profile.AwaitVerdict(t, "network", "ingress-nginx", v1alpha1.VerdictVersionMismatch,
			func() { image(t, controller, "registry.k8s.io/ingress-nginx/controller:v1.3.0") })
		if r.Version != "1.3.0" || !strings.Contains(r.Message, ">=1.5.0") {
			t.Errorf("got %+v", r)
		}
		profile.AwaitVerdict(t, "network", "ingress-nginx", v1alpha1.VerdictSatisfied, func() { image(t, controller, was) })
		awaitConformant(t, profile)
	})

	t.Run("a second CNI is a Conflict", func(t *testing.T) {
		second, err := cluster.Objects(filepath.Join(cluster.Fixtures(), "calico", "v3.30.3-manifest"))
		cluster.Must(t, err)
		var agent *unstructured.Unstructured
		for _, object := range second {
			if object.GetKind() == "DaemonSet" {
				agent = object
			}
		}
		r := profile.AwaitVerdict(t, "network", "cilium", v1alpha1.VerdictConflict, func() {
			cluster.Must(t, env.ApplyObjects(ctx, []*unstructured.Unstructured{agent}, "kube-system"))
		})
		for _, name := range []string{"cilium", "calico"} {
			if !strings.Contains(r.Message, name) {
				t.Errorf("the message does not name %s: %s", name, r.Message)
			}
		}
		profile.AwaitVerdict(t, "network", "cilium", v1alpha1.VerdictSatisfied, func() { cluster.Must(t, env.Client.Delete(ctx, agent)) })
	})

	t.Run("a permission that is taken away makes Unknown, and names it", func(t *testing.T) {
		role := &rbacv1.ClusterRole{}
		cluster.Must(t, env.Client.Get(ctx, types.NamespacedName{Name: cluster.ServiceAccount}, role))
		whole := role.DeepCopy()
		for i := range role.Rules {
			var remaining []string
			for _, resource := range role.Rules[i].Resources {
				if resource != "daemonsets" {
					remaining = append(remaining, resource)
				}
			}
			role.Rules[i].Resources = remaining
		}
		r := profile.AwaitVerdict(t, "security", "falco", v1alpha1.VerdictUnknown, func() { cluster.Must(t, env.Client.Update(ctx, role)) })
		if !strings.Contains(r.Message, "daemonsets") || !strings.Contains(r.Message, "list and watch") {
			t.Errorf("the message does not name the permission: %s", r.Message)
		}
		last := profile.AwaitLast(t, "Conformant is Unknown", func(p *v1alpha1.PlatformProfile) bool {
			return condition(p, v1alpha1.ConditionConformant).Status == metav1.ConditionUnknown
		})
		if r := cluster.FindRequirement(last, "observability", "grafana"); r.Verdict != v1alpha1.VerdictSatisfied {
			t.Errorf("what has nothing to do with DaemonSets suffers: grafana is %s: %s", r.Verdict, r.Message)
		}
		whole.ResourceVersion = ""
		profile.AwaitVerdict(t, "security", "falco", v1alpha1.VerdictSatisfied, func() { cluster.Must(t, env.Client.Update(ctx, whole)) })
		awaitConformant(t, profile)
	})

	t.Run("a CRD that goes and comes back", func(t *testing.T) {
		crd := &unstructured.Unstructured{}
		crd.SetAPIVersion("apiextensions.k8s.io/v1")
		crd.SetKind("CustomResourceDefinition")
		cluster.Must(t, env.Client.Get(ctx, types.NamespacedName{Name: "ipaddresspools.metallb.io"}, crd))
		profile.AwaitVerdict(t, "network", "address-pools", v1alpha1.VerdictMissing,
			func() { cluster.Must(t, env.Client.Delete(ctx, crd.DeepCopy())) })
		waitGone(t, crd)
		for _, field := range []string{"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"} {
			unstructured.RemoveNestedField(crd.Object, "metadata", field)
		}
		unstructured.RemoveNestedField(crd.Object, "status")
		profile.AwaitVerdict(t, "network", "address-pools", v1alpha1.VerdictSatisfied, func() { cluster.Must(t, env.Client.Create(ctx, crd)) })
	})

	t.Run("a definition for a product that the catalog does not know", func(t *testing.T) {
		server := cluster.Deployment("billing", "acme-billing", "harbor.corp.example/mirror/acme/billing-server:v2.3.1")
		cluster.Must(t, env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "billing"}}))
		cluster.Must(t, env.Client.Create(ctx, server))
		own := createProfile(t, "own-product", cluster.Layer("workloads", cluster.AnyOf("billing", "acme-billing", ">=2.0.0")))
		own.AwaitLast(t, "it is Missing", cluster.VerdictIs("workloads", "billing", v1alpha1.VerdictMissing))
		definition := cluster.Component("acme-billing", "acme/billing-server")
		r := own.AwaitVerdict(t, "workloads", "billing", v1alpha1.VerdictSatisfied,
			func() { cluster.Must(t, env.Client.Create(ctx, definition)) })
		if r.Version != "2.3.1" || r.Namespace != "billing" {
			t.Errorf("got %+v", r)
		}
		own.AwaitVerdict(t, "workloads", "billing", v1alpha1.VerdictMissing, func() { cluster.Must(t, env.Client.Delete(ctx, definition)) })
	})

	t.Run("each turn of a verdict is an event, and no more than one", func(t *testing.T) { assertEvents(t, "platform") })

	t.Run("a quiet cluster causes no write, no event and no list", func(t *testing.T) { testQuiet(t) })
}

// platform is a profile over all installs, a requirement for each, with what is asked of them beside.
func platform() []v1alpha1.Layer {
	var layers []v1alpha1.Layer
	add := func(layer string, r v1alpha1.Requirement) {
		for i := range layers {
			if layers[i].Name == layer {
				layers[i].Requirements = append(layers[i].Requirements, r)
				return
			}
		}
		layers = append(layers, v1alpha1.Layer{Name: layer, Requirements: []v1alpha1.Requirement{r}})
	}
	add("core", cluster.AnyOf("kubernetes", "kubernetes", ">=1.30"))
	add("runtime", cluster.AnyOf("containerd", "containerd", ">=2.0"))
	for _, i := range installs {
		r := cluster.AnyOf(i.component, i.component, "")
		switch i.component {
		case "cilium":
			r.Exclusive = true
			r.AnyOf = []v1alpha1.ComponentChoice{{Component: "cilium", Version: ">=1.16.0"}, {Component: "calico", Version: ">=3.28.0"}}
		case "ingress-nginx":
			r.AnyOf[0].Version = ">=1.5.0"
		}
		add(i.layer, r)
	}
	add("network", v1alpha1.Requirement{Name: "address-pools", Rule: &v1alpha1.Rule{
		Resource: &v1alpha1.ResourceReference{
			Group:    "metallb.io",
			Resource: "ipaddresspools",
		},
		Expression: "object.spec.addresses.size() > 0",
		Message:    "every address pool holds addresses",
	}})
	add("storage", v1alpha1.Requirement{Name: "default-class", Rule: &v1alpha1.Rule{
		Resource:   &v1alpha1.ResourceReference{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"},
		Expression: "object.metadata.?annotations[?'storageclass.kubernetes.io/is-default-class'].orValue('') == 'true'", Require: v1alpha1.RequireExactlyOne,
		Message: "exactly one default StorageClass",
	}})
	return layers
}

// location is where an install put what is reported as evidence.
type location struct{ namespace, name, version string }

func healthy(p *v1alpha1.PlatformProfile) bool {
	for _, layer := range p.Status.Layers {
		for _, r := range layer.Requirements {
			if r.Component != "" && r.Health != v1alpha1.HealthHealthy {
				return false
			}
		}
	}
	return true
}

// awaitConformant waits until all is well again, rollouts included.
func awaitConformant(t *testing.T, profile *cluster.WatchedProfile) {
	t.Helper()
	profile.AwaitLast(t, "the platform is conformant and healthy again", func(p *v1alpha1.PlatformProfile) bool {
		return condition(p, v1alpha1.ConditionConformant).Status == metav1.ConditionTrue && healthy(p)
	})
}

func condition(p *v1alpha1.PlatformProfile, kind string) *metav1.Condition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// testToolsWait asserts that kubectl wait, kstatus and kubectl get read the profile as they should.
func testToolsWait(t *testing.T) {
	ctx := context.Background()
	out, err := env.Kubectl(ctx, "wait", "--for=condition=Conformant", "platformprofile/platform", "--timeout=5s")
	if err != nil {
		t.Errorf("kubectl wait: %v\n%s", err, out)
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("PlatformProfile"))
	cluster.Must(t, env.Client.Get(ctx, types.NamespacedName{Name: "platform"}, object))
	computed, err := status.Compute(object)
	if err != nil || computed.Status != status.CurrentStatus {
		t.Errorf("kstatus: got %+v, %v", computed, err)
	}
	wide, err := env.Kubectl(ctx, "get", "pprofile", "platform", "-o", "wide")
	if err != nil {
		t.Fatalf("kubectl get: %v\n%s", err, wide)
	}
	t.Logf("\n%s", wide)
	lines := strings.Split(strings.TrimSpace(wide), "\n")
	for _, column := range []string{"NAME", "CONFORMANT", "SCORE", "REASON", "AGE", "READY", "MESSAGE"} {
		if !strings.Contains(lines[0], column) {
			t.Errorf("kubectl get -o wide has no column %s:\n%s", column, wide)
		}
	}
	if fields := strings.Fields(lines[1]); fields[1] != "True" || fields[2] != "17/17" {
		t.Errorf("got %v", fields)
	}
}

// testCommandLine asserts that check and discover, over the live cluster, come to what the operator wrote.
func testCommandLine(t *testing.T, profile *v1alpha1.PlatformProfile) {
	declared := &v1alpha1.PlatformProfile{TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "PlatformProfile"}}
	declared.Name, declared.Spec = profile.Name, profile.Spec
	data, err := json.Marshal(declared)
	cluster.Must(t, err)
	var content map[string]any
	cluster.Must(t, json.Unmarshal(data, &content))
	delete(content, "status")
	data, err = json.Marshal(content)
	cluster.Must(t, err)
	file := filepath.Join(t.TempDir(), "profile.json")
	cluster.Must(t, os.WriteFile(file, data, 0o600))

	var out, errOut bytes.Buffer
	if code := cli.Execute([]string{"check", "-f", file, "-o", "json", "--kubeconfig", env.Kubeconfig}, nil, &out, &errOut); code != 0 {
		t.Fatalf("check: exit code %d: %s\n%s", code, errOut.String(), out.String())
	}
	checked := &v1alpha1.PlatformProfile{}
	cluster.Must(t, json.Unmarshal(out.Bytes(), checked))
	for _, layer := range profile.Status.Layers {
		for _, want := range layer.Requirements {
			got := cluster.FindRequirement(checked, layer.Name, want.Name)
			if got == nil || got.Verdict != want.Verdict || got.Component != want.Component || got.Version != want.Version ||
				got.Namespace != want.Namespace || got.Message != want.Message || !slices.Equal(got.Evidence, want.Evidence) {
				t.Errorf("%s/%s: check reports %+v, the operator %+v", layer.Name, want.Name, got, want)
			}
		}
	}
}

// testInventory asserts that the installs, read from their files one by one, come to what discover finds in the cluster
// that they were applied to: the same components, in the same namespaces and versions. What belongs to nodes and to the
// API server is in no file.
func testInventory(t *testing.T, applied map[string]string) {
	want := map[string]bool{}
	for folder, namespace := range applied {
		for installation := range discovered(t, namespace, "--from", folder) {
			want[installation] = true
		}
	}
	got := discovered(t, "", "--kubeconfig", env.Kubeconfig)
	for installation := range want {
		if !got[installation] {
			t.Errorf("discover does not find %s in the cluster", installation)
		}
	}
	for installation := range got {
		if !want[installation] && !strings.HasPrefix(installation, "containerd ") && !strings.HasPrefix(installation, "kubernetes ") {
			t.Errorf("discover does not find %s in any file", installation)
		}
	}
	t.Logf("%d installations", len(got))
}

// discovered are the installations that discover reports, as "component version namespace".
func discovered(t *testing.T, namespace string, args ...string) map[string]bool {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := cli.Execute(append([]string{"discover", "-o", "json"}, args...), nil, &out, &errOut); code != 0 {
		t.Fatalf("discover: exit code %d: %s", code, errOut.String())
	}
	var discovery report.Discovery
	cluster.Must(t, json.Unmarshal(out.Bytes(), &discovery))
	found := map[string]bool{}
	for _, component := range discovery.Components {
		for _, i := range component.Installations {
			if i.Namespace == "" {
				i.Namespace = namespace
			}
			found[strings.Join([]string{component.Name, i.Version, i.Namespace}, " ")] = true
		}
	}
	return found
}

// testRestart asserts that an operator that starts again finds its profiles as it left them.
func testRestart(t *testing.T, profile *cluster.WatchedProfile) {
	before := profile.Last().ResourceVersion
	restartOperator(t)
	// A new profile is answered once the operator leads and has evaluated the others, which were there before.
	probe := createProfile(t, "after-restart", cluster.Layer("runtime", cluster.AnyOf("containerd", "containerd", "")))
	probe.AwaitLast(t, "the operator leads again", cluster.VerdictIs("runtime", "containerd", v1alpha1.VerdictSatisfied))
	if after := profile.Last().ResourceVersion; after != before {
		t.Errorf("the profile was written, although nothing changed: %s, then %s: %s", before, after, cluster.Summary(profile.Last()))
	}
}

func get(t *testing.T, object client.Object, at location) {
	t.Helper()
	cluster.Must(t, env.Client.Get(context.Background(), types.NamespacedName{Namespace: at.namespace, Name: at.name}, object))
}

func scale(t *testing.T, d *appsv1.Deployment, replicas int32) {
	t.Helper()
	patch := client.MergeFrom(d.DeepCopy())
	d.Spec.Replicas = &replicas
	cluster.Must(t, env.Client.Patch(context.Background(), d, patch))
}

func image(t *testing.T, d *appsv1.Deployment, image string) {
	t.Helper()
	patch := client.MergeFrom(d.DeepCopy())
	d.Spec.Template.Spec.Containers[0].Image = image
	cluster.Must(t, env.Client.Patch(context.Background(), d, patch))
}

func waitGone(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	cluster.Eventually(t, object.GetName()+" is gone", func() (bool, string) {
		err := env.Client.Get(context.Background(), client.ObjectKeyFromObject(object), object.DeepCopy())
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
}
