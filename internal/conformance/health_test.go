package conformance_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/manifest"
	"github.com/platformprofile/platformprofile/internal/source/files"
)

// fixture is the first document of a file below testdata/health: a requirement and its expected outcome for the objects that follow.
type fixture struct {
	Kind        string               `json:"kind"`
	Now         metav1.Time          `json:"now"`
	Requirement v1alpha1.Requirement `json:"requirement"`
	Verdict     v1alpha1.Verdict     `json:"verdict"`
	Message     string               `json:"message"`
}

// TestHealthFixtures evaluates the rules of each definition on objects in the state in which the product's controller leaves them.
func TestHealthFixtures(t *testing.T) {
	const root = "../catalog/testdata/health"
	paths, err := filepath.Glob(root + "/*/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures below %s: %v", root, err)
	}
	components, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(components...)
	for _, file := range paths {
		name, _ := filepath.Rel(root, file)
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, objects, ok := strings.Cut(string(data), "\n---\n")
			if !ok {
				t.Fatal("no objects behind the first document")
			}
			var f fixture
			if err := yaml.UnmarshalStrict([]byte(head), &f); err != nil {
				t.Fatal(err)
			}
			if f.Kind != "Case" || f.Verdict == "" || f.Verdict != v1alpha1.VerdictSatisfied && f.Message == "" {
				t.Fatalf("the first document must be a Case with a verdict, and a message where that is not Satisfied: %+v", f)
			}
			got := evaluateFixture(t, c, &f, []byte(objects))
			if got.Verdict != f.Verdict {
				t.Errorf("the verdict is %s (%s), want %s", got.Verdict, got.Message, f.Verdict)
			}
			if !strings.Contains(got.Message, f.Message) {
				t.Errorf("the message is %q, want %q in it", got.Message, f.Message)
			}
		})
	}
}

func evaluateFixture(t *testing.T, c *catalog.Catalog, f *fixture, objects []byte) v1alpha1.RequirementStatus {
	t.Helper()
	dump, err := files.Read("-", bytes.NewReader(objects))
	if err != nil {
		t.Fatal(err)
	}
	f.Requirement.Name = "it"
	spec := &v1alpha1.PlatformProfileSpec{Layers: []v1alpha1.Layer{{Name: "layer", Requirements: []v1alpha1.Requirement{f.Requirement}}}}
	profile := conformance.Compile(spec, c)
	if len(profile.Errors) > 0 {
		t.Fatal(profile.Errors.ToAggregate())
	}
	i := inventory.New(c, func() time.Time { return f.Now.Time })
	if err := dump.Load(i, slices.Concat(c.Instances(), profile.Instances())); err != nil {
		t.Fatal(err)
	}
	result := conformance.Evaluate(profile, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, f.Now.Time)
	return result.Status.Layers[0].Requirements[0]
}

// TestReadyMadeProfiles checks that each sample profile is valid, and not conformant on an empty cluster.
func TestReadyMadeProfiles(t *testing.T) {
	paths, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	components, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(components...)
	names := map[string]bool{}
	for _, file := range paths {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), "kind: PlatformProfile") {
			continue
		}
		profiles, err := manifest.Profiles(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, profile := range profiles {
			names[profile.Name] = true
			compiled := conformance.Compile(&profile.Spec, c)
			if len(compiled.Errors) > 0 {
				t.Errorf("%s: %v", file, compiled.Errors.ToAggregate())
			}
			now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
			i := inventory.New(c, func() time.Time { return now })
			dump, err := files.Read("-", strings.NewReader("apiVersion: v1\nkind: Node\nmetadata: {name: node-1}\nstatus: {nodeInfo: {kubeletVersion: v1.34.1}}\n"))
			if err != nil {
				t.Fatal(err)
			}
			if err := dump.Load(i, slices.Concat(c.Instances(), compiled.Instances())); err != nil {
				t.Fatal(err)
			}
			result := conformance.Evaluate(compiled, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, now)
			if !meta.IsStatusConditionFalse(result.Status.Conditions, v1alpha1.ConditionConformant) {
				t.Errorf("%s holds on a cluster of nothing: %s", file, result.Status.Score)
			}
		}
	}
	for _, name := range []string{
		"minimal", "production", "production-managed", "gitops", "ml-platform", "data-platform", "developer-platform", "edge",
		"ai-conformance",
	} {
		if !names[name] {
			t.Errorf("there is no ready-made profile %s", name)
		}
	}
}

// TestVersionSkewAgainstTheAPIServer also covers files, which have kubelet versions but no API server version.
func TestVersionSkewAgainstTheAPIServer(t *testing.T) {
	components, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c := catalog.New(components...)
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		server   string
		kubelets []string
		verdict  v1alpha1.Verdict
		message  string
	}{
		"the same":                {"v1.37.2", []string{"v1.37.2", "v1.37.0"}, v1alpha1.VerdictSatisfied, ""},
		"as old as may be":        {"v1.37.2", []string{"v1.34.9", "v1.37.0"}, v1alpha1.VerdictSatisfied, ""},
		"too old":                 {"v1.37.2", []string{"v1.33.9", "v1.33.1"}, v1alpha1.VerdictCheckFailed, "the API server is 1.37.2, 4 minor versions newer than the oldest kubelet: node-0 v1.33.9, node-1 v1.33.1"},
		"newer":                   {"v1.36.0-eks-5ca49cb", []string{"v1.36.9", "v1.37.1"}, v1alpha1.VerdictCheckFailed, "the API server is 1.36.0, and these kubelets are newer: node-1 v1.37.1"},
		"files, apart":            {"", []string{"v1.32.0", "v1.36.0"}, v1alpha1.VerdictCheckFailed, "the kubelets are 4 minor versions apart, newest 1.36, oldest: node-0 v1.32.0"},
		"files, in the middle of": {"", []string{"v1.36.0", "v1.37.0"}, v1alpha1.VerdictSatisfied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := ""
			for n, kubelet := range test.kubelets {
				nodes += fmt.Sprintf("---\napiVersion: v1\nkind: Node\nmetadata: {name: node-%d}\nstatus: {nodeInfo: {kubeletVersion: %s}}\n", n, kubelet)
			}
			dump, err := files.Read("-", strings.NewReader(nodes))
			if err != nil {
				t.Fatal(err)
			}
			spec := &v1alpha1.PlatformProfileSpec{Layers: []v1alpha1.Layer{{Name: "core", Requirements: []v1alpha1.Requirement{
				{
					Name:   "cluster",
					AnyOf:  []v1alpha1.ComponentChoice{{Component: "kubernetes"}},
					Checks: []v1alpha1.CheckReference{{Name: "version-skew"}},
				},
			}}}}
			profile := conformance.Compile(spec, c)
			i := inventory.New(c, func() time.Time { return now })
			if err := dump.Load(i, slices.Concat(c.Instances(), profile.Instances())); err != nil {
				t.Fatal(err)
			}
			if test.server != "" {
				i.Source(catalog.APIServerSource).Replace([]facts.Fact{facts.NewAPIServer(test.server)})
				i.Rules.Flush()
			}
			got := conformance.Evaluate(profile, i.Snapshot(), &v1alpha1.PlatformProfileStatus{}, 1, now).Status.Layers[0].Requirements[0]
			if got.Verdict != test.verdict || !strings.Contains(got.Message, test.message) {
				t.Errorf("%s: %s, want %s: %s", got.Verdict, got.Message, test.verdict, test.message)
			}
		})
	}
}
