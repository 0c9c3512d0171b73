package facts

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func parseObject(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestNewChart(t *testing.T) {
	for _, test := range []struct {
		name, repository, version string
		want                      string // repository, name, version
	}{
		{"cilium", "https://helm.cilium.io/", "1.18.2", "helm.cilium.io cilium 1.18.2"},
		{"cert-manager", "oci://quay.io/jetstack/charts", "v1.18.0", "quay.io/jetstack/charts cert-manager 1.18.0"},
		{"oci://ghcr.io/prometheus-community/charts/prometheus", "", "=27.0.0", "ghcr.io/prometheus-community/charts prometheus 27.0.0"},
		{"./charts/shop", "https://git.example/shop", "", "git.example/shop shop "},
		{"bitnami/redis", "", "20.x", "bitnami redis "},
		{"loki", "@grafana", "~6.1.0", "grafana loki "},
		{"loki", "alias:grafana", ">=6.1.0", "grafana loki "},
		{"keda", "", "2.17", " keda "},
		{"keda", "", "${KEDA_VERSION}", " keda "},
		{"keda", "", "*", " keda "},
		{"keda", "", "2.17.0 - 2.18.0", " keda "},
		{"rke2-canal", "", "3.29.0-build2024110400+up1.2", " rke2-canal 3.29.0-build2024110400+up1.2"},
		{"rook", "", "v1.16.0@sha256:00", " rook 1.16.0"},
	} {
		chart := NewChart(test.name, test.repository, test.version, nil)
		if got := fmt.Sprintf("%s %s %s", chart.Repository, chart.Name, chart.Version); got != test.want {
			t.Errorf("%s %s %s: got %q, want %q", test.name, test.repository, test.version, got, test.want)
		}
	}
}

// The failures are in the words that Flux 2.7, Argo CD 3.1, OLM 0.32 and K3s 1.33 write.
func TestDeclarationFailures(t *testing.T) {
	for name, test := range map[string]struct{ status, want string }{
		"HelmRelease ready":       {`conditions: [{type: Ready, status: "True", reason: InstallSucceeded}]`, ""},
		"HelmRelease in progress": {`conditions: [{type: Ready, status: Unknown, reason: Progressing}]`, ""},
		"HelmRelease failed": {
			`conditions: [{type: Ready, status: "False", reason: InstallFailed, message: "timed out", lastTransitionTime: "2026-11-01T00:00:00Z"}]`,
			"InstallFailed since 2026-11-01T00:00:00Z: timed out",
		},
		"HelmChart failed":    {`conditions: [{type: Failed, status: "True", reason: Failed}]`, "Failed"},
		"HelmChart installed": {`conditions: [{type: Failed, status: "False"}]`, ""},
		"Application healthy": {`{health: {status: Healthy}, operationState: {phase: Succeeded}}`, ""},
		"Application syncing": {`{health: {status: Progressing}, operationState: {phase: Running}}`, ""},
		"Application failed":  {`{operationState: {phase: Failed, message: "one or more objects failed", finishedAt: "2026-11-01T00:00:00Z"}}`, "the sync is Failed since 2026-11-01T00:00:00Z: one or more objects failed"},
		"Application unreadable": {
			`conditions: [{type: ComparisonError, message: "chart not found", lastTransitionTime: "2026-11-01T00:00:00Z"}]`,
			"ComparisonError since 2026-11-01T00:00:00Z: chart not found",
		},
		"Application degraded":   {`{health: {status: Degraded, lastTransitionTime: "2026-11-01T00:00:00Z"}, operationState: {phase: Succeeded}}`, "its health is Degraded since 2026-11-01T00:00:00Z"},
		"Subscription at latest": {`{state: AtLatestKnown, conditions: [{type: CatalogSourcesUnhealthy, status: "False"}]}`, ""},
		"Subscription unresolved": {
			`conditions: [{type: ResolutionFailed, status: "True", reason: ConstraintsNotSatisfiable, message: "no operators found"}]`,
			"ConstraintsNotSatisfiable: no operators found",
		},
	} {
		t.Run(name, func(t *testing.T) {
			kind, _, _ := strings.Cut(name, " ")
			group := map[string]string{
				"HelmRelease": "helm.toolkit.fluxcd.io/v2", "HelmChart": "helm.cattle.io/v1", "Application": "argoproj.io/v1alpha1",
				"Subscription": "operators.coreos.com/v1alpha1",
			}[kind]
			o := parseObject(t, fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: a}\nstatus:\n  %s\n", group, kind, test.status))
			fact, err := Extract(o, true)
			if err != nil {
				t.Fatal(err)
			}
			if got := fact.(*Declaration).Failure; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestFindManager(t *testing.T) {
	for _, test := range []struct{ metadata, want string }{
		{`{labels: {helm.toolkit.fluxcd.io/name: cilium, helm.toolkit.fluxcd.io/namespace: kube-system}}`, "HelmRelease kube-system/cilium"},
		{`{labels: {kustomize.toolkit.fluxcd.io/name: apps, kustomize.toolkit.fluxcd.io/namespace: flux-system}}`, "Kustomization flux-system/apps"},
		{`{annotations: {argocd.argoproj.io/tracking-id: "metallb:apps/Deployment:metallb-system/controller"}}`, "Application metallb"},
		{`{annotations: {argocd.argoproj.io/tracking-id: "team_metallb:apps/Deployment:metallb-system/controller"}}`, "Application team/metallb"},
		{`{labels: {argocd.argoproj.io/instance: metallb}}`, "Application metallb"},
		{`{annotations: {meta.helm.sh/release-name: cilium, meta.helm.sh/release-namespace: kube-system}}`, "Helm release kube-system/cilium"},
		{`{labels: {app.kubernetes.io/instance: cilium}}`, ""},
	} {
		o := &metav1.ObjectMeta{}
		if err := yaml.Unmarshal([]byte(test.metadata), o); err != nil {
			t.Fatal(err)
		}
		if got := findManager(o).String(); got != test.want {
			t.Errorf("%s: got %q, want %q", test.metadata, got, test.want)
		}
	}
}

// The values of the chart app-template describe its workloads.
func TestNewTemplatedWorkloads(t *testing.T) {
	values := parseObject(t, `
controllers:
  main: {containers: {app: {image: {repository: example/app, tag: 1.0.0}}, sidecar: {image: {repository: example/sidecar}}}}
  agent: {type: daemonset, containers: {app: {image: {repository: example/agent, tag: "{{ version }}"}}}}
  job: {type: cronjob, containers: {app: {image: {repository: example/job}}}}
`).Object
	var got []string
	for _, w := range NewTemplatedWorkloads("release", "a", values) {
		text := w.String()
		for _, c := range w.Containers {
			text += " " + c.Image.String()
		}
		got = append(got, text)
	}
	want := "[DaemonSet a/release-agent docker.io/example/agent Deployment a/release-main docker.io/example/app:1.0.0 docker.io/example/sidecar]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestNewRemoteChart(t *testing.T) {
	for _, test := range []struct{ address, revision, want string }{
		{"https://github.com/metallb/metallb/config/native?ref=v0.14.9", "", "github.com/metallb metallb 0.14.9"},
		{"github.com/argoproj/argo-cd//manifests/cluster-install?ref=v2.13.0&timeout=90s", "", "github.com/argoproj argo-cd 2.13.0"},
		{"https://github.com/cert-manager/cert-manager/releases/download/v1.16.2/cert-manager.yaml", "", "github.com/cert-manager cert-manager 1.16.2"},
		{"https://raw.githubusercontent.com/kubernetes/ingress-nginx/controller-v1.11.3/deploy/static/provider/cloud/deploy.yaml", "", "github.com/kubernetes ingress-nginx 1.11.3"},
		{"https://github.com/argoproj/argo-rollouts.git", "v1.7.2", "github.com/argoproj argo-rollouts 1.7.2"},
		{"https://github.com/acme/platform", "main", ""},
		{"https://github.com/acme/vault//deploy", "", ""},
		{"https://git.example/metallb/metallb?ref=v0.14.9", "", ""},
		{"../base", "", ""},
	} {
		chart, ok := NewRemoteChart(test.address, test.revision)
		got := ""
		if ok {
			got = chart.Repository + " " + chart.Name + " " + chart.Version
		}
		if got != test.want {
			t.Errorf("%s %s: got %q, want %q", test.address, test.revision, got, test.want)
		}
	}
}
