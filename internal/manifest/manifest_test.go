package manifest

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

const head = "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: p}\nspec:\n"

// newProfileText returns a profile with one requirement.
func newProfileText(requirement string) string {
	return head + "  layers: [{name: network, requirements: [{name: it, " + requirement + "}]}]\n"
}

func TestProfileDefaults(t *testing.T) {
	profiles, err := Profiles(strings.NewReader("# a remark\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\n" +
		newProfileText("capability: cni") + "status: {score: lies}\n---\n" +
		strings.Replace(newProfileText("capability: cni, severity: Recommended"), "name: p", "name: q", 1)))
	if err != nil || len(profiles) != 2 || profiles[1].Name != "q" {
		t.Fatal(profiles, err)
	}
	spec := profiles[0].Spec
	if spec.Interval.Duration != 10*time.Minute || spec.GracePeriod.Duration != 0 || spec.Undeclared != v1alpha1.UndeclaredIgnore {
		t.Errorf("interval %s, gracePeriod %s, undeclared %s", spec.Interval.Duration, spec.GracePeriod.Duration, spec.Undeclared)
	}
	r := spec.Layers[0].Requirements[0]
	if r.Severity != v1alpha1.SeverityRequired || r.Presence != "" || r.Health != "" || r.Exclusive {
		t.Errorf("%+v", r)
	}
	if got := profiles[1].Spec.Layers[0].Requirements[0].Severity; got != v1alpha1.SeverityRecommended {
		t.Errorf("the default replaces a value: %s", got)
	}
	if profiles[0].Status.Score != "" {
		t.Error("the status is not removed")
	}
}

