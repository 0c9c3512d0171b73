// Package api tests what needs only an API server: the schema of all kinds, and the reconcilers.
//
// What the API server rejects, with which message, and what it defaults is compared with the command line, which must agree.
package api

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/test/cluster"
)

var env *cluster.Cluster

func TestMain(m *testing.M) {
	cluster.Main(m, []string{"--without", "kwok", "--without", "controllers", "--without", "scheduler"},
		func(_ context.Context, c *cluster.Cluster) error {
			env = c
			return nil
		})
}

const profileHead = "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: bad}\nspec:\n"

// requirement is a profile with one requirement.
func requirement(fields string) string {
	return profileHead + "  layers:\n  - name: network\n    requirements:\n    - {name: cni, " + fields + "}\n"
}

// tooMany is a profile with more requirements than its status could hold.
func tooMany() string {
	text := profileHead + "  layers:\n"
	for layer := range 6 {
		text += fmt.Sprintf("  - name: layer-%d\n    requirements:\n", layer)
		for r := range 50 {
			text += fmt.Sprintf("    - {name: r%d, capability: cni}\n", r)
		}
	}
	return text
}

// waiver is a PlatformWaiver with a line replaced.
func waiver(from, to string) string {
	const valid = "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformWaiver\nmetadata: {name: later}\nspec:\n" +
		"  profile: production\n  requirement: network/cni\n  verdicts: [Missing]\n  reason: it comes\n  by: us\n  expires: \"2027-01-31T00:00:00Z\"\n"
	return strings.Replace(valid, from, to, 1)
}

const definitionHead = "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformComponent\nmetadata: {name: bad}\nspec:\n  layer: network\n"

