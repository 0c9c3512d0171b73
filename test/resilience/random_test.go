package resilience

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"pgregory.net/rapid"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// proxiedOperator is an operator that reaches the API server through both proxies.
type proxiedOperator struct {
	*testCluster
	operator *cluster.Operator
	tcp      *tcpProxy
	api      *apiProxy
	restarts int
}

func (tc *testCluster) startProxiedOperator(t *testing.T, flags ...string) *proxiedOperator {
	t.Helper()
	d, err := newAPIProxy(tc.Config)
	cluster.Must(t, err)
	t.Cleanup(d.close)
	w := startTCPProxy(t, hostOf(t, d.url()))
	return &proxiedOperator{testCluster: tc, operator: tc.startOperator(t, "https://"+w.address(), d.authority, flags...), tcp: w, api: d}
}

// chooser is a source of random choices.
type chooser interface {
	pick(label string, n int) int
}

// rapidChooser draws from rapid, which prints the draws of a sequence that fails.
type rapidChooser struct{ *rapid.T }

func (d rapidChooser) pick(label string, n int) int { return rapid.IntRange(0, n-1).Draw(d.T, label) }

// applyRandomChange makes one random change of a resource, a definition or a profile, and returns its description.
func (tc *testCluster) applyRandomChange(ctx context.Context, d chooser) (string, error) {
	put := func(text string) (string, error) { return text, tc.apply(ctx, parseObject(text)) }
	drop := func(text string) (string, error) { return "no " + text, tc.remove(ctx, parseObject(text)) }
	there := func(text string) (string, error) {
		if d.pick("there", 2) == 0 {
			return drop(text)
		}
		return put(text)
	}
	switch d.pick("change", 24) {
	case 0, 1, 2:
		return put(deployment("app", "acme/app:"+[]string{"v0.9.0", "v1.2.0", "v2.0.0"}[d.pick("version", 3)], d.pick("replicas", 3)))
	case 3:
		return there(deployment("app", "acme/app:v1.2.0", 1))
	case 4:
		return there(deployment("other", "weaveworks/weave-kube:2.8.1", 1))
	case 5, 6:
		return there(daemonSet("agent", "acme/agent:v2.0.0"))
	case 7, 8, 9:
		return there(unwantedClass)
	case 10, 11, 12, 13, 14:
		return there(fmt.Sprintf("{apiVersion: faults.example.com/v1alpha1, kind: Widget, metadata: {name: w%d}, spec: {ok: %t}}", d.pick("widget", 3), d.pick("ok", 3) > 0))
	case 15, 16:
		return put(definition("acme-app", []string{"acme/app", "acme/app2", "acme/agent"}[d.pick("image", 3)]))
	case 17:
		return there(definition("acme-app", "acme/app"))
	case 18:
		return there(fmt.Sprintf("{apiVersion: v1, kind: Node, metadata: {name: extra%d, labels: {type: kwok}, annotations: {kwok.x-k8s.io/node: fake}}}", d.pick("node", 2)))
	case 19:
		return there(gadgetCRD([][]string{{"v1!"}, {"v1!", "v2"}, {"-v1!", "v2"}}[d.pick("versions", 3)]...))
	case 20:
		return there(fmt.Sprintf("{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: c%d}, spec: {controller: example.com/c}}", d.pick("class", 2)))
	default:
		if d.pick("there", 4) == 0 {
			return drop(profile("random", "Ignore", false, nil))
		}
		var asked []string
		for n, requirement := range randomRequirements {
			if d.pick("asks", 2) == 1 {
				asked = append(asked, fmt.Sprintf("{name: r%d, %s}", n, requirement))
			}
		}
		return put(profile("random", []string{"Ignore", "Report", "Forbid"}[d.pick("undeclared", 3)], d.pick("suspend", 8) == 0, asked))
	}
}

func deployment(name, image string, replicas int) string {
	return fmt.Sprintf("{apiVersion: apps/v1, kind: Deployment, metadata: {name: %[1]s, namespace: acme}, spec: {replicas: %[3]d, selector: {matchLabels: {app: %[1]s}}, template: {metadata: {labels: {app: %[1]s}}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: %[2]q}]}}}}", name, image, replicas)
}

func daemonSet(name, image string) string {
	return fmt.Sprintf("{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: %[1]s, namespace: acme}, spec: {selector: {matchLabels: {app: %[1]s}}, template: {metadata: {labels: {app: %[1]s}}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: agent, image: %[2]q}]}}}}", name, image)
}

func definition(name, image string) string {
	return fmt.Sprintf("{apiVersion: platformprofile.dev/v1alpha1, kind: PlatformComponent, metadata: {name: %s}, spec: {layer: apps, signals: {workloads: [{kinds: [Deployment], images: [%q]}]}}}", name, image)
}