func TestInvalidProfiles(t *testing.T) {
	const check = "rule: {resource: {group: %, resource: #}, expression: 'true', message: m}"
	resource := func(group, name string) string {
		return strings.NewReplacer("%", "'"+group+"'", "#", name).Replace(check)
	}
	for name, test := range map[string]struct{ text, path, want string }{
		"two of capability, anyOf, check, attested": {newProfileText("capability: cni, anyOf: [{component: cilium}]"), "spec.layers[0].requirements[0]", "exactly one of 'capability', 'anyOf', 'rule' and 'attestation'"},
		"none of them":                      {newProfileText("severity: Required"), "spec.layers[0].requirements[0]", "exactly one of"},
		"exclusive with an attestation":     {newProfileText("exclusive: true, attestation: {by: me, reason: so}"), "spec.layers[0].requirements[0]", "belong to 'capability' and 'anyOf'"},
		"exclusive and absent":              {newProfileText("exclusive: true, presence: Absent, capability: cni"), "spec.layers[0].requirements[0]", "cannot be combined with 'presence: Absent'"},
		"checks of a capability":            {newProfileText("capability: cni, checks: [{name: x}]"), "spec.layers[0].requirements[0]", "name the component under 'anyOf'"},
		"a check over Secrets":              {newProfileText(resource("", "secrets")), "spec.layers[0].requirements[0].rule.resource", "Secrets are never read"},
		"a check over pods":                 {newProfileText(resource("", "pods")), "spec.layers[0].requirements[0].rule.resource", "check the workload that owns the pods instead"},
		"a check over events":               {newProfileText(resource("events.k8s.io", "events")), "spec.layers[0].requirements[0].rule.resource", "never watched"},
		"a check over a kind":               {newProfileText(resource("apps", "Deployment")), "spec.layers[0].requirements[0].rule.resource.resource", "plural, lower case name"},
		"a check over a subresource":        {newProfileText(resource("", "nodes/proxy")), "spec.layers[0].requirements[0].rule.resource.resource", "without a subresource"},
		"a check without its message":       {newProfileText("rule: {resource: {resource: nodes}, expression: 'true'}"), "spec.layers[0].requirements[0].rule.message", "Required"},
		"a rule of no resource":             {newProfileText("rule: {expression: 'true', message: m}"), "spec.layers[0].requirements[0].rule", "exactly one of 'resource' and 'resources'"},
		"a rule of two forms of resource":   {newProfileText("rule: {resource: {resource: nodes}, resources: [{resource: nodes}, {resource: services}], expression: 'true', message: m}"), "spec.layers[0].requirements[0].rule", "exactly one of 'resource' and 'resources'"},
		"a rule without an expression":      {newProfileText("rule: {resource: {resource: nodes}, message: m}"), "spec.layers[0].requirements[0].rule", "exactly one of 'expression', which is evaluated on each object, and 'listExpression'"},
		"a rule with both expressions":      {newProfileText("rule: {resource: {resource: nodes}, expression: 'true', listExpression: 'true', message: m}"), "spec.layers[0].requirements[0].rule", "exactly one of 'expression'"},
		"a list rule that counts":           {newProfileText("rule: {resource: {resource: nodes}, listExpression: 'true', require: Any, message: m}"), "spec.layers[0].requirements[0].rule", "'require', 'minPercent' and 'whenEmpty' apply to 'expression'"},
		"a share of any":                    {newProfileText("rule: {resource: {resource: nodes}, expression: 'true', require: Any, minPercent: 50, message: m}"), "spec.layers[0].requirements[0].rule", "'minPercent' can only be combined with 'require: All'"},
		"a share of more than all":          {newProfileText("rule: {resource: {resource: nodes}, expression: 'true', minPercent: 101, message: m}"), "spec.layers[0].requirements[0].rule.minPercent", "less than or equal to 100"},
		"a quantifier that there is not":    {newProfileText("rule: {resource: {resource: nodes}, expression: 'true', require: None, message: m}"), "spec.layers[0].requirements[0].rule.require", `"All", "Any", "ExactlyOne"`},
		"a variable with an odd name":       {newProfileText("rule: {resource: {resource: nodes}, variables: [{name: Ready-1, expression: 'true'}], expression: 'true', message: m}"), "spec.layers[0].requirements[0].rule.variables[0].name", "must begin with a lower case letter"},
		"two variables of one name":         {newProfileText("rule: {resource: {resource: nodes}, variables: [{name: a, expression: 'true'}, {name: a, expression: 'true'}], expression: 'true', message: m}"), "spec.layers[0].requirements[0].rule.variables[1]", "Duplicate value"},
		"a share from a parameter":          {newProfileText("rule: {resource: {resource: nodes}, expression: 'true', minPercentFrom: x, message: m}"), "spec.layers[0].requirements[0].rule.minPercentFrom", "correct the spelling, or remove it"},
		"an attestation without its reason": {newProfileText("attestation: {by: me}"), "spec.layers[0].requirements[0].attestation.reason", "Required"},
		"an attestation with an odd url":    {newProfileText("attestation: {by: me, reason: so, url: 'javascript:x'}"), "spec.layers[0].requirements[0].attestation.url", "url must begin with https://"},
		"an attestation with an odd date":   {newProfileText("attestation: {by: me, reason: so, expires: tomorrow}"), "spec.layers[0].requirements[0].attestation.expires", "date-time"},
		"a severity that there is not":      {newProfileText("capability: cni, severity: Urgent"), "spec.layers[0].requirements[0].severity", `"Required", "Recommended"`},
		"a component named twice":           {newProfileText("anyOf: [{component: cilium}, {component: cilium}]"), "spec.layers[0].requirements[0].anyOf[1]", "Duplicate value"},
		"an empty list of components":       {newProfileText("anyOf: []"), "spec.layers[0].requirements[0].anyOf", "at least 1"},
		"a layer's name in upper case":      {strings.Replace(newProfileText("capability: cni"), "name: network", "name: Network", 1), "spec.layers[0].name", "for example 'service-mesh'"},
		"a requirement's name with a space": {strings.Replace(newProfileText("capability: cni"), "name: it", "name: it is", 1), "spec.layers[0].requirements[0].name", "for example 'runtime-security'"},
		"two layers of one name":            {head + "  layers: [{name: a, requirements: [{name: x, capability: cni}]}, {name: a, requirements: [{name: x, capability: cni}]}]", "spec.layers[1]", "Duplicate value"},
		"two requirements of one name":      {head + "  layers: [{name: a, requirements: [{name: x, capability: cni}, {name: x, capability: dns}]}]", "spec.layers[0].requirements[1]", "Duplicate value"},
		"a layer without requirements":      {head + "  layers: [{name: a, requirements: []}]", "spec.layers[0].requirements", "at least 1"},
		"no layers":                         {head + "  suspend: false", "spec.layers", "Required"},
		"an interval that is too small":     {strings.Replace(newProfileText("capability: cni"), "spec:\n", "spec:\n  interval: 1s\n", 1), "spec.interval", "between 10s and 24h"},
		"a grace period that never ends":    {strings.Replace(newProfileText("capability: cni"), "spec:\n", "spec:\n  gracePeriod: 48h\n", 1), "spec.gracePeriod", "between 0s and 24h"},
		"an unknown policy":                 {strings.Replace(newProfileText("capability: cni"), "spec:\n", "spec:\n  undeclared: Delete\n", 1), "spec.undeclared", `"Ignore", "Report", "Forbid"`},
		"a field that there is not":         {newProfileText("capability: cni, rangee: x"), "spec.layers[0].requirements[0].rangee", "correct the spelling, or remove it"},
		"a number where text belongs":       {newProfileText("capability: 7"), "spec.layers[0].requirements[0].capability", "must be of type string"},
		"no name":                           {strings.Replace(newProfileText("capability: cni"), "{name: p}", "{}", 1), "metadata.name", "give the object a name"},
		"text that is no YAML":              {"a: [", "document 1", ""},
		"another kind":                      {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: p}\n", "", "no PlatformProfile of platformprofile.dev/v1alpha1"},
		"another version":                   {strings.Replace(newProfileText("capability: cni"), "v1alpha1", "v9", 1), "", "no PlatformProfile"},
		"nothing":                           {"", "", "no PlatformProfile"},
	} {
		t.Run(name, func(t *testing.T) {
			profiles, err := Profiles(strings.NewReader(test.text))
			if err == nil {
				t.Fatalf("no error for %+v", profiles[0].Spec)
			}
			if !strings.Contains(err.Error(), test.path) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, want %q and %q", err, test.path, test.want)
			}
		})
	}
}