// TestRefused validates bad manifests with the API server and with the command line. Both must refuse with the message that
// names what to change.
func TestRefused(t *testing.T) {
	check := func(resource string) string {
		return requirement("rule: {resource: " + resource + ", expression: 'true', message: m}")
	}
	for name, test := range map[string]struct{ manifest, want string }{
		"two ways to ask":                {requirement("capability: cni, anyOf: [{component: cilium}]"), "exactly one of 'capability', 'anyOf', 'rule' and 'attestation'"},
		"no way to ask":                  {requirement("severity: Required"), "exactly one of 'capability', 'anyOf', 'rule' and 'attestation'"},
		"a check that is exclusive":      {requirement("exclusive: true, rule: {resource: {resource: nodes}, expression: 'true', message: m}"), "belong to 'capability' and 'anyOf'"},
		"absent and exclusive":           {requirement("capability: cni, presence: Absent, exclusive: true"), "cannot be combined with 'presence: Absent'"},
		"checks of a capability":         {requirement("capability: cni, checks: [{name: x}]"), "name the component under 'anyOf'"},
		"a check over Secrets":           {check("{resource: secrets}"), "Secrets are never read"},
		"a check over pods":              {check("{resource: pods}"), "never watched cluster-wide"},
		"a check over events":            {check("{group: events.k8s.io, resource: events}"), "never watched cluster-wide"},
		"a check over a kind":            {check("{resource: StorageClass}"), "plural, lower case name"},
		"a subresource":                  {check("{resource: pods/log}"), "without a subresource"},
		"no layers":                      {profileHead + "  layers: []\n", "spec.layers"},
		"a layer in capitals":            {strings.Replace(requirement("capability: cni"), "network", "Network", 1), "lower case letters, digits and single dashes"},
		"too many requirements":          {tooMany(), "at most 256 requirements"},
		"the same layer twice":           {profileHead + "  layers:\n  - {name: a, requirements: [{name: x, capability: cni}]}\n  - {name: a, requirements: [{name: x, capability: cni}]}\n", "Duplicate value"},
		"the same requirement twice":     {profileHead + "  layers:\n  - {name: a, requirements: [{name: x, capability: cni}, {name: x, capability: cni}]}\n", "Duplicate value"},
		"the same component twice":       {requirement("anyOf: [{component: cilium}, {component: cilium}]"), "Duplicate value"},
		"an interval of a second":        {strings.Replace(requirement("capability: cni"), "  layers:", "  interval: 1s\n  layers:", 1), "between 10s and 24h"},
		"a grace of a week":              {strings.Replace(requirement("capability: cni"), "  layers:", "  gracePeriod: 168h\n  layers:", 1), "between 0s and 24h"},
		"a severity that is none":        {requirement("capability: cni, severity: Optional"), "Unsupported value"},
		"a field that is none":           {requirement("capability: cni, versions: '>=1'"), "versions"},
		"an attestation with a bad link": {requirement("attestation: {by: me, reason: r, url: 'javascript:alert(1)'}"), "https:// or http://"},
		"a rule of no resource":          {requirement("rule: {expression: 'true', message: m}"), "exactly one of 'resource' and 'resources'"},
		"a rule of two expressions":      {requirement("rule: {resource: {resource: nodes}, expression: 'true', listExpression: 'true', message: m}"), "exactly one of 'expression', which is evaluated on each object, and 'listExpression'"},
		"a list rule that counts":        {requirement("rule: {resource: {resource: nodes}, listExpression: 'true', minPercent: 50, message: m}"), "apply to 'expression': remove them from a rule with 'listExpression'"},
		"a share of any":                 {requirement("rule: {resource: {resource: nodes}, expression: 'true', require: Any, minPercent: 50, message: m}"), "remove it, or use 'require: All'"},
		"a related Secret":               {requirement("rule: {resource: {resource: nodes}, related: [{name: s, resource: {resource: secrets}}], expression: 'true', message: m}"), "Secrets are never read"},
		"one of several is Secrets":      {requirement("rule: {resources: [{resource: nodes}, {resource: secrets}], expression: 'true', message: m}"), "Secrets are never read"},
		"a variable with an odd name":    {requirement("rule: {resource: {resource: nodes}, variables: [{name: A-b, expression: '1'}], expression: 'true', message: m}"), "begin with a lower case letter"},
		"a definition without signals":   {definitionHead + "  signals: {}\n", "at least one signal"},
		"a workload signal of nothing":   {definitionHead + "  signals: {workloads: [{kinds: [Deployment]}]}\n", "would match every workload"},
		"a node signal of nothing":       {definitionHead + "  signals: {nodes: [{role: Proof}]}\n", "a node signal must set at least one of"},
		"an expression without resource": {definitionHead + "  signals: {workloads: [{images: [a/b]}]}\n  version: [{from: Expression, expression: \"''\"}]\n", "'from: Expression' requires 'resource' and 'expression'"},
		"health over Secrets":            {definitionHead + "  signals: {workloads: [{images: [a/b]}]}\n  health: {rules: [{name: r, resource: {resource: secrets}, expression: 'true', message: m}]}\n", "Secrets are never read"},
		"a waiver without an end":        {waiver("  expires: \"2027-01-31T00:00:00Z\"\n", ""), "expires"},
		"a waiver of Unknown":            {waiver("[Missing]", "[Unknown]"), "only failing verdicts can be waived"},
		"a waiver of no verdict":         {waiver("[Missing]", "[]"), "spec.verdicts"},
		"a waiver of a layer":            {waiver("network/cni", "network"), "write the requirement as LAYER/NAME"},
		"versions of no component":       {waiver("  by:", "  versions: \"<1\"\n  by:"), "name it in 'component'"},
		"a waiver with a bad link":       {waiver("  by:", "  url: javascript:alert(1)\n  by:"), "https:// or http://"},
		"a waiver without a reason":      {waiver("  reason: it comes\n", ""), "reason"},
		"a definition with dots in name": {strings.Replace(definitionHead, "name: bad", "name: bad.name", 1) + "  signals: {workloads: [{images: [a/b]}]}\n", "at most 63 lower case letters"},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := cluster.Parse([]byte(test.manifest))
			cluster.Must(t, err)
			// Strict, as kubectl sends it: an unknown field is refused.
			err = env.Client.Create(context.Background(), objects[0].DeepCopy(), client.FieldValidation("Strict"))
			if err == nil {
				t.Error("the API server accepts it")
				_ = env.Client.Delete(context.Background(), objects[0])
			} else if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error of the API server does not contain %q: %v", test.want, err)
			}
			err = manifest.Validate(objects[0].DeepCopy())
			if err == nil {
				t.Error("the command line accepts it")
			} else if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error of the command line does not contain %q: %v", test.want, err)
			}
		})
	}
}

// TestWaiversEnd asserts that the end of a waiver can be brought forward and not put off.
func TestWaiversEnd(t *testing.T) {
	ctx := context.Background()
	objects, err := cluster.Parse([]byte(waiver("", "")))
	cluster.Must(t, err)
	cluster.Must(t, env.Client.Create(ctx, objects[0]))
	t.Cleanup(func() { cluster.Must(t, env.Client.Delete(ctx, objects[0])) })
	move := func(end string) error {
		object := objects[0].DeepCopy()
		cluster.Must(t, unstructured.SetNestedField(object.Object, end, "spec", "expires"))
		err := env.Client.Update(ctx, object)
		if err == nil {
			objects[0] = object
		}
		return err
	}
	cluster.Must(t, move("2027-01-30T00:00:00Z"))
	if err := move("2027-01-30T00:00:01Z"); err == nil || !strings.Contains(err.Error(), "a waiver cannot be extended") {
		t.Errorf("the waiver is extended: %v", err)
	}
}

