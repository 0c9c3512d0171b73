package resilience

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// gadgetCRD returns a CRD with versions, each "name", "name!" for the stored one, or "-name" for one that is not served.
func gadgetCRD(versions ...string) string {
	var all []string
	for _, v := range versions {
		name := strings.Trim(v, "-!")
		all = append(all, fmt.Sprintf("{name: %s, served: %t, storage: %t, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}",
			name, !strings.HasPrefix(v, "-"), strings.HasSuffix(v, "!")))
	}
	return "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: gadgets.faults.example.com}, spec: {group: faults.example.com, scope: Cluster, names: {plural: gadgets, singular: gadget, kind: Gadget, listKind: GadgetList}, versions: [" + strings.Join(all, ", ") + "]}}"
}

const gadgetProfile = `
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformProfile
metadata: {name: gadgets}
spec:
  layers:
  - name: gadgets
    requirements:
    - name: newest
      rule:
        resource: {group: faults.example.com, resource: gadgets}
        expression: "object.apiVersion == 'faults.example.com/v2'"
        message: all are read in the version v2
    - name: ok
      rule:
        resource: {group: faults.example.com, resource: gadgets}
        expression: "object.spec.ok"
        message: all are ok
`

// TestCRDsComeChangeAndGo tests a rule while the CRD of its resource is installed, gets another version, loses the one that is
// watched, is no longer served, and is deleted with its objects.
func TestCRDsComeChangeAndGo(t *testing.T) {
	tc, ctx := acquireCluster(t), context.Background()
	tc.startOperator(t, "", nil)
	tc.removeAtEnd(t, gadgetProfile)
	tc.removeAtEnd(t, gadgetCRD("v1!"))
	cluster.Must(t, tc.apply(ctx, parseObject(gadgetProfile)))
	awaitVerdict := func(step, requirement string, want v1alpha1.Verdict, text string) {
		t.Helper()
		took := cluster.Eventually(t, step, func() (bool, string) {
			is, message := tc.verdict("gadgets", "gadgets", requirement)
			return is == want && strings.Contains(message, text), string(is) + ": " + message
		})
		tc.awaitMatchesCheck(t)
		t.Logf("%s: %s after %s", step, want, took.Round(time.Millisecond))
	}
	awaitVerdict("no CRD", "ok", v1alpha1.VerdictMissing, "does not serve gadgets")
	cluster.Must(t, tc.apply(ctx, parseObject(gadgetCRD("v1!"))))
	awaitVerdict("the CRD comes", "ok", v1alpha1.VerdictSatisfied, "")
	cluster.Must(t, tc.apply(ctx, parseObject("{apiVersion: faults.example.com/v1, kind: Gadget, metadata: {name: one}, spec: {ok: true}}")))
	awaitVerdict("an object comes", "newest", v1alpha1.VerdictCheckFailed, "v2")
	cluster.Must(t, tc.apply(ctx, parseObject(gadgetCRD("v1!", "v2"))))
	awaitVerdict("a newer version is served", "newest", v1alpha1.VerdictSatisfied, "")
	cluster.Must(t, tc.apply(ctx, parseObject("{apiVersion: faults.example.com/v2, kind: Gadget, metadata: {name: two}, spec: {ok: false}}")))
	awaitVerdict("an object of it comes", "ok", v1alpha1.VerdictCheckFailed, "all are ok")
	cluster.Must(t, tc.apply(ctx, parseObject(gadgetCRD("v1!", "-v2"))))
	awaitVerdict("the newer version is withdrawn", "newest", v1alpha1.VerdictCheckFailed, "v2")
	awaitVerdict("and what it holds is still read", "ok", v1alpha1.VerdictCheckFailed, "all are ok")
	cluster.Must(t, tc.apply(ctx, parseObject(gadgetCRD("-v1!", "v2"))))
	awaitVerdict("the older version is withdrawn", "newest", v1alpha1.VerdictSatisfied, "")
	cluster.Must(t, tc.apply(ctx, parseObject(gadgetCRD("-v1!", "-v2"))))
	awaitVerdict("no version is served", "ok", v1alpha1.VerdictMissing, "does not serve gadgets")
	cluster.Must(t, tc.apply(ctx, parseObject(gadgetCRD("v1!", "v2"))))
	awaitVerdict("both are served again", "ok", v1alpha1.VerdictCheckFailed, "all are ok")
	cluster.Must(t, tc.remove(ctx, parseObject(gadgetCRD("v1!"))))
	awaitVerdict("the CRD goes", "ok", v1alpha1.VerdictMissing, "does not serve gadgets")
	cluster.Must(t, tc.apply(ctx, parseObject(gadgetCRD("v1!"))))
	awaitVerdict("it comes again, and is empty", "ok", v1alpha1.VerdictSatisfied, "")
}

