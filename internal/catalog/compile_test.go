package catalog

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// parseDefinition returns a definition with a spec in YAML.
func parseDefinition(t testing.TB, name, spec string) *v1alpha1.PlatformComponent {
	t.Helper()
	d := &v1alpha1.PlatformComponent{}
	text := "metadata: {name: " + name + "}\nspec:\n  layer: network\n  " + strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ")
	if err := yaml.UnmarshalStrict([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	return d
}

func compileComponent(t testing.TB, name, spec string) *Component {
	t.Helper()
	component, errs := Compile(parseDefinition(t, name, spec))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	return component
}

func TestCompileErrors(t *testing.T) {
	const signals = "signals: {workloads: [{images: [example/x]}]}\n"
	for name, test := range map[string]struct{ spec, path, message string }{
		"a tag in an image":            {"signals: {workloads: [{images: [example/ok, 'example/x:v1']}]}", "spec.signals.workloads[0].images[1]", "without a tag or digest"},
		"a digest in an image":         {"signals: {workloads: [{images: ['example/x@sha256:aa']}]}", "spec.signals.workloads[0].images[0]", "without a tag or digest"},
		"a wildcard in an image":       {"signals: {workloads: [{images: ['example/*']}]}", "spec.signals.workloads[0].images[0]", "name the end of the repository path"},
		"an image that cannot be":      {"signals: {workloads: [{images: ['Example/X']}]}", "spec.signals.workloads[0].images[0]", "can never match"},
		"an image that anybody has":    {"signals: {workloads: [{images: [controller]}]}", "spec.signals.workloads[0].images[0]", "'example/controller'"},
		"a label of any value":         {"signals: {workloads: [{labels: {app: '*'}}]}", "spec.signals.workloads[0]", "give a label a value, or add images or names"},
		"a common label of any value":  {"signals: {workloads: [{labels: {app.kubernetes.io/name: '*'}}]}", "spec.signals.workloads[0]", "give a label a value"},
		"a workload signal of nothing": {"signals: {workloads: [{kinds: [DaemonSet]}]}", "spec.signals.workloads[0]", "add images or names"},
		"a label that cannot be":       {"signals: {workloads: [{labels: {'a b': x}}]}", "spec.signals.workloads[0].labels[a b]", "can never match"},
		"a label's value that cannot":  {"signals: {workloads: [{labels: {app: 'a b'}}]}", "spec.signals.workloads[0].labels[app]", "can never match"},
		"a name that cannot be":        {"signals: {workloads: [{names: [My_App]}]}", "spec.signals.workloads[0].names[0]", "can never match"},
		"a node pattern of everything": {"signals: {nodes: [{osImage: '.*'}]}", "spec.signals.nodes[0].osImage", "matches the empty text, and therefore everything"},
		"a node pattern that is none":  {"signals: {nodes: [{kubeletVersion: '[+k3s'}]}", "spec.signals.nodes[0].kubeletVersion", "not a regular expression"},
		"a node label of any value":    {"signals: {nodes: [{labels: {kubernetes.io/hostname: '*'}}]}", "spec.signals.nodes[0].labels", "every node has this label"},
		"a CRD without its group":      {"signals: {crds: [{name: widgets, role: Proof}]}", "spec.signals.crds[0].name", "name the group of the CRD ('metallb.io')"},
		"CRDs that many install":       {"signals: {crds: [{name: gateway.networking.k8s.io, role: Proof}]}", "spec.signals.crds[0].name", "installed by many products"},
		"a wildcard in a CRD":          {"signals: {crds: [{name: '*.example.com', role: Proof}]}", "spec.signals.crds[0].name", "can never match here"},
		"a provisioner of anybody":     {"signals: {storageProvisioners: [{name: '*.csi.com', role: Proof}]}", "spec.signals.storageProvisioners[0].name", "'*.rbd.csi.ceph.com'"},
		"a star in the middle":         {"signals: {csiDrivers: [{name: 'a.*.csi.ceph.com', role: Proof}]}", "spec.signals.csiDrivers[0].name", "a star elsewhere can never match"},
		"a webhook without a dot":      {"signals: {webhooks: [{name: hook, role: Proof}]}", "spec.signals.webhooks[0].name", "after a dot"},
		"no signal at all":             {"signals: {}", "spec.signals", "name at least one signal"},
		"no signal that proves":        {"signals: {crds: [{name: example.com}]}", "spec.signals", "give one of them role: Proof"},
		"a version pattern that is no": {signals + "version: [{from: ImageTag}, {from: ImageTag, pattern: '('}]", "spec.version[1].pattern", "not a regular expression"},
		"a version without resource":   {signals + "version: [{from: Expression, expression: 'x'}]", "spec.version[0].resource", "needs the resource"},
		"a version that is no text":    {signals + "version: [{from: Expression, resource: {resource: nodes}, expression: 'object.items.size()'}]", "spec.version[0].expression", "must evaluate to string, not int"},
		"a health rule that is none":   {signals + "health: {rules: [{name: a, resource: {resource: nodes}, expression: 'true', message: m}, {name: b, resource: {resource: nodes}, expression: 'objekts', message: m}]}", "spec.health.rules[1].expression", "undeclared reference to 'objekts'"},
		"a check that is no bool":      {signals + "checks: [{name: a, resource: {resource: nodes}, expression: '1', message: m}]", "spec.checks[0].expression", "must evaluate to bool"},
		"a check that costs too much":  {signals + "checks: [{name: a, resource: {resource: nodes}, expression: 'object.a.all(a, object.a.all(b, object.a.all(c, object.a.all(d, object.a.all(e, a != b || c != d || d != e)))))', message: m}]", "spec.checks[0].expression", "costs too much"},
		"a default of another type":    {signals + "checks: [{name: a, parameters: [{name: n, type: Integer, default: many}], resource: {resource: nodes}, expression: 'true', message: m}]", "spec.checks[0].parameters[0].default", "a whole number, for example 3"},
		"a default that is no time":    {signals + "checks: [{name: a, parameters: [{name: n, type: Duration, default: '1 day'}], resource: {resource: nodes}, expression: 'true', message: m}]", "spec.checks[0].parameters[0].default", "a duration, for example 24h"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := Compile(parseDefinition(t, "x", test.spec))
			for _, err := range errs {
				if err.Field == test.path && strings.Contains(err.Error(), test.message) {
					if len(errs) > 1 {
						t.Errorf("there are %d errors: %v", len(errs), errs)
					}
					return
				}
			}
			t.Errorf("got %v; want %s with %q", errs, test.path, test.message)
		})
	}
}

func TestCompileAcceptsNarrowSignals(t *testing.T) {
	for name, signals := range map[string]string{
		"a common image with a label":             "workloads: [{images: [controller], labels: {app: metallb}}]",
		"a common image under an organisation":    "workloads: [{images: [metallb/controller]}]",
		"a product's own label of any value":      "workloads: [{labels: {vault_cr: '*'}}]",
		"a registry with a port":                  "workloads: [{images: ['registry.corp:5000/x/y']}]",
		"a node's label of any value beside more": "nodes: [{containerRuntime: x, labels: {kubernetes.io/hostname: '*'}}]",
	} {
		t.Run(name, func(t *testing.T) { compileComponent(t, "x", "signals: {"+signals+"}") })
	}
}

func TestErrorsQuoteShortExcerpts(t *testing.T) {
	_, errs := Compile(parseDefinition(t, "x", "signals: {workloads: [{images: [example/x]}]}\nchecks: [{name: a, resource: {resource: nodes}, expression: '"+strings.Repeat("x", 3000)+"', message: m}]"))
	if value, _ := errs[0].BadValue.(string); len(value) > 100 {
		t.Errorf("the error quotes %d bytes", len(value))
	}
}

func TestParseParameters(t *testing.T) {
	check := compileComponent(t, "x", `signals: {workloads: [{images: [example/x]}]}
checks:
- name: a
  parameters: [{name: age, type: Duration, default: 24h}, {name: least, type: Integer}, {name: class, default: fast}]
  resource: {resource: nodes}
  expression: "true"
  message: m`).Checks["a"]
	params, errs := check.ParseParameters(field.NewPath("p"), map[string]v1alpha1.ParameterValue{"least": "3", "class": "slow"})
	if len(errs) > 0 || params["age"] != 24*time.Hour || params["least"] != int64(3) || params["class"] != "slow" {
		t.Errorf("got %v, %v", params, errs)
	}
	_, errs = check.ParseParameters(field.NewPath("p"), map[string]v1alpha1.ParameterValue{"age": "soon", "agee": "1h"})
	text := errs.ToAggregate().Error()
	for _, want := range []string{"p[age]", "p[least]: Required", `"agee"`, `"class"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not contain %s", text, want)
		}
	}
}

func TestBuiltinDefinitionsCompile(t *testing.T) {
	components, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c := New(components...)
	for _, name := range []string{
		"cilium", "calico", "metallb", "ingress-nginx", "rook", "ceph", "velero", "argo-cd", "harbor", "prometheus", "grafana", "falco", "vault",
		"istio", "knative-serving", "containerd",
	} {
		component := c.Component(name)
		switch {
		case component == nil:
			t.Errorf("%s is not in the catalog", name)
		case !component.Builtin || len(component.Capabilities) == 0 || component.Remediation.Install == "" || component.Remediation.Docs == "" ||
			component.Homepage == "":
			t.Errorf("%s has no capability, homepage or remediation", name)
		}
	}
}