// TestSamples applies the samples, and asserts that the API server and the command line fill in the same defaults.
func TestSamples(t *testing.T) {
	ctx := context.Background()
	objects, err := cluster.Objects(filepath.Join(cluster.Root(), "config", "samples"))
	cluster.Must(t, err)
	for _, object := range objects {
		if err := env.Client.Create(ctx, object, client.FieldValidation("Strict")); err != nil {
			t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
	served := &v1alpha1.PlatformProfile{}
	cluster.Must(t, env.Client.Get(ctx, types.NamespacedName{Name: "production"}, served))
	data, err := os.ReadFile(filepath.Join(cluster.Root(), "config", "samples", "production.yaml"))
	cluster.Must(t, err)
	read, err := manifest.Profiles(bytes.NewReader(data))
	cluster.Must(t, err)
	for _, profile := range []*v1alpha1.PlatformProfile{served, read[0]} {
		runtime := profile.Spec.Layers[1].Requirements[0] // without a severity of its own
		if profile.Spec.Interval == nil || profile.Spec.Interval.Duration != 10*time.Minute || runtime.Severity != v1alpha1.SeverityRequired {
			t.Errorf("defaults are missing: %+v", profile.Spec)
		}
	}
}

// TestStoredMembersHoldNoDefaultsOfOthers asserts that the API server writes into a requirement no default of a member that
// the requirement does not use.
func TestStoredMembersHoldNoDefaultsOfOthers(t *testing.T) {
	ctx := context.Background()
	for name, test := range map[string]struct {
		member string
		want   []string
	}{
		"attestation": {"attestation: {by: me, reason: r}", []string{"attestation", "name", "severity"}},
		"rule":        {"rule: {resource: {resource: nodes}, expression: 'true', message: m}", []string{"name", "rule", "severity"}},
		"capability":  {"capability: cni", []string{"capability", "name", "severity"}},
	} {
		objects, err := cluster.Parse([]byte(strings.Replace(requirement(test.member), "name: bad", "name: stored-"+name, 1)))
		cluster.Must(t, err)
		cluster.Must(t, env.Client.Create(ctx, objects[0]))
		layers, _, _ := unstructured.NestedSlice(objects[0].Object, "spec", "layers")
		stored := layers[0].(map[string]any)["requirements"].([]any)[0].(map[string]any)
		if got := slices.Sorted(maps.Keys(stored)); !slices.Equal(got, test.want) {
			t.Errorf("%s is stored with %v, want %v", name, got, test.want)
		}
		if stored["rule"] != nil && len(stored["rule"].(map[string]any)) != 3 {
			t.Errorf("the rule is stored as %v", stored["rule"])
		}
	}
}

// TestKubectl asserts what kubectl prints: documentation, names, columns.
func TestKubectl(t *testing.T) {
	ctx := context.Background()
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "PlatformProfile",
		"metadata":   map[string]any{"name": "printed"},
		"spec": map[string]any{
			"layers": []any{map[string]any{"name": "network", "requirements": []any{map[string]any{"name": "cni", "capability": "cni"}}}},
		},
	}}
	cluster.Must(t, env.Client.Create(ctx, object))
	for args, want := range map[string]string{
		"explain platformprofile.spec.layers.requirements.exclusive":       "more than one implementation is installed",
		"explain platformprofile.spec.gracePeriod":                         "Verdicts change at once",
		"explain platformprofile.status.layers.requirements.verdict":       "ENUM",
		"explain platformcomponent.spec.signals.workloads.images":          "path boundary",
		"get pprofile printed":                                             "CONFORMANT   SCORE   REASON   AGE",
		"get pprofile printed -o wide":                                     "SUSPENDED",
		"get platform":                                                     "platformprofile.platformprofile.dev/printed",
		"get pcomponent":                                                   "",
		"api-resources --namespaced=false --api-group=platformprofile.dev": "pprofile",
	} {
		out, err := env.Kubectl(ctx, strings.Fields(args)...)
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("kubectl %s: %v: the output does not contain %q:\n%s", args, err, want, out)
		}
	}
}
