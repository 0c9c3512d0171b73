package report

import (
	"bytes"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

func newTestComponent(name, layer string, installations ...Installation) Component {
	return Component{Name: name, Layer: layer, Capabilities: []string{}, Installations: installations}
}

func newInstallation(namespace, version string, health v1alpha1.Health) Installation {
	return Installation{Namespace: namespace, Version: version, Health: health, Evidence: []v1alpha1.Evidence{
		{Kind: "DaemonSet", Namespace: namespace, Name: "x"}, {Kind: "CustomResourceDefinition", Name: "y"},
	}}
}

func TestTable(t *testing.T) {
	d := Discovery{
		Components: []Component{
			newTestComponent("a-own", "zz-own"),
			newTestComponent("cilium", "network", newInstallation("kube-system", "1.18.2", v1alpha1.HealthHealthy),
				newInstallation("other", "", v1alpha1.HealthDegraded)),
			newTestComponent("own", "zz-own", newInstallation("", "1.0.0", v1alpha1.HealthHealthy)),
			newTestComponent("kubernetes", "core", newInstallation("", "1.34.1", v1alpha1.HealthHealthy)),
		},
		Leftovers: []Component{newTestComponent("velero", "storage",
			Installation{Evidence: []v1alpha1.Evidence{{Kind: "CustomResourceDefinition", Name: "backups.velero.io"}}})},
		Unreadable: []string{"cannot read nodes"},
	}
	var out bytes.Buffer
	if err := d.WriteTable(&out, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	const want = `LAYER     COMPONENT    VERSION   HEALTH     NAMESPACE     EVIDENCE
core      kubernetes   1.34.1    Healthy    -             DaemonSet x and 1 more
network   cilium       1.18.2    Healthy    kube-system   DaemonSet kube-system/x and 1 more
network   cilium       -         Degraded   other         DaemonSet other/x and 1 more
zz-own    own          1.0.0     Healthy    -             DaemonSet x and 1 more
Leftovers of velero: CustomResourceDefinition backups.velero.io
Warning: cannot read nodes
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestReportsArePrintable(t *testing.T) {
	const evil = "x\x1b[31m\tred\r\n\u202e"
	var out bytes.Buffer
	component := newTestComponent(evil, "network", newInstallation(evil, evil, v1alpha1.HealthHealthy))
	if err := (Discovery{Components: []Component{component}}).WriteTable(&out, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	status := v1alpha1.PlatformProfileStatus{
		Layers: []v1alpha1.LayerStatus{
			{
				Name: "a",
				Requirements: []v1alpha1.RequirementStatus{
					{Name: "b", Verdict: v1alpha1.VerdictMissing, Message: evil, Remediation: evil, Version: evil},
				},
			},
		},
	}
	if err := WriteConformance(&out, &v1alpha1.PlatformProfile{Status: status}, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\t\r\u202e") || strings.Contains(out.String(), "\nred") {
		t.Errorf("control characters in %q", out.String())
	}
}

func TestConformance(t *testing.T) {
	profile := &v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: "production"}}
	profile.Status = v1alpha1.PlatformProfileStatus{
		Score:      "1/2",
		Conditions: []metav1.Condition{{Type: "Conformant", Status: "False"}, {Type: "Stalled", Status: "True", Message: "spec.x: wrong"}},
		Undeclared: []v1alpha1.UndeclaredComponent{{Component: "vault", Namespace: "v"}},
		Layers: []v1alpha1.LayerStatus{{Name: "network", Requirements: []v1alpha1.RequirementStatus{
			{Name: "cni", Verdict: v1alpha1.VerdictSatisfied, Component: "cilium", Version: "1.18.2", Health: v1alpha1.HealthHealthy, Namespace: "kube-system", Message: "fine"},
			{Name: "ingress", Verdict: v1alpha1.VerdictMissing, Message: "not installed: traefik", Remediation: "Install it."},
			{Name: "dns", Verdict: v1alpha1.VerdictUnknown, Severity: v1alpha1.SeverityRecommended, Message: "cannot read nodes"},
		}}},
	}
	var out bytes.Buffer
	if err := WriteConformance(&out, profile, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	const want = `PlatformProfile production   conformant: False   score: 1/2

LAYER     REQUIREMENT   VERDICT                 COMPONENT   VERSION   HEALTH    NAMESPACE
network   cni           Satisfied               cilium      1.18.2    Healthy   kube-system
network   ingress       Missing                 -           -         -         -
network   dns           Unknown (recommended)   -           -         -         -

network/ingress is Missing: not installed: traefik
  Install it.

network/dns is Unknown: cannot read nodes

Undeclared components:
  vault - v

Errors in the profile: spec.x: wrong
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestOmittedDiagnoses(t *testing.T) {
	profile := &v1alpha1.PlatformProfile{}
	web := v1alpha1.WorkloadReference{Kind: "Deployment", Namespace: "shop", Name: "web"}
	profile.Status.Diagnoses = []v1alpha1.Diagnosis{
		{Workload: web, Pod: "web-1", Container: "app", Symptom: "CrashLoop", Meaning: "it ends \x1b[31msoon"},
	}
	write := func() string {
		var out bytes.Buffer
		if err := WriteConformance(&out, profile, TableOptions{}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	const want = "\nFailing pods, most severe first:\n  CrashLoop  Deployment shop/web, pod web-1, container app: it ends  [31msoon\n"
	if got := write(); !strings.HasSuffix(got, want) {
		t.Errorf("got:\n%s\nwant at its end:\n%s", got, want)
	}
	profile.Status.DiagnosesOmitted = 7
	if got := write(); !strings.HasSuffix(got, want+"  and 7 more: platformprofile diagnose\n") {
		t.Errorf("got:\n%s", got)
	}
}

func TestRolloutIsReported(t *testing.T) {
	profile := &v1alpha1.PlatformProfile{}
	profile.Status.Layers = []v1alpha1.LayerStatus{{Name: "network", Requirements: []v1alpha1.RequirementStatus{
		{Name: "cni", Verdict: v1alpha1.VerdictSatisfied, Health: v1alpha1.HealthProgressing, Message: "cilium is Progressing: DaemonSet kube-system/cilium: is rolling out since 2027-01-02T03:04:05Z"},
		{Name: "dns", Verdict: v1alpha1.VerdictSatisfied, Health: v1alpha1.HealthHealthy, Message: "coredns is Healthy"},
	}}}
	var out bytes.Buffer
	if err := WriteConformance(&out, profile, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	if want := "\nnetwork/cni is Satisfied: cilium is Progressing: DaemonSet kube-system/cilium: is rolling out since 2027-01-02T03:04:05Z\n"; !strings.Contains(out.String(), want) || strings.Contains(out.String(), "coredns is") {
		t.Errorf("got:\n%s\nwant in it:\n%s", out.String(), want)
	}
}

func TestProfileRequiresHealth(t *testing.T) {
	d := Discovery{Components: []Component{
		newTestComponent("down", "network", newInstallation("a", "1.0.0", v1alpha1.HealthDegraded)),
		newTestComponent("half", "network", newInstallation("a", "1.0.0", v1alpha1.HealthDegraded),
			newInstallation("b", "1.0.0", v1alpha1.HealthHealthy)),
		newTestComponent("filed", "core", newInstallation("a", "1.0.0", v1alpha1.HealthNotObserved)),
	}}
	profile := d.Profile("found")
	if profile.Name != "found" || profile.Kind != "PlatformProfile" || len(profile.Spec.Layers) != 2 || profile.Spec.Layers[0].Name != "core" {
		t.Fatalf("%+v", profile)
	}
	for _, layer := range profile.Spec.Layers {
		for _, r := range layer.Requirements {
			if installed := r.Health == v1alpha1.RequireAnyHealth; installed != (r.Name == "down") || r.AnyOf[0].Component != r.Name {
				t.Errorf("%+v", r)
			}
		}
	}
}

func TestProfileVersionRange(t *testing.T) {
	for name, test := range map[string]struct {
		versions []string
		want     string
	}{
		"up to the next major version":          {[]string{"1.18.2"}, ">=1.18 <2"},
		"before 1.0 without an upper bound":     {[]string{"0.40.0"}, ">=0.40"},
		"a pre-release is below its release":    {[]string{"1.17.0-rc.1"}, ">=1.17.0-rc.1"},
		"a calendar version":                    {[]string{"2024.06.1"}, ">=2024.6 <2025"},
		"the older of two installations":        {[]string{"1.18.2", "1.9.3"}, ">=1.9 <2"},
		"the older of two installations, first": {[]string{"1.9.3", "1.18.2"}, ">=1.9 <2"},
		"an unknown version":                    {[]string{""}, ""},
		"one unknown version":                   {[]string{"1.18.2", ""}, ""},
		"one unknown version, first":            {[]string{"", "1.18.2"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var installations []Installation
			for _, version := range test.versions {
				installations = append(installations, newInstallation("a", version, v1alpha1.HealthHealthy))
			}
			profile := Discovery{Components: []Component{newTestComponent("x", "network", installations...)}}.Profile("found")
			if got := profile.Spec.Layers[0].Requirements[0].AnyOf[0].Version; got != test.want {
				t.Errorf("versions %q: got range %q, want %q", test.versions, got, test.want)
			}
		})
	}
}

func TestColoursHaveNoWidth(t *testing.T) {
	d := Discovery{Components: []Component{newTestComponent("cilium", "network",
		newInstallation("kube-system", "1.18.2", v1alpha1.HealthHealthy), newInstallation("other", "", v1alpha1.HealthDegraded))}}
	profile := &v1alpha1.PlatformProfile{}
	profile.Status.Layers = []v1alpha1.LayerStatus{{Name: "network", Requirements: []v1alpha1.RequirementStatus{
		{Name: "cni", Verdict: v1alpha1.VerdictSatisfied, Health: v1alpha1.HealthHealthy, Namespace: "kube-system"},
		{Name: "ingress", Verdict: v1alpha1.VerdictMissing, Namespace: "x"}, {Name: "dns", Verdict: v1alpha1.VerdictUnknown, Namespace: "y"},
	}}}
	for name, write := range map[string]func(*bytes.Buffer, TableOptions) error{
		"discover": func(w *bytes.Buffer, options TableOptions) error { return d.WriteTable(w, options) },
		"check":    func(w *bytes.Buffer, options TableOptions) error { return WriteConformance(w, profile, options) },
	} {
		var plain, coloured bytes.Buffer
		if err := write(&plain, TableOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := write(&coloured, TableOptions{Colour: true}); err != nil {
			t.Fatal(err)
		}
		text := coloured.String()
		for _, code := range []string{"\x1b[31m", "\x1b[32m"} {
			if !strings.Contains(text, code) {
				t.Errorf("%s: no red or no green: %q", name, text)
			}
		}
		for _, code := range []string{"\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"} {
			text = strings.ReplaceAll(text, code, "")
		}
		if text != plain.String() {
			t.Errorf("%s: colours change the columns:\n%s\n%s", name, text, plain.String())
		}
	}
}

func TestWideTable(t *testing.T) {
	profile := &v1alpha1.PlatformProfile{}
	profile.Status.Layers = []v1alpha1.LayerStatus{{Name: "network", Requirements: []v1alpha1.RequirementStatus{
		{Name: "cni", Verdict: v1alpha1.VerdictSatisfied, Message: "cilium is Healthy", Evidence: []v1alpha1.Evidence{{Kind: "DaemonSet", Namespace: "a", Name: "b"}}},
	}}}
	var out bytes.Buffer
	if err := WriteConformance(&out, profile, TableOptions{Wide: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"MESSAGE", "cilium is Healthy", "DaemonSet a/b"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
