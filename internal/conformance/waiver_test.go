package conformance

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// newWaiver returns a waiver of network/it that ends in an hour.
func (w *world) newWaiver(name string, verdicts ...v1alpha1.Verdict) *v1alpha1.PlatformWaiver {
	return &v1alpha1.PlatformWaiver{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(w.now)},
		Spec: v1alpha1.PlatformWaiverSpec{
			Profile: "test", Requirement: "network/it", Verdicts: verdicts, Reason: "an upgrade is planned", By: "ann",
			URL: "https://tickets.example/1", Expires: new(metav1.NewTime(w.now.Add(time.Hour))),
		},
	}
}

const (
	missing         = v1alpha1.VerdictMissing
	versionMismatch = v1alpha1.VerdictVersionMismatch
)

// TestWaivers checks which verdicts a waiver covers.
func TestWaivers(t *testing.T) {
	w := newWorld(t, specWith(`anyOf: [{component: alpha, version: ">=2.0.0"}, {component: beta}]`))
	for name, test := range map[string]struct {
		image    string
		change   func(*v1alpha1.PlatformWaiver)
		isWaived bool
		state    v1alpha1.WaiverState
		message  string
	}{
		"the verdict": {"", nil, true, v1alpha1.WaiverActive, "network/it is Missing"},
		"a worse verdict": {"example/alpha:1.0.0", nil, false, v1alpha1.WaiverUnused,
			"network/it is VersionMismatch: the waiver covers Missing and not VersionMismatch"},
		"nothing fails": {"example/beta:1.0.0", nil, false, v1alpha1.WaiverUnused, "network/it is Satisfied"},
		"another requirement": {"", func(w *v1alpha1.PlatformWaiver) { w.Spec.Requirement = "network/other" }, false,
			v1alpha1.WaiverUnused, "the profile has no requirement network/other"},
		"the component": {"example/alpha:1.0.0", func(w *v1alpha1.PlatformWaiver) {
			w.Spec.Verdicts, w.Spec.Component = []v1alpha1.Verdict{versionMismatch}, "alpha"
		}, true, v1alpha1.WaiverActive, "network/it is VersionMismatch"},
		"another component": {"example/alpha:1.0.0", func(w *v1alpha1.PlatformWaiver) {
			w.Spec.Verdicts, w.Spec.Component = []v1alpha1.Verdict{versionMismatch}, "beta"
		}, false, v1alpha1.WaiverUnused, "network/it is VersionMismatch: the verdict is not about beta"},
		"the version": {"example/alpha:1.9.0", func(w *v1alpha1.PlatformWaiver) {
			w.Spec.Verdicts, w.Spec.Component, w.Spec.Versions = []v1alpha1.Verdict{versionMismatch}, "alpha", ">=1.9"
		}, true, v1alpha1.WaiverActive, "network/it is VersionMismatch"},
		"another version": {"example/alpha:1.8.0", func(w *v1alpha1.PlatformWaiver) {
			w.Spec.Verdicts, w.Spec.Component, w.Spec.Versions = []v1alpha1.Verdict{versionMismatch}, "alpha", ">=1.9"
		}, false, v1alpha1.WaiverUnused, "network/it is VersionMismatch: alpha 1.8.0 is not in >=1.9"},
		"an unknown version": {"example/alpha:latest", func(w *v1alpha1.PlatformWaiver) {
			w.Spec.Verdicts, w.Spec.Component, w.Spec.Versions = []v1alpha1.Verdict{versionMismatch}, "alpha", ">=1.9"
		}, false, v1alpha1.WaiverUnused, "not"},
		"no version range": {"", func(w *v1alpha1.PlatformWaiver) { w.Spec.Component, w.Spec.Versions = "alpha", "new" }, false,
			v1alpha1.WaiverUnused, `spec.versions: Invalid value: "new": not a version range`},
		"more than a year": {"", func(w *v1alpha1.PlatformWaiver) { w.Spec.Expires.Time = w.Spec.Expires.AddDate(1, 0, 0) }, false,
			v1alpha1.WaiverUnused, `spec.expires: Invalid value: "2028-01-02T04:04:05Z": a waiver lasts a year at most: set a time until 2028-01-02T03:04:05Z`},
	} {
		t.Run(name, func(t *testing.T) {
			if test.image == "" {
				w.setDeployments()
			} else {
				w.setDeployments(healthyDeployment("infra", test.image))
			}
			waiver := w.newWaiver("short", missing)
			if test.change != nil {
				test.change(waiver)
			}
			w.waivers = []*v1alpha1.PlatformWaiver{waiver}
			w.evaluate()
			r := w.requirement("it")
			if (r.Waived != nil) != test.isWaived {
				t.Errorf("waived: %+v, want %t (%s: %s)", r.Waived, test.isWaived, r.Verdict, r.Message)
			}
			profile := &v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: "test", Generation: 1}, Status: w.status}
			state, message := AssessWaiver(waiver, profile, w.now)
			if state != test.state || !strings.Contains(message, test.message) {
				t.Errorf("the waiver is %s: %s", state, message)
			}
		})
	}
}

