package packaging

import (
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	profiles "github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// differences are all that the chart may have otherwise than the kustomization. Each takes it away from the kustomization's
// object; nil means that the chart lacks the object.
var differences = map[string]func(*unstructured.Unstructured) *unstructured.Unstructured{
	// A release is stored in its namespace, which therefore is there before the chart is: helm install --create-namespace.
	"Namespace /platformprofile-system": func(*unstructured.Unstructured) *unstructured.Unstructured { return nil },
	// Helm would delete the CRDs, and with them every profile, when the release is removed.
	"CustomResourceDefinition /platformprofiles.platformprofile.dev":   keptByHelm,
	"CustomResourceDefinition /platformcomponents.platformprofile.dev": keptByHelm,
	"CustomResourceDefinition /platformwaivers.platformprofile.dev":    keptByHelm,
}

func keptByHelm(o *unstructured.Unstructured) *unstructured.Unstructured {
	annotations := o.GetAnnotations()
	annotations["helm.sh/resource-policy"] = "keep"
	o.SetAnnotations(annotations)
	return o
}

// TestTheChartIsTheKustomization compares both ways to install, object by object.
func TestTheChartIsTheKustomization(t *testing.T) {
	sameObjects(t, renderChart(t), kustomize(t, "default"))
}

// TestTheChartsCRDs tests that the CRDs can be left out, and left to be deleted with the release.
func TestTheChartsCRDs(t *testing.T) {
	crds := func(set string) []*unstructured.Unstructured {
		return slices.DeleteFunc(renderChart(t, "--set", set),
			func(o *unstructured.Unstructured) bool { return o.GetKind() != "CustomResourceDefinition" })
	}
	if found := crds("crds.enabled=false"); len(found) != 0 {
		t.Errorf("with crds.enabled=false there are %d CRDs", len(found))
	}
	unkept := crds("crds.keep=false")
	if len(unkept) != 3 {
		t.Errorf("with crds.keep=false there are %d CRDs", len(unkept))
	}
	for _, o := range unkept {
		if policy, there := o.GetAnnotations()["helm.sh/resource-policy"]; there {
			t.Errorf("with crds.keep=false %s has the policy %s", o.GetName(), policy)
		}
	}
}

// TestTheChartsMonitoringIsTheKustomizations compares what the chart adds for Prometheus and Grafana.
func TestTheChartsMonitoringIsTheKustomizations(t *testing.T) {
	whole := renderChart(t, "--set", "prometheus.serviceMonitor.enabled=true,prometheus.rules.enabled=true,grafana.dashboard.enabled=true",
		"--set", "prometheus.readers[0].name=prometheus-k8s,prometheus.readers[0].namespace=monitoring")
	plain := byName(t, renderChart(t))
	added := slices.DeleteFunc(whole, func(o *unstructured.Unstructured) bool { return plain[objectName(o)] != nil })
	sameObjects(t, added, append(kustomize(t, "prometheus"), kustomize(t, "grafana")...))
}

// TestTheChartsNetworkPolicyIsTheKustomizations compares the policy.
func TestTheChartsNetworkPolicyIsTheKustomizations(t *testing.T) {
	plain := byName(t, renderChart(t))
	added := slices.DeleteFunc(renderChart(t, "--set", "networkPolicy.enabled=true"),
		func(o *unstructured.Unstructured) bool { return plain[objectName(o)] != nil })
	sameObjects(t, added, kustomize(t, "network-policy"))
}

// TestTheChartsAdmissionIsTheKustomizations compares the policies that hold authors to what they may list.
func TestTheChartsAdmissionIsTheKustomizations(t *testing.T) {
	plain := byName(t, renderChart(t))
	added := slices.DeleteFunc(renderChart(t, "--set", "admission.enabled=true"),
		func(o *unstructured.Unstructured) bool { return plain[objectName(o)] != nil })
	sameObjects(t, added, kustomize(t, "admission"))
}

// TestTheChartsGateIsTheKustomizations compares the gate, and tests what other profiles, actions and namespaces make of it.
func TestTheChartsGateIsTheKustomizations(t *testing.T) {
	plain := byName(t, renderChart(t))
	gate := func(args ...string) []*unstructured.Unstructured {
		return slices.DeleteFunc(renderChart(t, append(args, "--set", "gate.enabled=true")...),
			func(o *unstructured.Unstructured) bool { return plain[objectName(o)] != nil })
	}
	sameObjects(t, gate(), kustomize(t, "gate"))

	const (
		gateOf   = "ValidatingAdmissionPolicyBinding /platformprofile-gate-"
		existsOf = "ValidatingAdmissionPolicyBinding /platformprofile-gate-profile-exists-"
	)
	two := byName(t, gate("--set", "gate.profiles={one,two}"))
	for _, name := range []string{gateOf + "one", gateOf + "two", existsOf + "one", existsOf + "two"} {
		if two[name] == nil {
			t.Errorf("with two profiles there is no %s", name)
		}
	}
	expressions, _, _ := unstructured.NestedSlice(two[gateOf+"namespaces"].Object,
		"spec", "matchResources", "namespaceSelector", "matchExpressions")
	if want := []any{"one", "two"}; !reflect.DeepEqual(expressions[1].(map[string]any)["values"], want) {
		t.Errorf("namespaces may require %v, want %v", expressions[1], want)
	}
	trial := byName(t, gate("--set", "gate.actions={Warn,Audit}"))
	if trial[existsOf+"production"] != nil {
		t.Error("with Warn a binding refuses what lacks a profile")
	}
	for _, name := range []string{gateOf + "production", gateOf + "namespaces"} {
		got, _, _ := unstructured.NestedStringSlice(trial[name].Object, "spec", "validationActions")
		if !slices.Equal(got, []string{"Warn", "Audit"}) {
			t.Errorf("the actions of %s are %v", name, got)
		}
	}
}

// TestTheChartsReportsAreTheKustomizations compares the whole, because the operator has another flag, too.
func TestTheChartsReportsAreTheKustomizations(t *testing.T) {
	sameObjects(t, renderChart(t, "--set", "reports.enabled=true"), kustomize(t, "reports"))
	plain, whole := byName(t, kustomize(t, "default")), byName(t, kustomize(t, "reports"))
	const deployment = "Deployment platformprofile-system/platformprofile-manager"
	if strings.Contains(toJSON(plain[deployment]), `"--reports"`) || !strings.Contains(toJSON(whole[deployment]), `"--reports"`) {
		t.Error("config/reports does not switch reports on, or config/default does")
	}
}

func sameObjects(t *testing.T, chart, kustomization []*unstructured.Unstructured) {
	t.Helper()
	got, want := byName(t, chart), byName(t, kustomization)
	for name, differ := range differences {
		if want[name] == nil {
			continue
		}
		if want[name] = differ(want[name]); want[name] == nil {
			delete(want, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch {
		case got[name] == nil:
			t.Errorf("the chart lacks %s", name)
		case toJSON(got[name]) != toJSON(want[name]):
			t.Errorf("%s differs. The chart has\n%s\nthe kustomization\n%s", name, toJSON(got[name]), toJSON(want[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want[name] == nil {
			t.Errorf("the chart has %s, which the kustomization lacks", name)
		}
	}
}

// TestAnotherNamespace tests that nothing of the release stays in the namespace that the kustomization uses.
func TestAnotherNamespace(t *testing.T) {
	out, _, err := helm("template", "other", chart, "--namespace", "elsewhere", "-f", everything)
	cluster.Must(t, err)
	if strings.Contains(out, "namespace: platformprofile-system") {
		t.Error("something is still in platformprofile-system")
	}
	for _, o := range parse(t, out) {
		if o.GetKind() == "Deployment" && o.GetNamespace() != "elsewhere" {
			t.Errorf("the Deployment is in %s", o.GetNamespace())
		}
	}
}

var everything = filepath.Join(cluster.Root(), "test", "packaging", "testdata", "everything.yaml")

// TestLint has helm look at the chart, with default values and with every option switched on.
func TestLint(t *testing.T) {
	for _, args := range [][]string{nil, {"-f", everything}} {
		out, errOut, err := helm(append([]string{"lint", "--strict", chart}, args...)...)
		if err != nil || strings.Contains(out+errOut, "[WARNING]") || strings.Contains(out+errOut, "[ERROR]") {
			t.Errorf("helm lint: %v\n%s%s", err, out, errOut)
		}
	}
}

// TestEveryOption tests where each value is rendered.
func TestEveryOption(t *testing.T) {
	objects := byName(t, renderChart(t, "-f", everything))
	for name, want := range map[string][]string{
		"Deployment platformprofile-system/platformprofile-manager": {
			`"replicas": 3`, `"image": "harbor.example.com/mirror/platformprofile@sha256:0000000000000000000000000000000000000000000000000000000000000001"`,
			`"imagePullPolicy": "Always"`, `"name": "registry"`, `"--reports"`, `"--verbosity=1"`, `"memory": "512Mi"`,
			`"kubernetes.io/os": "linux"`, `"key": "node-role.kubernetes.io/control-plane"`, `"nodeAffinity"`,
			`"priorityClassName": "system-cluster-critical"`,
			`"team": "platform"`, `"note": "of the platform team"`,
		},
		"PodDisruptionBudget platformprofile-system/platformprofile-manager":       {`"minAvailable": "50%"`},
		"NetworkPolicy platformprofile-system/platformprofile-manager":             {`"port": 6444`, `"kubernetes.io/metadata.name": "monitoring"`},
		"ValidatingAdmissionPolicy /platformprofile-profiles-read-as-their-author": {`"platformprofiles"`, `"Fail"`},
		"ValidatingAdmissionPolicyBinding /platformprofile-gate-minimal":           {`"platformprofile.dev/requires": "minimal"`, `"Audit"`},
		"ClusterRole /platformprofile-gate-break-glass":                            {`"break-glass"`},
		"ClusterRole /platformprofile-reports":                                     {`"clusterreports"`, `"patch"`},
		"ServiceMonitor platformprofile-system/platformprofile":                    {`"release": "monitoring"`, `"interval": "15s"`},
		"PrometheusRule platformprofile-system/platformprofile":                    {`"release": "monitoring"`, `"alert": "PlatformProfileNotConformant"`, `{{ $labels.profile }}`},
		"ClusterRoleBinding /platformprofile-metrics-reader":                       {`"name": "prometheus-k8s"`},
		"ConfigMap platformprofile-system/platformprofile-dashboard":               {`"grafana_dashboard": "yes"`},
		"PlatformComponent /acme-billing":                                          {`"acme/billing-server"`},
		"PlatformProfile /minimal":                                                 {`"capability": "cni"`},
		"ClusterRole /platformprofile-extra":                                       {`"billings"`, `"platformprofile.dev/aggregate-to-operator": "true"`},
	} {
		if objects[name] == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		for _, text := range want {
			if !strings.Contains(toJSON(objects[name]), text) {
				t.Errorf("%s does not contain %s:\n%s", name, text, toJSON(objects[name]))
			}
		}
	}
}

// TestBadValues tests that each mistake is refused, by a message that names the value.
func TestBadValues(t *testing.T) {
	for set, want := range map[string]string{
		"replicas=two":                             "replicas",
		"replica=3":                                "replica",
		"crds.enabled=sometimes":                   "crds",
		"crds.install=true":                        "install",
		"image.digest=sha256:abc":                  "digest",
		"image.pullPolicy=Sometimes":               "pullPolicy",
		"imagePullSecrets[0]=registry":             "imagePullSecrets",
		"resources.limits=null":                    "limits",
		"podDisruptionBudget.minAvailable=x":       "minAvailable",
		"networkPolicy.apiServerPorts[0]=0":        "apiServerPorts",
		"gate.actions={Deny,Warn}":                 "gate",
		"gate.actions={Refuse}":                    "gate",
		"gate.profiles={Production}":               "gate",
		"gate.profiles={}":                         "gate",
		"reports.enabled=sometimes":                "reports",
		"prometheus.readers[0].name=x":             "namespace",
		"prometheus.serviceMonitor.interval=often": "interval",
		"profiles.Minimal.layers=x":                "Minimal",
		"profiles.minimal.interval=10m":            "layers",
		"definitions.acme.layer=x":                 "signals",
		"podLabels.app\\.kubernetes\\.io/name=x":   "app.kubernetes.io/name",
		"readerRules[0].apiGroups[0]=,readerRules[0].resources[0]=secrets,readerRules[0].verbs[0]=get":            "resources",
		"readerRules[0].apiGroups[0]=apps,readerRules[0].resources[0]=deployments,readerRules[0].verbs[0]=delete": "verbs",
	} {
		_, errOut, err := helm("template", "x", chart, "--set", set)
		if err == nil {
			t.Errorf("%s is accepted", set)
		} else if !strings.Contains(errOut, want) || !strings.Contains(errOut, "values don't meet the specifications of the schema") {
			t.Errorf("%s: the message does not name %s: %s", set, want, errOut)
		}
	}
}

// TestOneProfileForSeveralEnvironments tests that the overlays and the values of the samples yield a valid profile for each environment,
// with its own ranges and severities.
func TestOneProfileForSeveralEnvironments(t *testing.T) {
	folder := filepath.Join(cluster.Root(), "config", "samples", "environments")
	profileOf := func(objects []*unstructured.Unstructured) *unstructured.Unstructured {
		i := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "PlatformProfile" })
		if i < 0 {
			t.Fatal("no profile is rendered")
		}
		return objects[i]
	}
	values := func(environment string) *unstructured.Unstructured {
		return profileOf(renderChart(t, "-f", filepath.Join(folder, "helm", "values.yaml"),
			"-f", filepath.Join(folder, "helm", "values-"+environment+".yaml")))
	}
	for name, test := range map[string]struct {
		profile           *unstructured.Unstructured
		versions, backups string
	}{
		"Kustomize, development": {profileOf(kustomize(t, "samples/environments/development")), ">=1.18", "Recommended"},
		"Kustomize, staging":     {profileOf(kustomize(t, "samples/environments/staging")), ">=1.17", "Required"},
		"Kustomize, production":  {profileOf(kustomize(t, "samples/environments/production")), ">=1.17 <1.19", "Required"},
		"chart, development":     {values("development"), ">=1.18", "Recommended"},
		"chart, production":      {values("production"), ">=1.17 <1.19", "Required"},
	} {
		if err := profiles.Validate(test.profile); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := map[string]string{}
		layers, _, _ := unstructured.NestedSlice(test.profile.Object, "spec", "layers")
		for _, layer := range layers {
			requirements, _, _ := unstructured.NestedSlice(layer.(map[string]any), "requirements")
			for _, item := range requirements {
				requirement := item.(map[string]any)
				severity, _ := requirement["severity"].(string)
				got[requirement["name"].(string)] = severity
				if anyOf, ok := requirement["anyOf"].([]any); ok && requirement["name"] == "cni" {
					got["range"], _ = anyOf[0].(map[string]any)["version"].(string)
				}
			}
		}
		if got["range"] != test.versions || got["backup"] != test.backups {
			t.Errorf("%s: the range of the CNI is %q and backups are %q, want %q and %q", name, got["range"], got["backup"],
				test.versions, test.backups)
		}
	}
}
