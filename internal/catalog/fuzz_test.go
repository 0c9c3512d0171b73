package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/manifest"
)

// FuzzVersion checks that cleaning a version is idempotent, that the result can be parsed, and that a range from or to a version
// includes it.
func FuzzVersion(f *testing.F) {
	for _, text := range []string{
		"v1.18.2", "1.18.2-debian-12-r5", "2024.06.1", "distroless-v1.38.3", "1.17.0-rc.1", "1.2.3.4", "v3", "20200709",
		"1.2-rc.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1",
		"0.0.0", "999999.999999999999.999999999999", "1.36.5-gke.1000", "v1.37.2+k3s1", "1.2.3-RC1", "1.2-alpha-1", "1.2.3-rc.01", "१.२.३",
		"\xff1.2",
	} {
		f.Add(text, ">=1.16 <2")
	}
	f.Add("1.2.3", "~3.28 || ^1, !=4")
	f.Add("1.2.3", strings.Repeat("*", 128))
	f.Fuzz(func(t *testing.T, raw, wanted string) {
		if constraints, err := ParseRange(wanted); err == nil {
			version, ok := ParseVersion(CleanVersion(raw))
			if twice, err := ParseRange(wanted + " || " + wanted); ok && err == nil && twice.Check(version) != constraints.Check(version) {
				t.Fatal("a range and its union with itself differ")
			}
		}
		cleaned := CleanVersion(raw)
		if cleaned == "" {
			return
		}
		if len(cleaned) > maxVersion || !utf8.ValidString(cleaned) {
			t.Fatalf("%q is cleaned to %q", raw, cleaned)
		}
		if again := CleanVersion(cleaned); again != cleaned {
			t.Fatalf("%q is cleaned to %q, and that to %q", raw, cleaned, again)
		}
		version, ok := ParseVersion(cleaned)
		if !ok {
			t.Fatalf("%q is cleaned to %q, which cannot be parsed", raw, cleaned)
		}
		for _, text := range []string{">=", "<=", "="} {
			constraints, err := ParseRange(text + version.String())
			if err != nil || !constraints.Check(version) {
				t.Fatalf("%s is not %s itself: %v", version, text, err)
			}
		}
	})
}

// FuzzDefinition validates, compiles and matches a definition, as the operator does. Errors have the path of the field. Matches do not
// depend on the order of the components.
func FuzzDefinition(f *testing.F) {
	for _, name := range []string{"cilium", "velero", "containerd", "ceph", "k3s", "gateway-api"} {
		if data, err := definitionFiles.ReadFile("definitions/" + name + ".yaml"); err == nil {
			f.Add(data)
		}
	}
	const head = "{apiVersion: platformprofile.dev/v1alpha1, kind: PlatformComponent, metadata: {name: x}, spec: {layer: x, "
	for _, text := range []string{
		"signals: {workloads: [{images: ['a/b:1']}]}}}", "signals: {nodes: [{osImage: '(a*)*'}]}}}", "signals: {workloads: [{labels: {a: '*', b: c}, kinds: [DaemonSet], arguments: ['-x'], env: [A]}]}}}",
		"signals: {workloads: [{names: [web]}]}, health: {rules: [{name: a, resource: {resource: nodes}, expression: 'object.all(', message: m}]}}}",
		"signals: {crds: [{name: a.b, role: Proof}]}, version: [{from: Expression, resource: {resource: nodes}, expression: 'ääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääää'}]}}",
	} {
		f.Add([]byte(head + text))
	}
	builtin, err := Builtin()
	if err != nil {
		f.Fatal(err)
	}
	sampleFacts := []facts.Fact{
		&facts.Node{
			Ref:              facts.Ref{Kind: "Node", Name: "n"},
			ContainerRuntime: "containerd://2.1.4",
			Kubelet:          "v1.37.2+k3s1",
			OSImage:          "Talos (v1.9.1)",
			Labels:           facts.NewLabels(map[string]string{"a": "b", "x/y": "z"}),
		},
		&facts.Named{
			Ref:      facts.Ref{Kind: "CustomResourceDefinition", Name: "backups.velero.io"},
			NameKind: facts.CRDName,
			Values:   []string{"backups.velero.io"},
		},
		&facts.Named{
			Ref:      facts.Ref{Kind: "CSIDriver", Name: "x.rbd.csi.ceph.com"},
			NameKind: facts.CSIDriverName,
			Values:   []string{"x.rbd.csi.ceph.com"},
		},
		&facts.Workload{
			Ref:    facts.Ref{Kind: "DaemonSet", Namespace: "kube-system", Name: "web"},
			Labels: facts.NewLabels(map[string]string{"a": "b", "b": "c", "k8s-app": "cilium"}),
			Containers: []facts.Container{
				{
					Name:      "cilium-agent",
					Image:     facts.Image{Repository: "quay.io/cilium/cilium", Tag: "v1.18.2"},
					Arguments: []string{"-x"},
					Env:       []string{"A"},
				},
				{Name: "b", Image: facts.Image{Repository: "docker.io/a/b", Tag: "1"}},
			},
		},
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		object := &unstructured.Unstructured{}
		if manifest.Decode(data, &object.Object) != nil || object.GetKind() != "PlatformComponent" || manifest.Validate(object) != nil {
			return
		}
		definition := &v1alpha1.PlatformComponent{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, definition); err != nil {
			t.Fatalf("the schema accepts an object that cannot be decoded: %v", err)
		}
		component, errs := Compile(definition)
		for _, err := range errs {
			if !strings.HasPrefix(err.Field, "spec.") || err.Detail == "" || !utf8.ValidString(err.Error()) {
				t.Fatalf("the error has no field or detail: %q", err.Error())
			}
		}
		if len(errs) > 0 {
			return
		}
		all := append(slices.Clone(builtin), component)
		first := New(all...)
		slices.Reverse(all)
		// The component must remain the last with its name, because the last one wins.
		second := New(append(slices.DeleteFunc(all, func(c *Component) bool { return c.Name == component.Name }), component)...)
		for _, fact := range sampleFacts {
			if a, b := describeMatches(first.Match(fact)), describeMatches(second.Match(fact)); !slices.Equal(a, b) {
				t.Fatalf("%v matches %v, and in another order %v", fact.ObjectRef(), a, b)
			}
		}
		if written, err := yaml.Marshal(definition); err != nil || len(written) == 0 {
			t.Fatal(err)
		}
	})
}

func describeMatches(matches []Match) []string {
	var texts []string
	for _, m := range matches {
		texts = append(texts, fmt.Sprint(m.Component.Name, m.Role, m.Signal, m.Tag, m.order))
	}
	slices.Sort(texts)
	return texts
}