// TestWaivedRequirement checks the status of a profile with a waived requirement, and of one with a failing one beside it.
func TestWaivedRequirement(t *testing.T) {
	w := newWorld(t, `
layers:
- name: network
  requirements:
  - {name: it, anyOf: [{component: alpha}]}
  - {name: ci, attestation: {by: us, reason: outside}}
- name: other
  requirements: [{name: registry, capability: registry}]`)
	w.setDeployments(healthyDeployment("infra", "example/gamma:1.0.0"))
	w.evaluate()
	since := w.requirement("it").FailingSince
	w.wantConformant(metav1.ConditionFalse, ReasonFailing)

	w.now = w.now.Add(time.Minute)
	w.waivers = []*v1alpha1.PlatformWaiver{w.newWaiver("short", missing), w.newWaiver("long", missing)}
	w.waivers[1].Spec.Expires.Time = w.now.Add(2 * time.Hour)
	result := w.evaluate()
	w.wantConformant(metav1.ConditionTrue, ReasonWaived)
	const message = "2 of 3 Required requirements are satisfied, 1 waived: " +
		"network/it is Missing and waived until 2027-01-02 05:05:05 UTC by ann: an upgrade is planned (https://tickets.example/1)"
	if c := w.condition("Conformant"); c.Message != message {
		t.Errorf("the message is %q", c.Message)
	}
	if c := w.condition("NetworkConformant"); c.Reason != ReasonWaived {
		t.Errorf("NetworkConformant has the reason %s", c.Reason)
	}
	if c := w.condition("OtherConformant"); c.Reason != ReasonAllHold {
		t.Errorf("OtherConformant has the reason %s", c.Reason)
	}
	r := w.requirement("it")
	if r.Verdict != missing || r.Waived == nil || r.Waived.Waiver != "long" || !r.FailingSince.Equal(since) {
		t.Errorf("the requirement is %+v, waived by %+v", r, r.Waived)
	}
	if w.status.Score != "2/3 (1 waived)" || w.status.Summary.Failed != 0 || w.status.Summary.Waived != 1 || w.status.Reason != "" {
		t.Errorf("score %q, summary %+v, reason %q", w.status.Score, w.status.Summary, w.status.Reason)
	}
	if len(result.Transitions) != 0 {
		t.Errorf("a waiver is no transition: %+v", result.Transitions)
	}
	profile := &v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: "test", Generation: 1}, Status: w.status}
	if state, message := AssessWaiver(w.waivers[0], profile, w.now); state != v1alpha1.WaiverUnused ||
		message != "the PlatformWaiver long covers network/it already" {
		t.Errorf("the other waiver is %s: %s", state, message)
	}

	w.setDeployments()
	w.evaluate()
	w.wantConformant(metav1.ConditionFalse, ReasonFailing)
	if c := w.condition("Conformant"); strings.Contains(c.Message, "network/it") || w.status.Reason != "other: registry Missing" {
		t.Errorf("only what is not waived fails: %s; %s", c.Message, w.status.Reason)
	}
}

// TestWaiverEndsToTheSecond checks that a waiver covers a requirement until the second before its end, and that the profile is evaluated
// at its end.
func TestWaiverEndsToTheSecond(t *testing.T) {
	w := newWorld(t, specWith(`anyOf: [{component: alpha}]`))
	waiver := w.newWaiver("short", missing)
	w.waivers = []*v1alpha1.PlatformWaiver{waiver}
	waiver.Spec.Expires.Time = w.now.Add(90 * time.Second)
	if result := w.evaluate(); result.RequeueAfter != 90*time.Second {
		t.Errorf("the next evaluation is after %s", result.RequeueAfter)
	}
	end := waiver.Spec.Expires.Time
	w.now = end.Add(-time.Nanosecond)
	w.evaluate()
	w.wantConformant(metav1.ConditionTrue, ReasonWaived)
	if state, _ := AssessWaiver(waiver, &v1alpha1.PlatformProfile{Status: w.status}, w.now); state != v1alpha1.WaiverActive {
		t.Errorf("before its end the waiver is %s", state)
	}
	w.now = end
	w.evaluate()
	w.wantConformant(metav1.ConditionFalse, ReasonFailing)
	if state, message := AssessWaiver(waiver, &v1alpha1.PlatformProfile{Status: w.status}, w.now); state != v1alpha1.WaiverExpired ||
		message != "expired at 2027-01-02 03:05:35 UTC" {
		t.Errorf("at its end the waiver is %s: %s", state, message)
	}
	if state, message := AssessWaiver(waiver, nil, end.Add(-time.Second)); state != v1alpha1.WaiverUnused ||
		message != `the cluster has no PlatformProfile "test"` {
		t.Errorf("without a profile the waiver is %s: %s", state, message)
	}
}
