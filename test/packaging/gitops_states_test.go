package packaging

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// The requirements that the states are made of.
const (
	holding  = "{name: ci, requirements: [{name: runners, attestation: {by: us, reason: outside}}]}"
	missing  = "{name: security, requirements: [{name: sensor, anyOf: [{component: falco}]}]}"
	unseen   = "{name: network, requirements: [{name: cni, capability: cni}]}"
	mistaken = "{name: other, requirements: [{name: nobody-knows, anyOf: [{component: no-such-component}]}]}"
	harmless = "{name: other, requirements: [{name: nobody-knows, severity: Recommended, anyOf: [{component: no-such-component}]}]}"
)

// waived waives the verdict on missing for an hour.
func waived() string {
	return "{apiVersion: platformprofile.dev/v1alpha1, kind: PlatformWaiver, metadata: {name: later}, spec: {profile: test, requirement: security/sensor, verdicts: [Missing], by: us, reason: it comes, expires: \"" +
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + "\"}}"
}

// state is a profile as the API serves it, and what the tools must make of it.
type state struct {
	profile *v1alpha1.PlatformProfile
	argo    string
	flux    string
}

// states are all that a gate can meet. Their statuses are those that evaluations come to.
func states(t *testing.T) map[string]state {
	t.Helper()
	evaluated := func(layers string, waivers ...string) *v1alpha1.PlatformProfile {
		profile, err := cluster.EvaluatedProfile("["+layers+"]", waivers...)
		cluster.Must(t, err)
		return profile
	}
	changed := evaluated(holding)
	changed.Generation = 4
	fresh := evaluated(holding)
	fresh.Status = v1alpha1.PlatformProfileStatus{}
	syncing := evaluated(holding)
	syncing.Status = v1alpha1.PlatformProfileStatus{Conditions: []metav1.Condition{
		{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: "Syncing", ObservedGeneration: 3},
	}}
	suspend := func(generation int64) *v1alpha1.PlatformProfile {
		profile := evaluated(holding)
		profile.Spec.Suspend, profile.Generation = true, generation
		profile.Status, _ = conformance.SuspendedStatus(&profile.Status, generation, time.Now())
		return profile
	}
	resumed := suspend(4)
	resumed.Spec.Suspend, resumed.Generation = false, 5
	return map[string]state{
		"conformant":                         {evaluated(holding), "Healthy", "Current"},
		"waived":                             {evaluated(holding+","+missing, waived()), "Healthy", "Current"},
		"not conformant":                     {evaluated(holding + "," + missing), "Degraded", "Failed"},
		"not readable":                       {evaluated(holding + "," + unseen), "Unknown", "InProgress"},
		"not yet evaluated":                  {fresh, "Progressing", "InProgress"},
		"in its first sync":                  {syncing, "Progressing", "InProgress"},
		"changed since":                      {changed, "Progressing", "InProgress"},
		"suspended":                          {suspend(3), "Suspended", "InProgress"},
		"suspended with another spec":        {suspend(4), "Suspended", "InProgress"},
		"resumed and not yet evaluated":      {resumed, "Progressing", "InProgress"},
		"mistaken":                           {evaluated(holding + "," + mistaken), "Degraded", "Failed"},
		"conformant, and mistaken elsewhere": {evaluated(holding + "," + harmless), "Healthy", "Current"},
	}
}
