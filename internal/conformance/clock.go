package conformance

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// clockSkew is how far the clocks of two replicas may be apart: times that lie no further ahead stand.
const clockSkew = time.Minute

// upTo is a status without times that lie ahead, which a clock has written that was put right since. Left as they are they
// would hold back what waits for them: a grace period, or the end of flapping, for as long as the clock was wrong. It is the
// status itself where there are none.
func upTo(now metav1.Time, status *v1alpha1.PlatformProfileStatus) *v1alpha1.PlatformProfileStatus {
	if !eachTime(status, func(t *metav1.Time) bool { return ahead(t, now) }) {
		return status
	}
	status = status.DeepCopy()
	eachTime(status, func(t *metav1.Time) bool {
		if ahead(t, now) {
			*t = now
		}
		return false
	})
	return status
}

func ahead(t *metav1.Time, now metav1.Time) bool { return t != nil && t.After(now.Add(clockSkew)) }

// eachTime calls a function with each time of a status, until it says that it has seen enough, and tells whether it did.
func eachTime(status *v1alpha1.PlatformProfileStatus, do func(*metav1.Time) bool) bool {
	if do(status.LastChangeTime) {
		return true
	}
	for i := range status.Conditions {
		if do(&status.Conditions[i].LastTransitionTime) {
			return true
		}
	}
	for i := range status.Layers {
		for j := range status.Layers[i].Requirements {
			r := &status.Layers[i].Requirements[j]
			if do(r.LastTransitionTime) || do(r.FailingSince) || r.Flapping != nil && do(&r.Flapping.Since) {
				return true
			}
			for k := range r.RecentTurns {
				if do(&r.RecentTurns[k]) {
					return true
				}
			}
		}
	}
	return false
}
