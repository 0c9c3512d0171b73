package catalog

import (
	"testing"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// The tag of a sidecar is not the version of the product.
func TestTagOfLabelSignal(t *testing.T) {
	definition := &v1alpha1.PlatformComponent{Spec: v1alpha1.PlatformComponentSpec{
		Layer: "x", Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Labels: map[string]v1alpha1.LabelValue{"app": "acme"}}}},
	}}
	definition.Name = "acme"
	component, errs := Compile(definition)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	c := New(component)
	for name, test := range map[string]struct {
		images []string
		want   string
	}{
		"the only image":                     {[]string{"own/billing:v1.0.0"}, "v1.0.0"},
		"an image called like it, not first": {[]string{"brancz/kube-rbac-proxy:v0.22.0", "own/acme-server:v1.0.0"}, "v1.0.0"},
		"two images, neither called like it": {[]string{"brancz/kube-rbac-proxy:v0.22.0", "own/billing:v1.0.0"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := &facts.Workload{Ref: facts.Ref{Kind: "Deployment", Name: "x"}, Labels: facts.NewLabels(map[string]string{"app": "acme"})}
			for _, text := range test.images {
				image, ok := facts.ParseImage(text)
				if !ok {
					t.Fatal(text)
				}
				w.Containers = append(w.Containers, facts.Container{Image: image})
			}
			matches := c.Match(w)
			if len(matches) != 1 || matches[0].Tag != test.want {
				t.Errorf("got %+v, want the tag %q", matches, test.want)
			}
		})
	}
}