const (
	sprocketProfile = `
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformProfile
metadata: {name: sprockets}
spec:
  layers:
  - name: sprockets
    requirements:
    - name: any
      rule:
        resource: {group: gone.example.com, resource: sprockets}
        listExpression: "objects.size() > 0"
        message: there is a sprocket
`
	sprocketService = "{apiVersion: v1, kind: Service, metadata: {name: sprockets, namespace: acme}, spec: {ports: [{port: 443}]}}"
	sprocketAPI     = "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1.gone.example.com}, spec: {group: gone.example.com, version: v1, groupPriorityMinimum: 1000, versionPriority: 10, insecureSkipTLSVerify: true, service: {name: sprockets, namespace: acme}}}"
)

// TestAggregatedAPIWithoutBackend tests that a rule over an API without a backend is Unknown, that other requirements stay as they
// are, and that a rule over an API that does not exist is Missing.
func TestAggregatedAPIWithoutBackend(t *testing.T) {
	tc, ctx := acquireCluster(t), context.Background()
	tc.startOperator(t, "", nil)
	tc.removeAtEnd(t, sprocketProfile)
	tc.removeAtEnd(t, sprocketService)
	tc.removeAtEnd(t, sprocketAPI)
	cluster.Must(t, tc.apply(ctx, parseObject(sprocketProfile)))
	awaitVerdict := func(want v1alpha1.Verdict, text string) time.Duration {
		t.Helper()
		return cluster.Eventually(t, "it is "+string(want), func() (bool, string) {
			is, message := tc.verdict("sprockets", "sprockets", "any")
			return is == want && strings.Contains(message, text), string(is) + ": " + message
		})
	}
	awaitVerdict(v1alpha1.VerdictMissing, "does not serve sprockets")
	cluster.Must(t, tc.apply(ctx, parseObject(sprocketService)))
	cluster.Must(t, tc.apply(ctx, parseObject(sprocketAPI)))
	t.Logf("Unknown %s after it is registered",
		awaitVerdict(v1alpha1.VerdictUnknown, "cannot read sprockets.gone.example.com: the API server has not answered since").Round(time.Second))
	// Whatever the aggregated API could still change is over when a change that comes after it is written.
	tc.removeAtEnd(t, unwantedClass)
	cluster.Must(t, tc.apply(ctx, parseObject(unwantedClass)))
	tc.awaitVerdict(t, "storage", "classes", v1alpha1.VerdictCheckFailed, "unwanted")
	cluster.Must(t, tc.remove(ctx, parseObject(unwantedClass)))
	tc.awaitVerdict(t, "storage", "classes", v1alpha1.VerdictSatisfied, "")
	for _, requirement := range []string{"apps/app", "apps/agent", "widgets/ok", "storage/classes"} {
		layer, name, _ := strings.Cut(requirement, "/")
		if is, message := tc.verdict("faults", layer, name); is != v1alpha1.VerdictSatisfied {
			t.Errorf("%s, which has nothing to do with it, is %s: %s", requirement, is, message)
		}
	}
	cluster.Must(t, tc.remove(ctx, parseObject(sprocketAPI)))
	t.Logf("Missing %s after it is registered no more",
		awaitVerdict(v1alpha1.VerdictMissing, "does not serve sprockets").Round(time.Millisecond))
	tc.awaitMatchesCheck(t)
}