func TestErrorNamesDocumentAndProfile(t *testing.T) {
	_, err := Profiles(strings.NewReader(newProfileText("capability: cni") + "---\n" +
		strings.Replace(newProfileText("presence: Absent"), "name: p", "name: q", 1)))
	if err == nil || !strings.HasPrefix(err.Error(), `document 2, PlatformProfile "q": `) {
		t.Errorf("got %v", err)
	}
}

func TestDefinitions(t *testing.T) {
	definition := func(name, spec string) *unstructured.Unstructured {
		u := &unstructured.Unstructured{}
		if err := Decode([]byte("apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformComponent\nmetadata: {name: "+name+"}\nspec: {layer: x, "+spec+"}"), &u.Object); err != nil {
			t.Fatal(err)
		}
		return u
	}
	good := definition("x", "signals: {workloads: [{images: [a/b]}], crds: [{name: a.dev}], nodes: [{containerRuntime: x}]}, checks: [{name: a, parameters: [{name: p}], resource: {resource: nodes}, expression: 'true', message: m}]")
	if err := Validate(good); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"workloads": "Proof", "crds": "Support", "nodes": "Proof"} {
		signals, _, _ := unstructured.NestedSlice(good.Object, "spec", "signals", path)
		if got := signals[0].(map[string]any)["role"]; got != want {
			t.Errorf("signals of %s are %v, want %s by default", path, got, want)
		}
	}
	for name, test := range map[string]struct {
		object *unstructured.Unstructured
		want   string
	}{
		"no signal":                {definition("x", "signals: {}"), "signals must contain at least one signal"},
		"an empty workload":        {definition("x", "signals: {workloads: [{kinds: [DaemonSet]}]}"), "would match every workload"},
		"an empty node":            {definition("x", "signals: {nodes: [{role: Proof}]}"), "a node signal must set at least one of"},
		"a kind that is not":       {definition("x", "signals: {workloads: [{kinds: [Job], images: [a/b]}]}"), `"Deployment", "DaemonSet", "StatefulSet"`},
		"an expression elsewhere":  {definition("x", "signals: {workloads: [{images: [a/b]}]}, version: [{from: ImageTag, resource: {resource: nodes}, expression: x}]"), "'from: Expression' requires 'resource' and 'expression'|spec.version[0]"},
		"an expression alone":      {definition("x", "signals: {workloads: [{images: [a/b]}]}, version: [{from: ImageTag, expression: x}]"), "'from: Expression' requires 'resource' and 'expression'|spec.version[0]"},
		"a resource alone":         {definition("x", "signals: {workloads: [{images: [a/b]}]}, version: [{from: ImageTag, resource: {resource: nodes}}]"), "'from: Expression' requires 'resource' and 'expression'|spec.version[0]"},
		"a share of two places":    {definition("x", "signals: {workloads: [{images: [a/b]}]}, checks: [{name: a, parameters: [{name: p, type: Integer}], minPercentFrom: p, minPercent: 3, resource: {resource: nodes}, expression: 'true', message: m}]"), "'minPercentFrom' replaces 'minPercent'"},
		"an expression of nothing": {definition("x", "signals: {workloads: [{images: [a/b]}]}, version: [{from: Expression, expression: x}]"), "'from: Expression' requires 'resource' and 'expression'"},
		"rules over Secrets":       {definition("x", "signals: {workloads: [{images: [a/b]}]}, health: {rules: [{name: a, resource: {resource: secrets}, expression: 'true', message: m}]}"), "Secrets are never read"},
		"two checks of one name":   {definition("x", "signals: {workloads: [{images: [a/b]}]}, checks: [{name: a, resource: {resource: nodes}, expression: 'true', message: m}, {name: a, resource: {resource: nodes}, expression: 'true', message: m}]"), "Duplicate value"},
		"a name with dots":         {definition("a.b", "signals: {workloads: [{images: [a/b]}]}"), "lower case letters, digits and dashes"},
		"a field that is not":      {definition("x", "signals: {workload: [{images: [a/b]}]}"), "unknown field spec.signals.workload"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Validate(test.object)
			if err == nil {
				t.Fatal("no error")
			}
			for want := range strings.SplitSeq(test.want, "|") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q", err, want)
				}
			}
		})
	}
	if err := Validate(&unstructured.Unstructured{Object: map[string]any{"kind": "Pod"}}); err == nil ||
		!strings.Contains(err.Error(), "Pod is not a kind of") {
		t.Errorf("got %v", err)
	}
}
