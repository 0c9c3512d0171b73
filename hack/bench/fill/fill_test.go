package fill

import (
	"encoding/json"
	"flag"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
)

func scaleOf(t *testing.T, args ...string) (*Scale, error) {
	t.Helper()
	s := &Scale{}
	f := flag.NewFlagSet("test", flag.ContinueOnError)
	s.Flags(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	return s, s.Settle()
}

func TestWholeScaleIsTheIssues(t *testing.T) {
	s, err := scaleOf(t)
	if err != nil {
		t.Fatal(err)
	}
	if s.Nodes != 5000 || s.Deployments != 10000 || s.DaemonSets+s.StatefulSets != 1000 || s.Pods != 20000 || s.CRDs != 500 ||
		s.Components != 100 || s.Profiles != 20 || s.Applications != 5000 || s.Certificates != 10000 {
		t.Errorf("scale %+v", s)
	}
	if got := s.PerComponent() * s.Components; got != 2000 {
		t.Errorf("%d Deployments belong to custom components, want 2000", got)
	}
}

func TestScaleMultipliesWhatIsNotGiven(t *testing.T) {
	s, err := scaleOf(t, "--scale", "0.1", "--nodes", "7")
	if err != nil {
		t.Fatal(err)
	}
	if s.Nodes != 7 || s.Deployments != 1000 || s.Pods != 2000 || s.Profiles != 4 || s.Components != 20 {
		t.Errorf("scale %+v", s)
	}
	for _, args := range [][]string{{"--scale", "0"}, {"--nodes", "-1"}, {"--profiles", "30"}, {"--deployments", "100"}} {
		if _, err := scaleOf(t, args...); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

func sizeOf(t *testing.T, object any) int {
	t.Helper()
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return len(data)
}

// Objects are of the sizes that those of real clusters have, before the API server adds defaults and managed fields.
func TestObjectsAreOfRealSize(t *testing.T) {
	s, err := scaleOf(t)
	if err != nil {
		t.Fatal(err)
	}
	f := &filler{scale: s}
	w := f.deployment(5000)
	within := func(what string, size, least, most int) {
		t.Helper()
		t.Logf("%s: %d bytes", what, size)
		if size < least || size > most {
			t.Errorf("%s has %d bytes, want %d to %d", what, size, least, most)
		}
	}
	deployment := &appsv1.Deployment{
		ObjectMeta: w.meta(),
		Spec:       appsv1.DeploymentSpec{Template: w.template()},
		Status:     *DeploymentStatus(1, w.name, true),
	}
	within("a Deployment", sizeOf(t, deployment), 4000, 6000)
	within("an Application", sizeOf(t, f.application(3)), 4000, 7000)
	within("a node", sizeOf(t, node(3, "v1.37.0")), 4000, 10000)
	for i := range 9 {
		within(CRDName(i), sizeOf(t, crd(i)), 10000, 30000)
	}
}

func TestProfilesAskForFiftyThingsAndForTheirOwn(t *testing.T) {
	missing, err := absent([]string{"falco"})
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string]string{}
	for i := range 20 {
		for _, installed := range [][]string{nil, {"cilium", "falco", "velero"}} {
			p := profile(i, installed, missing)
			total := 0
			for _, layer := range p.Spec.Layers {
				names := map[string]bool{}
				for _, r := range layer.Requirements {
					total++
					if names[r.Name] {
						t.Errorf("%s asks twice for %s", p.Name, r.Name)
					}
					names[r.Name] = true
					if layer.Name == ownLayer {
						if other, taken := owners[r.Name]; taken && other != p.Name {
							t.Errorf("%s and %s both ask for %s", p.Name, other, r.Name)
						}
						owners[r.Name] = p.Name
					}
				}
			}
			if total != Requirements {
				t.Errorf("%s has %d requirements", p.Name, total)
			}
		}
	}
	if len(owners) != 100 || owners[ComponentName(37)] != Owner(37) {
		t.Errorf("%d components are asked for; 37 by %s", len(owners), owners[ComponentName(37)])
	}
	if rule := profile(0, nil, missing).Spec.Layers[1].Requirements[5]; rule.Checks[0].Name != "applications-synced" ||
		rule.AnyOf[0].Component != "argo-cd" {
		t.Errorf("the rule over Applications is %+v", rule)
	}
}
