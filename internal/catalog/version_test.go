package catalog

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

func TestCleanVersion(t *testing.T) {
	for raw, want := range map[string]string{
		"v1.18.2":                      "1.18.2",
		"1.18.2-debian-12-r5":          "1.18.2",
		"v1.30.2-eksbuild.1":           "1.30.2",
		"v3.28.1-bookworm":             "3.28.1",
		"2.568.2-jdk21":                "2.568.2",
		"v1.17.0-rc.1":                 "1.17.0-rc.1",
		"1.17.0-RC1":                   "1.17.0-rc1",
		"v1.17.0-beta.2-debian":        "1.17.0-beta.2",
		"v0.9.0-alpha.1":               "0.9.0-alpha.1",
		"v2.13.1+k3s1":                 "2.13.1",
		"v1.31.4_rke2r1":               "1.31.4",
		"distroless-v1.38.3":           "1.38.3",
		"2024.06.1":                    "2024.06.1",
		"1.2.3.4":                      "1.2.3.4",
		"RELEASE.2024-06-13T22-53-53Z": "2024.06.13",
		"2024-06-13":                   "2024.06.13",
		"2024-6-13":                    "",
		"1234-06-13":                   "",
		"v19.2.2-20250717":             "19.2.2",
		"1.29":                         "1.29",
		"1.9.1)":                       "1.9.1",
		"22.04.3 LTS":                  "22.04.3",
		"19.2.1 squid":                 "19.2.1",
		"1.2.3~rc1":                    "1.2.3",
		"1.2.123456789":                "1.2.123456789",
		"latest":                       "",
		"main":                         "",
		"stable-alpine":                "",
		"v3":                           "",
		"3":                            "",
		"20200709":                     "",
		"v20240513-abcdef1":            "",
		"sha-1a2b3c4":                  "",
		"sha256-1.2.3":                 "",
		"8-jdk17":                      "",
		"":                             "",
	} {
		t.Run(raw, func(t *testing.T) {
			if got := CleanVersion(raw); got != want {
				t.Errorf("%q is cleaned to %q, want %q", raw, got, want)
			}
		})
	}
}

func TestParseVersion(t *testing.T) {
	for cleaned, want := range map[string]string{
		"1.18.2": "1.18.2", "1.29": "1.29.0", "1.2.3.4": "1.2.3", "2024.06.1": "2024.6.1", "1.17.0-rc.1": "1.17.0-rc.1", "0.00.10": "0.0.10",
	} {
		if got, ok := ParseVersion(cleaned); !ok || got.String() != want {
			t.Errorf("%s is parsed as %s, %v; want %s", cleaned, got, ok, want)
		}
	}
	for _, text := range []string{"latest", "main", ""} {
		if got, ok := ParseVersion(text); ok {
			t.Errorf("%q is parsed as %s", text, got)
		}
	}
}

func TestParseRange(t *testing.T) {
	for _, test := range []struct {
		allowed, version string
		want             bool
	}{
		{">=1.16.0", "1.16.0", true},
		{">=1.16.0", "1.15.9", false},
		{">=1.16", "1.17.0-rc.1", true},
		{">=1.17.0", "1.17.0-rc.1", false},
		{">=1.16 <2", "1.99.0", true},
		{">=1.16 <2", "2.0.0", false},
		{">=1.16, <2", "2.0.0", false},
		{"~3.28", "3.28.9", true},
		{"~3.28", "3.29.0", false},
		{"^1.2", "1.9.0", true},
		{"1.2.x", "1.2.7", true},
		{"<1.0 || >=2.0", "2.1.0", true},
		{"<1.0 || >=2.0", "1.5.0", false},
		{">=2024.6", "2024.06.1", true},
		{">=2025.1", CleanVersion("RELEASE.2024-12-18T13-15-44Z"), false},
		{">=2024.12.1 <2025", CleanVersion("RELEASE.2024-12-18T13-15-44Z"), true},
	} {
		t.Run(test.allowed+" and "+test.version, func(t *testing.T) {
			constraints, err := ParseRange(test.allowed)
			if err != nil {
				t.Fatal(err)
			}
			version, ok := ParseVersion(test.version)
			if !ok || constraints.Check(version) != test.want {
				t.Errorf("inside the range: %v, want %v", !test.want, test.want)
			}
		})
	}
	for _, text := range []string{"new enough", ">=", ">=one", "latest"} {
		if _, err := ParseRange(text); err == nil {
			t.Errorf("%q was parsed as a range", text)
		}
	}
}

// A single number is a version only where a definition extracts it.
func TestSingleNumber(t *testing.T) {
	component, errs := Compile(&v1alpha1.PlatformComponent{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Spec: v1alpha1.PlatformComponentSpec{
			Layer: "data", Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Images: []string{"example/a"}}}},
			Version: []v1alpha1.VersionSource{
				{From: v1alpha1.VersionFromImageTag, Pattern: "^([0-9]{3})(?:-|$)"}, {From: v1alpha1.VersionFromVersionLabel},
			},
		},
	})
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	for text, want := range map[string]string{"476": "476", "476-amd64": "476", "latest": "", "3": ""} {
		if got := component.Versions[0].ExtractVersion(text); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	if got := component.Versions[1].ExtractVersion("476"); got != "" {
		t.Errorf("without a pattern: got %q", got)
	}
	if version, ok := ParseVersion("476"); !ok || version.Major() != 476 {
		t.Errorf("got %v", version)
	}
}
