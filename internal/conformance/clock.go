package conformance

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// clockSkew is the tolerated difference between the clocks of two replicas.
const clockSkew = time.Minute

// clampToNow returns a time from the stored status, or now if that time is in the future because a wrong clock wrote it. Otherwise a
// grace period would not end until that time has passed.
func (e *evaluation) clampToNow(t *metav1.Time) *metav1.Time {
	if t != nil && t.After(e.now.Add(clockSkew)) {
		return &e.now
	}
	return t
}
