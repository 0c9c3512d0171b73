package cluster

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Timeout is how long tests wait for a state that must come. It allows for a busy machine: make bench measures how fast the
// operator is.
const Timeout = 3 * time.Minute

// Must ends the test if there is an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until a condition holds, and returns how long that took. While the condition does not hold, it returns the
// reason.
func Eventually(t testing.TB, what string, condition func() (bool, string)) time.Duration {
	t.Helper()
	return EventuallyWithin(t, Timeout, what, condition)
}

// EventuallyWithin waits as Eventually does, for another time.
func EventuallyWithin(t testing.TB, timeout time.Duration, what string, condition func() (bool, string)) time.Duration {
	t.Helper()
	const interval = 50 * time.Millisecond
	start, reason := time.Now(), ""
	err := wait.PollUntilContextTimeout(context.Background(), interval, timeout, true, func(context.Context) (done bool, _ error) {
		done, reason = condition()
		return done, nil
	})
	if err != nil {
		t.Fatalf("%s: not within %s: %s", what, timeout, reason)
	}
	return time.Since(start)
}
