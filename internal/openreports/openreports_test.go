package openreports

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	reports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

var (
	evaluated  = metav1.NewTime(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC))
	transition = metav1.NewTime(time.Date(2027, 2, 1, 12, 0, 0, 0, time.UTC))
	failing    = metav1.NewTime(time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC))
	until      = metav1.NewTime(time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC))
)

// profileOf returns an evaluated profile with one layer.
func profileOf(requirements ...v1alpha1.RequirementStatus) *v1alpha1.PlatformProfile {
	return &v1alpha1.PlatformProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "platform", UID: "1234"},
		Status: v1alpha1.PlatformProfileStatus{
			LastChangeTime: &evaluated, Layers: []v1alpha1.LayerStatus{{Name: "network", Requirements: requirements}},
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: conformance.ReasonEvaluated}},
		},
	}
}

func suspend(profile *v1alpha1.PlatformProfile) {
	profile.Status.Conditions[0].Reason = conformance.ReasonSuspended
}

// TestResults covers every verdict with each severity, waived or not, suspended or not.
func TestResults(t *testing.T) {
	satisfied := []v1alpha1.Verdict{v1alpha1.VerdictSatisfied, v1alpha1.VerdictAttested}
	failed := []v1alpha1.Verdict{v1alpha1.VerdictMissing, v1alpha1.VerdictDegraded, v1alpha1.VerdictVersionMismatch,
		v1alpha1.VerdictCheckFailed, v1alpha1.VerdictConflict, v1alpha1.VerdictForbidden, v1alpha1.VerdictExpired}
	// The result by what the verdict is, and the severity.
	type outcome struct {
		kind     string
		severity v1alpha1.Severity
	}
	want := map[outcome]reports.Result{
		{"satisfied", ""}: "pass", {"satisfied", v1alpha1.SeverityRecommended}: "pass",
		{"failed", ""}: "fail", {"failed", v1alpha1.SeverityRecommended}: "warn",
		{"unknown", ""}: "error", {"unknown", v1alpha1.SeverityRecommended}: "error",
	}
	verdicts := map[string][]v1alpha1.Verdict{"satisfied": satisfied, "failed": failed, "unknown": {v1alpha1.VerdictUnknown}}
	tested := 0
	for o, result := range want {
		for _, verdict := range verdicts[o.kind] {
			for _, isWaived := range []bool{false, true} {
				for _, isSuspended := range []bool{false, true} {
					tested++
					r := v1alpha1.RequirementStatus{Name: "cni", Verdict: verdict, Severity: o.severity, LastTransitionTime: &transition}
					if isWaived {
						r.Waived = &v1alpha1.AppliedWaiver{Waiver: "cni-later", By: "team", Reason: "migration", Until: &until}
					}
					profile := profileOf(r)
					if isSuspended {
						suspend(profile)
					}
					want := result
					if isWaived || isSuspended {
						want = "skip"
					}
					report := New(profile)
					got := report.Results[0]
					name := fmt.Sprintf("%s %q waived=%t suspended=%t", verdict, o.severity, isWaived, isSuspended)
					if got.Result != want {
						t.Errorf("%s: the result is %s, want %s", name, got.Result, want)
					}
					isRecommended := o.severity == v1alpha1.SeverityRecommended
					if got.Scored == isRecommended || (got.Severity == "low") != isRecommended || (got.Severity == "high") == isRecommended {
						t.Errorf("%s: scored is %t and the severity %s", name, got.Scored, got.Severity)
					}
					if sum := countOf(report); !maps.Equal(sum, map[reports.Result]int{want: 1}) {
						t.Errorf("%s: the summary is %v", name, sum)
					}
					if got.Properties["verdict"] != string(verdict) || (got.Properties["waiver"] == "cni-later") != isWaived {
						t.Errorf("%s: the properties are %v", name, got.Properties)
					}
				}
			}
		}
	}
	if tested != (2+7+1)*2*2*2 {
		t.Errorf("%d combinations were tested", tested)
	}
}

func countOf(report *reports.ClusterReport) map[reports.Result]int {
	s := report.Summary
	counts := map[reports.Result]int{"pass": s.Pass, "fail": s.Fail, "warn": s.Warn, "error": s.Error, "skip": s.Skip}
	maps.DeleteFunc(counts, func(_ reports.Result, n int) bool { return n == 0 })
	return counts
}

