package resilience

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// failureCase is one way in which a kind fails while the others work.
type failureCase struct {
	name  string
	fault fault
	// message is what the message of Unknown holds, empty where the kind can still be listed, so that the verdict stays right.
	message string
	// group and resource are the kind, and unwanted is one of it that its check refuses.
	group, resource, unwanted string
}

// unansweredMessage returns the beginning of the message for a kind that the API server does not answer for.
func unansweredMessage(kind string) string {
	return "cannot read " + kind + ": the API server has not answered since 20"
}

var failureCases = []failureCase{
	{
		"a watch that is forbidden", fault{path: "/runtimeclasses", watch: true, status: http.StatusForbidden}, "cannot read runtimeclasses.node.k8s.io: permission to list and watch is missing; grant the verbs list and watch",
		"node.k8s.io", "runtimeclasses", "{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: failing}, handler: runc}",
	},
	{
		"500 to watches", fault{path: "/widgets", watch: true, status: http.StatusInternalServerError}, "",
		"faults.example.com", "widgets", "{apiVersion: faults.example.com/v1alpha1, kind: Widget, metadata: {name: failing}, spec: {ok: true}}",
	},
	{
		"watches that expire at once", fault{path: "/validatingwebhookconfigurations", watch: true, expired: true}, "",
		"admissionregistration.k8s.io", "validatingwebhookconfigurations", "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: failing}}",
	},
	{
		"429 to watches",
		fault{path: "/csidrivers", watch: true, status: http.StatusTooManyRequests},
		unansweredMessage("csidrivers.storage.k8s.io"),
		"storage.k8s.io",
		"csidrivers",
		"{apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: failing}, spec: {}}",
	},
	{
		"500", fault{path: "/ingressclasses", status: http.StatusInternalServerError}, unansweredMessage("ingressclasses.networking.k8s.io"),
		"networking.k8s.io", "ingressclasses", "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: failing}, spec: {controller: example.com/c}}",
	},
	{
		"429 with Retry-After",
		fault{path: "/storageclasses", status: http.StatusTooManyRequests, retryAfter: "5"},
		unansweredMessage("storageclasses.storage.k8s.io"),
		"storage.k8s.io",
		"storageclasses",
		"{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: failing}, provisioner: example.com/unwanted}",
	},
	{
		"watches that say nothing", fault{path: "/mutatingwebhookconfigurations", watch: true, silent: true}, "",
		"admissionregistration.k8s.io", "mutatingwebhookconfigurations", "{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: failing}}",
	},
	{
		"requests without an answer", fault{path: "/priorityclasses", hang: true}, unansweredMessage("priorityclasses.scheduling.k8s.io"),
		"scheduling.k8s.io", "priorityclasses", "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: failing}, value: 1}",
	},
}

// TestWhatCannotBeKnown runs three operators at the same time, because each needs a while to notice: one that is cut off, one behind
// a black hole, and one for which single kinds fail.
func TestWhatCannotBeKnown(t *testing.T) {
	tc := acquireCluster(t)
	cut, hung := tc.startIsolatedOperator(t, (*tcpProxy).reject), tc.startIsolatedOperator(t, (*tcpProxy).blackhole)
	t.Run("single kinds", tc.testFailingKinds)
	t.Run("cut off", cut.testReportsUnknown)
	t.Run("behind a black hole", hung.testReportsUnknown)
	cut.testRecovers(t)
	hung.testRecovers(t)
}

// testFailingKinds tests requirements whose kind fails while others work: they become Unknown, with a message that names the kind,
// the time and the remedy, and recover afterwards. A kind that can still be listed stays right.
func (tc *testCluster) testFailingKinds(t *testing.T) {
	ctx := context.Background()
	d, err := newAPIProxy(tc.Config)
	cluster.Must(t, err)
	t.Cleanup(d.close)
	tc.startOperator(t, d.url(), d.authority, "--watch-silence", "15s")
	asked := make([]string, 0, len(failureCases))
	for _, f := range failureCases {
		tc.removeAtEnd(t, f.unwanted)
		asked = append(asked, fmt.Sprintf("{name: %s, rule: {resource: {group: %s, resource: %s}, "+
			"expression: \"object.metadata.name != 'failing'\", message: none fails}}", f.resource, f.group, f.resource))
	}
	text := profile("failing", "Ignore", false, asked)
	tc.removeAtEnd(t, text)
	cluster.Must(t, tc.apply(ctx, parseObject(text)))
	is := func(t *testing.T, f failureCase, want v1alpha1.Verdict, wantMessage string) time.Duration {
		t.Helper()
		return cluster.Eventually(t, f.resource+" is "+string(want), func() (bool, string) {
			found, message := tc.verdict("failing", "any", f.resource)
			return found == want && strings.Contains(message, wantMessage), string(found) + ": " + message
		})
	}
	for _, f := range failureCases {
		is(t, f, v1alpha1.VerdictSatisfied, "")
		d.addFault(f.name, f.fault)
	}
	set := time.Now()
	t.Run("while they do", func(t *testing.T) {
		for _, f := range failureCases { // in the order in which it is noticed
			t.Run(f.name, func(t *testing.T) {
				if f.message == "" {
					cluster.Must(t, tc.apply(ctx, parseObject(f.unwanted)))
					t.Logf("a change is seen after %s", is(t, f, v1alpha1.VerdictCheckFailed, "none fails").Round(time.Second))
					return
				}
				is(t, f, v1alpha1.VerdictUnknown, f.message)
				t.Logf("seen to be Unknown %s after it began to fail", time.Since(set).Round(time.Second))
				cluster.Must(t, tc.apply(ctx, parseObject(f.unwanted)))
			})
		}
	})
	if found := tc.conformant(t, "failing"); found != "False" {
		t.Errorf("three fail and the others are Unknown, and Conformant is %s", found)
	}
	if found, message := tc.verdict("faults", "apps", "app"); found != v1alpha1.VerdictSatisfied {
		t.Errorf("apps/app, which has nothing to do with it, is %s: %s", found, message)
	}
	began, met := time.Now(), d.faultCount()
	time.Sleep(5 * time.Second)
	if rate := float64(d.faultCount()-met) / time.Since(began).Seconds(); rate > 20 {
		t.Errorf("the operator asks %.1f times a second for %d kinds that fail", rate, len(failureCases))
	}
	d.clearFaults()
	over := time.Now()
	for _, f := range failureCases {
		is(t, f, v1alpha1.VerdictCheckFailed, "none fails")
	}
	tc.awaitMatchesCheck(t)
	t.Logf("right %s after it was over", time.Since(over).Round(time.Millisecond))
}
