package conformance

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// clockSkew is how far the clocks of two replicas may be apart: times that lie no further ahead are kept.
const clockSkew = time.Minute

// notAfterNow is a time of the status before, or now where it lies ahead: a clock wrote it that was put right since. Left as it is it
// would hold back what waits for it, the end of a grace period, for as long as the clock was wrong.
func (e *evaluation) notAfterNow(t *metav1.Time) *metav1.Time {
	if t != nil && t.After(e.now.Add(clockSkew)) {
		return &e.now
	}
	return t
}
