package conformance

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// FuzzProfile evaluates arbitrary profiles on a cluster with hostile texts. Errors must name their field, texts must be single readable
// lines, the status must be far below the limit of the API server, and a second evaluation must not change it.
func FuzzProfile(f *testing.F) {
	const head = "{apiVersion: platformprofile.dev/v1alpha1, kind: PlatformProfile, metadata: {name: x}, spec: {layers: [{name: a, requirements: ["
	for _, text := range []string{
		"{name: b, capability: cni, exclusive: true}", "{name: b, anyOf: [{component: alpha, version: '>=1 <2'}, {component: beta}], checks: [{name: recent, parameters: {maxAge: 1h}}]}",
		"{name: b, anyOf: [{component: alpha}], presence: Absent}", "{name: b, anyOf: [{component: nobody, version: '<<<<<<&&&&&&'}]}",
		"{name: b, severity: Recommended, anyOf: [{component: beta}], health: Any}",
		"{name: b, rule: {resource: {resource: hostile}, listExpression: 'objects[0].text == \"\"', message: '<&>'}}", "{name: b, rule: {resource: {resource: hostile}, listExpression: 'objects[0][objects[0].text]', message: 'a\u202eb'}}",
		"{name: b, rule: {resource: {group: '', resource: hostile}, expression: '" + strings.Repeat("ä", 100) + "', message: 'ä'}}",
		"{name: b, attestation: {by: '\x1b[31m', reason: \"a\\nb\\u0000\", expires: 2020-01-01T00:00:00Z}}",
		"{name: b, rule: {resource: {resource: hostile}, listExpression: 'objects.all(p, objects.all(q, p == q))', message: m}}",
	} {
		f.Add([]byte(head + text + "]}]}}"))
	}
	var components []*catalog.Component
	for text := range strings.SplitSeq(testDefinitions, "\n---\n") {
		definition := &v1alpha1.PlatformComponent{}
		content := map[string]any{}
		if err := manifest.Decode([]byte(text), &content); err != nil {
			f.Fatal(err)
		}
		data, _ := json.Marshal(content)
		if err := json.Unmarshal(data, definition); err != nil {
			f.Fatal(err)
		}
		component, errs := catalog.Compile(definition)
		if len(errs) > 0 {
			f.Fatal(errs.ToAggregate())
		}
		components = append(components, component)
	}
	known := catalog.New(components...)
	hostile := strings.Repeat("<\u202e&\x1b[31m\n\"\x00]]>ä", 200)
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	i := inventory.New(known, func() time.Time { return now })
	for _, name := range []string{
		"deployments.apps", "daemonsets.apps", "statefulsets.apps", "customresourcedefinitions.apiextensions.k8s.io",
		"nodes",
	} {
		i.Source(name).Replace(nil)
	}
	i.Source("deployments.apps").Replace([]facts.Fact{
		&facts.Workload{
			Ref:        facts.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: hostile, Name: hostile},
			Containers: []facts.Container{{Name: "a", Image: facts.Image{Repository: "docker.io/example/alpha", Tag: "1.2.3"}}},
		},
		&facts.Workload{
			Ref:        facts.Ref{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "b", Name: "b"},
			Containers: []facts.Container{{Name: "a", Image: facts.Image{Repository: "docker.io/example/beta", Tag: hostile}}},
		},
	})
	i.Rules.Source(rule.Resource{Resource: "hostile"}).Replace(pruneObjects(f, map[string]any{"text": hostile}))
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		profiles, err := manifest.Profiles(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, profile := range profiles {
			compiled := Compile(&profile.Spec, known)
			i.Rules.SetInstances(compiled.Instances())
			i.Rules.Flush()
			snapshot := i.Snapshot()
			for _, err := range compiled.Errors {
				if !strings.HasPrefix(err.Field, "spec.layers[") || !utf8.ValidString(err.Error()) {
					t.Fatalf("the error does not name its field, or cannot be read: %q", err.Error())
				}
			}
			result := Evaluate(compiled, snapshot, &v1alpha1.PlatformProfileStatus{}, 1, now)
			stored, err := json.Marshal(result.Status)
			const most = 1536 << 10 // default limit of etcd
			if err != nil || len(stored) > most/2 {
				t.Fatalf("the status has %d bytes, %v", len(stored), err)
			}
			readAgain := v1alpha1.PlatformProfileStatus{}
			if err := json.Unmarshal(stored, &readAgain); err != nil {
				t.Fatal(err)
			}
			if again := Evaluate(compiled, snapshot, &readAgain, 1, now.Add(time.Second)); again.Changed {
				t.Fatalf("nothing changed, and it would be written again:\n%s\n%+v", stored, again.Status)
			}
			for _, layer := range readAgain.Layers {
				for _, r := range layer.Requirements {
					checkSingleLine(t, r.Message, maxText)
					checkSingleLine(t, r.Remediation, maxText)
					for _, e := range r.Evidence {
						checkSingleLine(t, e.Name+e.Namespace+e.Signal, maxText+maxSignal)
					}
				}
			}
			for _, c := range readAgain.Conditions {
				checkSingleLine(t, c.Message, maxCondition)
			}
		}
		if took := time.Since(start); took > time.Minute {
			t.Fatalf("%d bytes took %s", len(data), took)
		}
	})
}

