package inventory

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
)

func compileComponent(t *testing.T, name string, spec v1alpha1.PlatformComponentSpec) *catalog.Component {
	t.Helper()
	definition := &v1alpha1.PlatformComponent{Spec: spec}
	definition.Name = name
	component, errs := catalog.Compile(definition)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return component
}

func TestBundlerOf(t *testing.T) {
	byImage := func(image string, bundles ...v1alpha1.Name) v1alpha1.PlatformComponentSpec {
		return v1alpha1.PlatformComponentSpec{
			Layer:   "x",
			Bundles: bundles,
			Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Images: []string{image}}}},
		}
	}
	i := New(catalog.New(compileComponent(t, "registry", byImage("acme/registry", "scanner")),
		compileComponent(t, "scanner", byImage("acme/scanner"))), time.Now)
	run := func(namespace, image string) facts.Fact {
		parsed, _ := facts.ParseImage(image)
		return &facts.Workload{
			Ref:        facts.Ref{Kind: "Deployment", Namespace: namespace, Name: parsed.Base()},
			Containers: []facts.Container{{Image: parsed}},
		}
	}
	i.Source("deployments.apps").Replace([]facts.Fact{run("registry", "acme/registry:1.0.0"), run("registry", "acme/scanner:2.0.0"),
		run("alone", "acme/scanner:3.0.0")})
	s := i.Snapshot()
	scanner := s.Component("scanner")
	want := map[string]string{"registry": "registry", "alone": ""}
	if len(scanner.Installations) != len(want) {
		t.Fatalf("got %+v", scanner.Installations)
	}
	for n := range scanner.Installations {
		installation := &scanner.Installations[n]
		if got := s.BundlerOf(scanner, installation); got != want[installation.Namespace] {
			t.Errorf("in %s the bundler is %q, want %q", installation.Namespace, got, want[installation.Namespace])
		}
	}
}

// The version of the API server proves Kubernetes, and its distribution.
func TestAPIServer(t *testing.T) {
	byVersion := func(pattern string) v1alpha1.PlatformComponentSpec {
		return v1alpha1.PlatformComponentSpec{
			Layer: "core", Signals: v1alpha1.Signals{APIServer: &v1alpha1.APIServerSignal{Version: pattern}},
			Version: []v1alpha1.VersionSource{{From: v1alpha1.VersionFromAPIServer}},
		}
	}
	i := New(catalog.New(compileComponent(t, "kubernetes", byVersion("^v")), compileComponent(t, "k3s", byVersion("[+]k3s"))), time.Now)
	source := i.Source(catalog.APIServerSource)
	if messages := i.Snapshot().Component("kubernetes").UnreadableSources; len(messages) == 0 {
		t.Error("the source of the version is Pending, and not unreadable")
	}
	for version, k3s := range map[string]int{"v1.37.2": 0, "v1.36.1+k3s1": 1} {
		source.Replace([]facts.Fact{facts.NewAPIServer(version)})
		s := i.Snapshot()
		found := s.Component("kubernetes").Installations
		if len(found) != 1 || found[0].Version != catalog.CleanVersion(version) || found[0].Health != v1alpha1.HealthHealthy {
			t.Errorf("%s: got %+v", version, found)
		}
		if got := len(s.Component("k3s").Installations); got != k3s {
			t.Errorf("%s: k3s has %d installations, want %d", version, got, k3s)
		}
	}
}

func TestVersionOfCRDAnnotation(t *testing.T) {
	i := New(catalog.New(compileComponent(t, "api", v1alpha1.PlatformComponentSpec{
		Layer: "network", Signals: v1alpha1.Signals{CRDs: []v1alpha1.NameSignal{{Name: "things.acme.example", Role: v1alpha1.RoleProof}}},
		Version: []v1alpha1.VersionSource{{From: v1alpha1.VersionFromCRDAnnotation, Annotation: "acme.example/bundle-version"}},
	})), time.Now)
	source := i.Source("customresourcedefinitions.apiextensions.k8s.io")
	for _, version := range []string{"1.2.0", "1.3.0"} {
		crd := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name: "things.acme.example", Annotations: map[string]string{"acme.example/bundle-version": "v" + version},
		}}
		fact, err := facts.Extract(crd, true)
		if err != nil {
			t.Fatal(err)
		}
		source.Put(fact)
		if found := i.Snapshot().Component("api").Installations; len(found) != 1 || found[0].Version != version {
			t.Errorf("with %s: got %+v", version, found)
		}
	}
}