// TestReport compares the whole report of a profile.
func TestReport(t *testing.T) {
	profile := profileOf(
		v1alpha1.RequirementStatus{
			Name: "cni", Verdict: v1alpha1.VerdictSatisfied, Component: "cilium", Version: "1.18.2", Health: v1alpha1.HealthHealthy,
			Namespace: "kube-system", ManagedBy: "HelmRelease kube-system/cilium",
			Evidence: []v1alpha1.Evidence{{APIVersion: "apps/v1", Kind: "DaemonSet", Namespace: "kube-system", Name: "cilium"}},
		},
		v1alpha1.RequirementStatus{
			Name: "dns", Verdict: v1alpha1.VerdictDegraded, Component: "coredns", Message: "Deployment coredns: 0 of 2 pods are ready",
			Remediation: "kubectl describe", LastTransitionTime: &transition, FailingSince: &failing,
			Waived: &v1alpha1.AppliedWaiver{Waiver: "dns-later", By: "team", Reason: "migration", URL: "https://example.com/1", Until: &until},
		},
	)
	got, err := yaml.Marshal(New(profile))
	if err != nil {
		t.Fatal(err)
	}
	const want = `apiVersion: openreports.io/v1alpha1
kind: ClusterReport
metadata:
  labels:
    app.kubernetes.io/managed-by: platformprofile
  name: platformprofile-platform
  ownerReferences:
  - apiVersion: platformprofile.dev/v1alpha1
    controller: true
    kind: PlatformProfile
    name: platform
    uid: "1234"
results:
- category: network
  message: 'Satisfied: cilium 1.18.2 in kube-system'
  policy: platform
  properties:
    component: cilium
    health: Healthy
    managedBy: HelmRelease kube-system/cilium
    namespace: kube-system
    resultID: ID0
    verdict: Satisfied
    version: 1.18.2
  resources:
  - apiVersion: platformprofile.dev/v1alpha1
    kind: PlatformProfile
    name: platform
    uid: "1234"
  - apiVersion: apps/v1
    kind: DaemonSet
    name: cilium
    namespace: kube-system
  result: pass
  rule: network/cni
  scored: true
  severity: high
  source: platformprofile
  timestamp:
    nanos: 0
    seconds: 1803902400
- category: network
  message: 'Degraded: Deployment coredns: 0 of 2 pods are ready'
  policy: platform
  properties:
    component: coredns
    remediation: kubectl describe
    resultID: ID1
    since: "2027-01-31T12:00:00Z"
    verdict: Degraded
    waivedBy: team
    waivedReason: migration
    waivedURL: https://example.com/1
    waivedUntil: "2027-06-30T00:00:00Z"
    waiver: dns-later
  resources:
  - apiVersion: platformprofile.dev/v1alpha1
    kind: PlatformProfile
    name: platform
    uid: "1234"
  result: skip
  rule: network/dns
  scored: true
  severity: high
  source: platformprofile
  timestamp:
    nanos: 0
    seconds: 1801483200
scope:
  apiVersion: platformprofile.dev/v1alpha1
  kind: PlatformProfile
  name: platform
  uid: "1234"
source: platformprofile
summary:
  error: 0
  fail: 0
  pass: 1
  skip: 1
  warn: 0
`
	text := string(got)
	for i, result := range New(profile).Results {
		id := result.Properties["resultID"]
		if len(id) != 16 || strings.Count(text, id) != 1 {
			t.Errorf("the ID of result %d is %q", i, id)
		}
		text = strings.Replace(text, id, fmt.Sprintf("ID%d", i), 1)
	}
	if text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// TestResultID asserts that an ID changes with the verdict, the waiver and the time of the transition, and with nothing else.
func TestResultID(t *testing.T) {
	id := func(change func(*v1alpha1.PlatformProfile, *v1alpha1.RequirementStatus)) string {
		profile := profileOf(v1alpha1.RequirementStatus{Name: "cni", Verdict: v1alpha1.VerdictMissing, LastTransitionTime: &transition})
		change(profile, &profile.Status.Layers[0].Requirements[0])
		return New(profile).Results[0].Properties["resultID"]
	}
	before := id(func(*v1alpha1.PlatformProfile, *v1alpha1.RequirementStatus) {})
	for name, change := range map[string]func(*v1alpha1.PlatformProfile, *v1alpha1.RequirementStatus){
		"profile":     func(p *v1alpha1.PlatformProfile, _ *v1alpha1.RequirementStatus) { p.Name = "other" },
		"layer":       func(p *v1alpha1.PlatformProfile, _ *v1alpha1.RequirementStatus) { p.Status.Layers[0].Name = "other" },
		"requirement": func(_ *v1alpha1.PlatformProfile, r *v1alpha1.RequirementStatus) { r.Name = "other" },
		"verdict":     func(_ *v1alpha1.PlatformProfile, r *v1alpha1.RequirementStatus) { r.Verdict = v1alpha1.VerdictDegraded },
		"transition":  func(_ *v1alpha1.PlatformProfile, r *v1alpha1.RequirementStatus) { r.LastTransitionTime = &evaluated },
		"waiver": func(_ *v1alpha1.PlatformProfile, r *v1alpha1.RequirementStatus) {
			r.Waived = &v1alpha1.AppliedWaiver{Waiver: "x"}
		},
	} {
		if id(change) == before {
			t.Errorf("the ID does not depend on the %s", name)
		}
	}
	for name, change := range map[string]func(*v1alpha1.PlatformProfile, *v1alpha1.RequirementStatus){
		"message": func(_ *v1alpha1.PlatformProfile, r *v1alpha1.RequirementStatus) { r.Message = "1 of 3 pods are ready" },
		"evidence": func(_ *v1alpha1.PlatformProfile, r *v1alpha1.RequirementStatus) {
			r.Evidence = []v1alpha1.Evidence{{APIVersion: "v1", Kind: "Node", Name: "a"}}
		},
		"time of the last change": func(p *v1alpha1.PlatformProfile, _ *v1alpha1.RequirementStatus) { p.Status.LastChangeTime = &until },
	} {
		if id(change) != before {
			t.Errorf("the ID depends on the %s", name)
		}
	}
}

// TestResultsBesideRequirements covers errors in the spec and undeclared components, which make a profile non-conformant or Unknown.
func TestResultsBesideRequirements(t *testing.T) {
	satisfied := v1alpha1.RequirementStatus{Name: "cni", Verdict: v1alpha1.VerdictSatisfied}
	unknown := v1alpha1.RequirementStatus{Name: "dns", Verdict: v1alpha1.VerdictUnknown}
	condition := func(kind string, value metav1.ConditionStatus, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: value, Message: message, LastTransitionTime: transition}
	}
	forbid := func(p *v1alpha1.PlatformProfile) { p.Spec.Undeclared = v1alpha1.UndeclaredForbid }
	for name, test := range map[string]struct {
		requirements []v1alpha1.RequirementStatus
		change       func(*v1alpha1.PlatformProfile)
		want         []string // rule, result and message
	}{
		"nothing else": {[]v1alpha1.RequirementStatus{satisfied}, func(*v1alpha1.PlatformProfile) {}, nil},
		"errors in the spec": {nil, func(p *v1alpha1.PlatformProfile) {
			p.Status.Conditions = append(p.Status.Conditions, condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, "no such capability"))
		}, []string{"spec error no such capability"}},
		"none is undeclared": {[]v1alpha1.RequirementStatus{satisfied}, forbid, []string{"undeclared pass no undeclared components are installed"}},
		"suspended": {[]v1alpha1.RequirementStatus{satisfied}, func(p *v1alpha1.PlatformProfile) { forbid(p); suspend(p) },
			[]string{"undeclared skip the evaluation is suspended"}},
		"undeclared components": {[]v1alpha1.RequirementStatus{satisfied}, func(p *v1alpha1.PlatformProfile) {
			forbid(p)
			p.Status.Undeclared = []v1alpha1.UndeclaredComponent{{Component: "falco", Version: "0.41.0", Namespace: "falco"}, {Component: "velero"}}
		}, []string{"undeclared fail installed but not declared by any requirement: falco 0.41.0, velero"}},
		"reported only": {[]v1alpha1.RequirementStatus{satisfied}, func(p *v1alpha1.PlatformProfile) {
			p.Spec.Undeclared = v1alpha1.UndeclaredReport
			p.Status.Undeclared = []v1alpha1.UndeclaredComponent{{Component: "falco"}}
		}, nil},
		"unreadable": {[]v1alpha1.RequirementStatus{satisfied}, func(p *v1alpha1.PlatformProfile) {
			forbid(p)
			p.Status.Conditions = append(p.Status.Conditions, condition(v1alpha1.ConditionConformant, metav1.ConditionUnknown, "cannot read nodes"))
		}, []string{"undeclared error cannot read nodes"}},
		"unknown because of a requirement": {[]v1alpha1.RequirementStatus{unknown}, func(p *v1alpha1.PlatformProfile) {
			forbid(p)
			p.Status.Conditions = append(p.Status.Conditions, condition(v1alpha1.ConditionConformant, metav1.ConditionUnknown, "dns is Unknown"))
		}, []string{"undeclared pass no undeclared components are installed"}},
	} {
		t.Run(name, func(t *testing.T) {
			profile := profileOf(test.requirements...)
			test.change(profile)
			var got []string
			report := New(profile)
			for _, result := range report.Results[len(test.requirements):] {
				got = append(got, fmt.Sprintf("%s %s %s", result.Rule, result.Result, result.Description))
				if !result.Scored || result.Category == "" || result.Policy != "platform" || result.Timestamp.Seconds == 0 {
					t.Errorf("the result is incomplete: %+v", result)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			total := 0
			for _, n := range countOf(report) {
				total += n
			}
			if total != len(report.Results) {
				t.Errorf("the summary %+v does not count %d results", report.Summary, len(report.Results))
			}
		})
	}
}

func TestNameIsValidAndUnique(t *testing.T) {
	long := strings.Repeat("a", 253)
	names := map[string]bool{}
	for _, profile := range []string{"platform", long, long[:252] + "b", long[:237]} {
		name := Name(profile)
		if len(name) > 253 || !strings.HasPrefix(name, "platformprofile-") || names[name] {
			t.Errorf("%s of %d bytes is too long or not unique", name, len(name))
		}
		names[name] = true
	}
}

// TestAPIs tests that the older API gets the same report without the field that it lacks.
func TestAPIs(t *testing.T) {
	report := New(profileOf(v1alpha1.RequirementStatus{Name: "cni", Verdict: v1alpha1.VerdictMissing}))
	preferred, err := APIs[0].Object(report)
	if err != nil {
		t.Fatal(err)
	}
	older, err := APIs[1].Object(report)
	if err != nil {
		t.Fatal(err)
	}
	if preferred.GroupVersionKind().String() != "openreports.io/v1alpha1, Kind=ClusterReport" ||
		older.GroupVersionKind().String() != "wgpolicyk8s.io/v1alpha2, Kind=ClusterPolicyReport" {
		t.Errorf("the kinds are %s and %s", preferred.GroupVersionKind(), older.GroupVersionKind())
	}
	if preferred.Object["source"] != source || older.Object["source"] != nil {
		t.Errorf("the sources are %v and %v", preferred.Object["source"], older.Object["source"])
	}
	if !equality.Semantic.DeepEqual(preferred.Object["results"], older.Object["results"]) {
		t.Error("the results differ")
	}
}

func TestIsUpToDate(t *testing.T) {
	object := func(change func(*v1alpha1.PlatformProfile)) map[string]any {
		profile := profileOf(v1alpha1.RequirementStatus{Name: "cni", Verdict: v1alpha1.VerdictMissing})
		change(profile)
		wanted, err := APIs[0].Object(New(profile))
		if err != nil {
			t.Fatal(err)
		}
		return wanted.Object
	}
	wanted, err := APIs[0].Object(New(profileOf(v1alpha1.RequirementStatus{Name: "cni", Verdict: v1alpha1.VerdictMissing})))
	if err != nil {
		t.Fatal(err)
	}
	stored := wanted.DeepCopy()
	stored.SetResourceVersion("7")
	stored.SetLabels(map[string]string{managedByLabel: source, "team": "a"})
	if !IsUpToDate(stored, wanted) {
		t.Error("what others set counts as a difference")
	}
	stored.SetLabels(nil)
	if IsUpToDate(stored, wanted) {
		t.Error("a missing label is no difference")
	}
	for name, change := range map[string]func(*v1alpha1.PlatformProfile){
		"a verdict": func(p *v1alpha1.PlatformProfile) {
			p.Status.Layers[0].Requirements[0].Verdict = v1alpha1.VerdictSatisfied
		},
		"no results": func(p *v1alpha1.PlatformProfile) { p.Status.Layers = nil },
		"an owner":   func(p *v1alpha1.PlatformProfile) { p.UID = "5678" },
	} {
		stored.Object = object(change)
		if IsUpToDate(stored, wanted) {
			t.Errorf("%s is no difference", name)
		}
	}
}