// randomRequirements are the requirements of random profiles.
var randomRequirements = []string{
	`anyOf: [{component: kubernetes}], checks: [{name: nodes-ready}]`,
	`anyOf: [{component: acme-app, version: ">=1.0.0"}]`,
	`anyOf: [{component: acme-agent}], severity: Recommended`,
	`presence: Absent, anyOf: [{component: weave-net}]`,
	`rule: {resource: {group: faults.example.com, resource: gadgets}, expression: "object.spec.ok", message: all are ok}`,
	`rule: {resource: {group: faults.example.com, resource: widgets}, listExpression: "objects.size() < 3", message: few widgets}`,
	`rule: {resource: {group: networking.k8s.io, resource: ingressclasses}, expression: "object.spec.controller == 'example.com/c'", require: Any, message: there is a class}`,
	`rule: {resource: {resource: nodes}, listExpression: "objects.size() == 2", message: two nodes}`,
}

func profile(name, undeclared string, suspend bool, asked []string) string {
	if len(asked) == 0 {
		asked = []string{"{name: r, anyOf: [{component: kubernetes}]}"}
	}
	return fmt.Sprintf("{apiVersion: platformprofile.dev/v1alpha1, kind: PlatformProfile, metadata: {name: %s}, spec: {undeclared: %s, suspend: %t, layers: [{name: any, requirements: [%s]}]}}",
		name, undeclared, suspend, strings.Join(asked, ", "))
}

// faultPaths are parts of the paths that the operator requests.
var faultPaths = []string{
	"/storageclasses",
	"/deployments",
	"/widgets",
	"/customresourcedefinitions",
	"/platformprofiles",
	"/platformcomponents",
	"/apis/apps/",
	"/nodes",
	"?",
}

// injectRandomFault starts one random fault, which may end at once, and returns its description.
func (r *proxiedOperator) injectRandomFault(ctx context.Context, d chooser) (string, error) {
	path := faultPaths[d.pick("path", len(faultPaths))]
	set := func(f fault) (string, error) {
		r.api.addFault(strconv.Itoa(d.pick("fault", 2)), f)
		return fmt.Sprintf("%+v", f), nil
	}
	switch d.pick("fails", 12) {
	case 0:
		r.tcp.dropConnections()
		return "connections break off", nil
	case 1:
		r.tcp.reject()
		return "the network is cut", nil
	case 2:
		r.tcp.blackhole()
		return "the network carries nothing", nil
	case 3:
		r.tcp.delayPackets(20 * time.Millisecond)
		return "the network is slow", nil
	case 4:
		return set(fault{path: path, status: http.StatusInternalServerError})
	case 5:
		return set(fault{path: path, status: http.StatusTooManyRequests, retryAfter: []string{"", "1"}[d.pick("with Retry-After", 2)]})
	case 6:
		return set(fault{path: path, watch: true, status: http.StatusForbidden})
	case 7:
		return set(fault{path: path, watch: true, expired: true})
	case 8:
		return set(fault{path: path, list: true, status: http.StatusServiceUnavailable})
	case 9, 10:
		return fmt.Sprintf("%d watches of %s end", r.api.endWatches(path), path), nil
	default:
		const most = 1 // in a part of the sequences: each takes as long as fifty others
		if r.restarts >= most || d.pick("restarts", 8) > 0 {
			return fmt.Sprintf("%d watches of %s end", r.api.endWatches(path), path), nil
		}
		r.restarts++
		if err := r.Control(ctx, "kill", "kube-apiserver"); err != nil {
			return "", err
		}
		return "the API server is killed", r.Control(ctx, "start", "kube-apiserver")
	}
}

// restoreNetwork ends all faults.
func (r *proxiedOperator) restoreNetwork() {
	r.api.clearFaults()
	r.tcp.restore()
}

// parts is the number of operators that share the random sequences.
const parts = 8

// statistics counts what random sequences tried.
type statistics struct {
	mu                                   sync.Mutex
	sequences, changes, faults, restarts int
	checks                               int // how often the stored statuses were compared with those of check
	longest                              time.Duration
}

func (all *statistics) add(some *statistics) {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.sequences += some.sequences
	all.changes += some.changes
	all.faults += some.faults
	all.restarts += some.restarts
	all.checks += some.checks
	all.longest = max(all.longest, some.longest)
}

func (all *statistics) String() string {
	return fmt.Sprintf("%d sequences of %d changes and %d faults (the API server was killed %d times); right at most %s after each, in %d checks",
		all.sequences, all.changes, all.faults, all.restarts, all.longest.Round(time.Millisecond), all.checks)
}

