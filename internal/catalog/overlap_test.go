package catalog

import (
	"testing"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

func TestFindOverlaps(t *testing.T) {
	define := func(name string, signals v1alpha1.Signals, bundles ...v1alpha1.Name) *Component {
		definition := &v1alpha1.PlatformComponent{Spec: v1alpha1.PlatformComponentSpec{Layer: "x", Signals: signals, Bundles: bundles}}
		definition.Name = name
		component, errs := Compile(definition)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		return component
	}
	image := func(labels map[string]v1alpha1.LabelValue, kinds ...v1alpha1.WorkloadKind) v1alpha1.Signals {
		return v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Images: []string{"acme/server"}, Labels: labels, Kinds: kinds}}}
	}
	crd := func(role v1alpha1.Role) v1alpha1.Signals {
		signals := image(map[string]v1alpha1.LabelValue{"app": v1alpha1.LabelValue("of-" + role)})
		signals.CRDs = []v1alpha1.NameSignal{{Name: "acme.example", Role: role}}
		return signals
	}
	for name, test := range map[string]struct {
		first, second *Component
		want          int
	}{
		"the same image":               {define("a", image(nil)), define("b", image(nil)), 1},
		"one of them narrowed":         {define("a", image(nil)), define("b", image(map[string]v1alpha1.LabelValue{"app": "b"})), 1},
		"different labels":             {define("a", image(map[string]v1alpha1.LabelValue{"app": "a"})), define("b", image(map[string]v1alpha1.LabelValue{"app": "b"})), 0},
		"different kinds":              {define("a", image(nil, "Deployment")), define("b", image(nil, "DaemonSet")), 0},
		"an override of the same name": {define("a", image(nil)), define("a", image(nil)), 0},
		"a bundle and its part":        {define("a", image(nil), "b"), define("b", image(nil)), 0},
		"a CRD group that proves one":  {define("a", crd(v1alpha1.RoleProof)), define("b", crd(v1alpha1.RoleSupport)), 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := FindOverlaps(test.first, test.second); len(got) != test.want {
				t.Errorf("got %v, want %d", got, test.want)
			}
		})
	}
}

func TestBuiltinDefinitionsDoNotOverlap(t *testing.T) {
	components, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, overlap := range FindOverlaps(components...) {
		t.Error(overlap)
	}
}