func checkSingleLine(t *testing.T, text string, most int) {
	t.Helper()
	if len(text) > most || !utf8.ValidString(text) ||
		strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }) {
		t.Fatalf("%d bytes, or not one readable line: %q", len(text), text)
	}
}

// TestLargestProfile evaluates a profile and objects with texts of the maximum length, in characters that are long in JSON. The status
// must stay below half of the limit of the API server.
func TestLargestProfile(t *testing.T) {
	spec := &v1alpha1.PlatformProfileSpec{Undeclared: v1alpha1.UndeclaredForbid}
	worst := func(n int) string { return strings.Repeat("<", n) }
	var components []*catalog.Component
	for l := range 24 {
		layer := v1alpha1.Layer{Name: strings.Repeat("a", 46) + string(rune('a'+l)) + "x"}
		for r := range 256/24 + 1 {
			if l*(256/24+1)+r >= 256 {
				break
			}
			name := strings.Repeat("r", 61) + string(rune('a'+l)) + string(rune('a'+r))
			layer.Requirements = append(layer.Requirements,
				v1alpha1.Requirement{Name: name, AnyOf: []v1alpha1.ComponentChoice{{Component: name, Version: ">=9"}}})
			component, errs := catalog.Compile(&v1alpha1.PlatformComponent{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec: v1alpha1.PlatformComponentSpec{
					Layer: "x", DisplayName: worst(128), Signals: v1alpha1.Signals{Nodes: []v1alpha1.NodeSignal{{OSImage: "<"}}},
					Version:     []v1alpha1.VersionSource{{From: v1alpha1.VersionFromKubelet}},
					Remediation: &v1alpha1.Remediation{Install: worst(512), Degraded: worst(512)},
				},
			})
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			components = append(components, component)
		}
		spec.Layers = append(spec.Layers, layer)
	}
	known := catalog.New(components...)
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	i := inventory.New(known, func() time.Time { return now })
	var nodes []facts.Fact
	for n := range 8 {
		nodes = append(nodes, &facts.Node{
			Ref:     facts.Ref{APIVersion: "v1", Kind: "Node", Name: strings.Repeat("n", 252) + string(rune('a'+n))},
			Kubelet: "v1.2." + strings.Repeat("9", 12),
			OSImage: worst(100000),
		})
	}
	i.Source("nodes").Replace(nodes)
	compiled := Compile(spec, known)
	if len(compiled.Errors) > 0 {
		t.Fatal(compiled.Errors.ToAggregate())
	}
	var waivers []*v1alpha1.PlatformWaiver
	for _, name := range compiled.Names() {
		waivers = append(waivers, &v1alpha1.PlatformWaiver{
			ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("w", 253)},
			Spec: v1alpha1.PlatformWaiverSpec{
				Requirement: name, Verdicts: []v1alpha1.Verdict{v1alpha1.VerdictVersionMismatch}, Reason: worst(512), By: worst(128),
				URL: "https://" + worst(504), Expires: new(metav1.NewTime(now.Add(time.Hour))),
			},
		})
	}
	result := Evaluate(compiled, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, now, waivers...)
	if result.Status.Summary.Waived != 256 {
		t.Fatalf("not all requirements are waived: %+v", result.Status.Summary)
	}
	data, err := json.Marshal(result.Status)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(result.Status.Layers[0].Requirements[0].Evidence); got == 0 ||
		result.Status.Layers[0].Requirements[0].Verdict != v1alpha1.VerdictVersionMismatch {
		t.Fatalf("the largest profile is not what it should be: %+v", result.Status.Layers[0].Requirements[0])
	}
	const stored = 1536 << 10
	t.Logf("a status of %d KiB of the %d KiB that are stored", len(data)>>10, stored>>10)
	if len(data) > stored/2 {
		t.Errorf("the status has %d bytes", len(data))
	}
}