// TestAnySequence tries random sequences of changes and faults: after each, all stored statuses are those that check computes.
func TestAnySequence(t *testing.T) {
	t.Parallel()
	all := &statistics{}
	t.Cleanup(func() { t.Log(all) })
	for part := range parts {
		t.Run(strconv.Itoa(part), func(t *testing.T) {
			tc := acquireCluster(t)
			r := tc.startProxiedOperator(t)
			tc.awaitMatchesCheck(t)
			some := &statistics{}
			rapid.Check(t, func(rt *rapid.T) { r.runSequence(rt, some) })
			some.restarts = r.restarts
			t.Log(some)
			all.add(some)
			cluster.Must(t, tc.restore(context.Background()))
			tc.awaitMatchesCheck(t)
		})
	}
}

// TestRecreatedUnseen deletes a definition and a profile while the operator cannot watch, and creates others of the same names,
// which arrive as updates of objects with the same generation.
func TestRecreatedUnseen(t *testing.T) {
	tc := acquireCluster(t)
	r := tc.startProxiedOperator(t)
	ctx := context.Background()
	recreated := "{apiVersion: platformprofile.dev/v1alpha1, kind: PlatformProfile, metadata: {name: recreated}, spec: {layers: [{name: apps, requirements: [{name: app, anyOf: [{component: %s}]}]}]}}"
	cluster.Must(t, tc.apply(ctx, parseObject(fmt.Sprintf(recreated, "acme-app"))))
	tc.awaitMatchesCheck(t)
	for n, kind := range []string{"/platformcomponents", "/platformprofiles"} {
		r.api.addFault(fmt.Sprint("list", n), fault{path: kind, list: true, status: http.StatusServiceUnavailable})
		r.api.addFault(fmt.Sprint("watch", n), fault{path: kind, watch: true, expired: true})
	}
	for _, text := range []string{definition("acme-app", "acme/app2"), fmt.Sprintf(recreated, "acme-agent")} {
		cluster.Must(t, tc.remove(ctx, parseObject(text)))
		cluster.Must(t, tc.apply(ctx, parseObject(text)))
	}
	r.restoreNetwork()
	tc.awaitMatchesCheck(t)
	cluster.Must(t, tc.remove(ctx, parseObject(fmt.Sprintf(recreated, "acme-agent"))))
	cluster.Must(t, tc.restore(ctx))
	tc.awaitMatchesCheck(t)
}

// runSequence tries a random sequence, ends its faults, and waits until all statuses are right.
func (r *proxiedOperator) runSequence(rt *rapid.T, some *statistics) {
	ctx, d := context.Background(), rapidChooser{rt}
	some.sequences++
	var steps []string
	for range rapid.IntRange(1, 6).Draw(rt, "steps") {
		var what string
		var err error
		if d.pick("or a fault", 14) == 0 {
			what, err = r.injectRandomFault(ctx, d)
			some.faults++
		} else {
			what, err = r.applyRandomChange(ctx, d)
			some.changes++
		}
		steps = append(steps, what)
		if err != nil {
			rt.Fatalf("%s: %v", what, err)
		}
	}
	r.restoreNetwork()
	began, difference := time.Now(), ""
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, cluster.Timeout, true, func(context.Context) (bool, error) {
		some.checks++
		difference = r.diffWithCheck()
		return difference == "", nil
	})
	if err != nil {
		rt.Fatalf("%s after\n%s\n%s", time.Since(began).Round(time.Second), strings.Join(steps, "\n"), difference)
	}
	some.longest = max(some.longest, time.Since(began))
}

// restore puts the platform back to what it was.
func (tc *testCluster) restore(ctx context.Context) error {
	for _, text := range []string{
		profile("random", "Ignore", false, nil), gadgetCRD("v1!"), unwantedClass, deployment("other", "weaveworks/weave-kube:2.8.1", 1),
		"{apiVersion: v1, kind: Node, metadata: {name: extra0}}", "{apiVersion: v1, kind: Node, metadata: {name: extra1}}",
		"{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: c0}}",
		"{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: c1}}",
		"{apiVersion: faults.example.com/v1alpha1, kind: Widget, metadata: {name: w0}}",
		"{apiVersion: faults.example.com/v1alpha1, kind: Widget, metadata: {name: w1}}",
		"{apiVersion: faults.example.com/v1alpha1, kind: Widget, metadata: {name: w2}}",
	} {
		if err := tc.remove(ctx, parseObject(text)); err != nil {
			return err
		}
	}
	for _, text := range []string{definition("acme-app", "acme/app"), deployment("app", "acme/app:v1.2.0", 1),
		daemonSet("agent", "acme/agent:v2.0.0")} {
		if err := tc.apply(ctx, parseObject(text)); err != nil {
			return err
		}
	}
	return nil
}
