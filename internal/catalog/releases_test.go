package catalog

import (
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

func compileReleases(t *testing.T, releases ...v1alpha1.Release) Releases {
	t.Helper()
	component, errs := Compile(withReleases(releases...))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	return component.Releases
}

func withReleases(releases ...v1alpha1.Release) *v1alpha1.PlatformComponent {
	definition := &v1alpha1.PlatformComponent{Spec: v1alpha1.PlatformComponentSpec{
		Layer: "network", Releases: releases,
		Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Images: []string{"example/a"}}}},
	}}
	definition.Name = "a"
	return definition
}

func kubernetesRelease(t *testing.T, version, released string) KubernetesRelease {
	t.Helper()
	parsed, ok := ParseVersion(version)
	if !ok {
		t.Fatal(version)
	}
	k := NewKubernetesRelease(parsed, nil)
	if released != "" {
		k.Released = parseDay(t, released)
	}
	return k
}

func parseDay(t *testing.T, text string) time.Time {
	t.Helper()
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return day
}

const page = "https://example.dev/releases"

func TestSupport(t *testing.T) {
	releases := compileReleases(t,
		v1alpha1.Release{Cycle: "1.18", Released: "2026-06-01", Source: page, AsOf: "2026-11-01"},
		v1alpha1.Release{Cycle: "1.17", Released: "2026-01-01", EndOfLife: "2026-12-31", Source: page, AsOf: "2026-11-01"},
		v1alpha1.Release{Cycle: "1.8", Kubernetes: ">=1.30 <=1.32", Source: page, AsOf: "2026-11-01"},
		v1alpha1.Release{Cycle: "1.9", EndOfLife: "2025-06-30", Source: page, AsOf: "2026-11-01"},
		v1alpha1.Release{Cycle: "1.9.7", EndOfLife: "2025-09-30", Source: page, AsOf: "2026-11-01"},
	)
	for _, test := range []struct{ version, at, want string }{
		{"1.17.4", "2026-12-31T23:59:59Z", "supported"},
		{"1.17.4", "2027-01-01T00:00:00Z", "not supported"},
		{"1.18.0", "2027-10-31T00:00:00Z", "supported"},
		{"1.18.0", "2027-11-02T00:00:00Z", "unknown: upstream stated no end of support for 1.18, and the fact is of 2026-11-01"},
		{"1.18.0-rc.1", "2026-11-02T00:00:00Z", "supported"},
		{"1.19.0", "2026-11-02T00:00:00Z", "unknown: the catalog's facts go up to 1.18 (as of 2026-11-01)"},
		{"2.0.0", "2026-11-02T00:00:00Z", "unknown: the catalog's facts go up to 1.18 (as of 2026-11-01)"},
		{"1.1.7", "2026-11-02T00:00:00Z", "unknown: the catalog has no facts about the release 1.1.7"},
		{"1.8.2", "2026-11-02T00:00:00Z", "unknown: upstream stated no end of support for 1.8, and there are newer releases"},
		{"1.9.6", "2025-07-01T00:00:00Z", "not supported"},
		{"1.9.7", "2025-07-01T00:00:00Z", "supported"},
		{"", "2026-11-02T00:00:00Z", "unknown: its version could not be determined"},
		{"v1", "2026-11-02T00:00:00Z", "unknown: v1 is not a version with numbers"},
	} {
		at, err := time.Parse(time.RFC3339, test.at)
		if err != nil {
			t.Fatal(err)
		}
		support, got := releases.SupportAt(test.version, at), "not supported"
		switch {
		case !support.IsKnown:
			got = "unknown: " + support.Reason
		case support.IsSupported:
			got = "supported"
		}
		if got != test.want {
			t.Errorf("%s at %s: got %q, want %q", test.version, test.at, got, test.want)
		}
	}
	if got := Releases(nil).SupportAt("1.0.0", time.Now()).Reason; got != "the catalog has no facts about its releases" {
		t.Errorf("got %q", got)
	}
}

func TestCompatibility(t *testing.T) {
	releases := compileReleases(t,
		v1alpha1.Release{Cycle: "1.17", Kubernetes: ">=1.31 <=1.34", Source: page, AsOf: "2026-03-01"},
		v1alpha1.Release{Cycle: "1.18", Kubernetes: ">=1.33", Source: page, AsOf: "2026-09-01"},
		v1alpha1.Release{Cycle: "1.19", Source: page, AsOf: "2026-09-01"},
	)
	for _, test := range []struct{ version, kubernetes, released, want string }{
		{"1.17.0", "1.30.9", "2024-04-01", "incompatible"},
		{"1.17.0", "1.31.0", "2024-08-01", "compatible"},
		{"1.17.0", "1.34.7", "2025-08-01", "compatible"},
		{"1.17.0", "1.35.0", "2025-12-01", "incompatible"},
		{"1.17.0", "1.38", "", "incompatible"},
		{"1.18.2", "1.37.1", "2026-08-01", "compatible"},
		{"1.18.2", "1.32", "2024-12-01", "incompatible"},
		{"1.18.2", "1.38", "2026-12-01", "unknown: upstream's statement for 1.18 is of 2026-09-01, before the release of Kubernetes 1.38"},
		{"1.18.2", "1.39", "", "unknown: upstream's statement for 1.18 is of 2026-09-01, before the release of Kubernetes 1.39"},
		{"1.19.0", "1.37", "2026-08-01", "unknown: upstream states no versions of Kubernetes for 1.19"},
		{"1.20.0", "1.37", "2026-08-01", "unknown: the catalog's facts go up to 1.19 (as of 2026-09-01)"},
	} {
		c, got := releases.CompatibilityWith(test.version, kubernetesRelease(t, test.kubernetes, test.released)), "incompatible"
		switch {
		case !c.IsKnown:
			got = "unknown: " + c.Reason
		case c.IsCompatible:
			got = "compatible"
		}
		if got != test.want {
			t.Errorf("%s on %s: got %q, want %q", test.version, test.kubernetes, got, test.want)
		}
	}
	if got := strings.Join(releases.CyclesFor(kubernetesRelease(t, "1.34", "2025-08-01")), " "); got != "1.17 1.18" {
		t.Errorf("1.34 is supported by %s", got)
	}
}

// A fact without its source and its day, or that contradicts itself, is refused.
func TestReleaseErrors(t *testing.T) {
	for name, test := range map[string]struct {
		release v1alpha1.Release
		want    string
	}{
		"no source":          {v1alpha1.Release{Cycle: "1", AsOf: "2026-11-01"}, "spec.releases[0].source: Required"},
		"no day":             {v1alpha1.Release{Cycle: "1", Source: page}, "spec.releases[0].asOf: Required"},
		"a day that is none": {v1alpha1.Release{Cycle: "1", Source: page, AsOf: "2026-13-01"}, "not a day"},
		"an end before the release": {
			v1alpha1.Release{Cycle: "1", Released: "2026-02-01", EndOfLife: "2026-01-01", Source: page, AsOf: "2026-11-01"},
			"before the day of the release",
		},
		"a range that is none": {v1alpha1.Release{Cycle: "1", Kubernetes: "1.30 or so", Source: page, AsOf: "2026-11-01"}, "not a version range"},
		"a cycle that is none": {v1alpha1.Release{Cycle: "1.x", Source: page, AsOf: "2026-11-01"}, "not the beginning of a version"},
	} {
		_, errs := Compile(withReleases(test.release))
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, errs, test.want)
		}
	}
}
