package measure

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

func TestMemoryOfAProcess(t *testing.T) {
	m, err := parseMemory("Name:\toperator\nVmPeak:\t 999 kB\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n")
	if err != nil || m.Peak != 200 || m.Now != 100 {
		t.Errorf("memory %+v, %v", m, err)
	}
	if _, err := parseMemory("Name:\tgone\n"); err == nil {
		t.Error("a status that tells nothing is no error")
	}
}

func TestOperatorRunsAsDeployed(t *testing.T) {
	args, env, err := deployed(filepath.Join(cluster.Root(), "config", "manager", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(args, "--leader-elect") {
		t.Errorf("arguments %v", args)
	}
	if !slices.Contains(env, "GOGC=50") ||
		!slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "GOMEMLIMIT=") && !strings.HasSuffix(v, "=0") }) {
		t.Errorf("variables %v", env)
	}
}

func TestCountersOfTheMetrics(t *testing.T) {
	text := `# TYPE platformprofile_evaluation_duration_seconds histogram
platformprofile_evaluation_duration_seconds_bucket{le="0.0001"} 1
platformprofile_evaluation_duration_seconds_bucket{le="0.0002"} 3
platformprofile_evaluation_duration_seconds_bucket{le="+Inf"} 4
platformprofile_evaluation_duration_seconds_sum 0.002
platformprofile_evaluation_duration_seconds_count 4
# TYPE go_gc_heap_live_bytes gauge
go_gc_heap_live_bytes 1e+06
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
`
	c, err := parseCounters([]byte(text))
	if err != nil || c.Evaluations.Count != 4 || c.LiveHeap != 1e6 || c.CPU != 1500*time.Millisecond {
		t.Errorf("counters %+v, %v", c, err)
	}
	if got := mean(Histogram{}, c.Evaluations); got != 500*time.Microsecond {
		t.Errorf("mean evaluation %s", got)
	}
	if got := mean(c.Evaluations, c.Evaluations); got != 0 {
		t.Errorf("mean of no evaluations %s", got)
	}
	if got := quantile(Histogram{}, c.Evaluations, 0.5); got != 150*time.Microsecond {
		t.Errorf("of four evaluations, one below 100 µs and two more below 200, the median is %s", got)
	}
	if got := quantile(c.Evaluations, c.Evaluations, 0.5); got != 0 {
		t.Errorf("median of no evaluations %s", got)
	}
	slow := Histogram{Count: 4, Within: map[time.Duration]uint64{time.Millisecond: 1}}
	if got := quantile(Histogram{}, slow, 0.5); got != time.Millisecond {
		t.Errorf("the median of evaluations that are slower than any bucket is at least %s", got)
	}
	if _, err := parseCounters([]byte("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1\n")); err == nil {
		t.Error("a metric that is absent is no error")
	}
}

func TestOperatorsRequestsAreTold(t *testing.T) {
	line := func(user, verb, resource, at string) string {
		return `{"verb":"` + verb + `","user":{"username":"` + user + `"},"objectRef":{"resource":"` + resource +
			`"},"requestReceivedTimestamp":"` + at + `"}`
	}
	log := strings.Join([]string{
		line(cluster.User, "list", "nodes", "2026-01-01T10:00:00.000000Z"),
		line(cluster.User, "watch", "nodes", "2026-01-01T10:00:02.000000Z"),
		line("admin", "list", "pods", "2026-01-01T10:00:02.000000Z"),
		line(cluster.User, "update", "leases", "2026-01-01T10:00:03.000000Z"),
		line(cluster.User, "list", "pods", "2026-01-01T10:00:04.000000Z"),
		`{"verb":"list","user":{"username":"` + cluster.User + `"},"obj`,
	}, "\n")
	got, err := operatorRequests(strings.NewReader(log), time.Date(2026, 1, 1, 10, 0, 1, 0, time.UTC))
	if err != nil || len(got) != 3 {
		t.Fatalf("requests %+v, %v", got, err)
	}
	for i, allowed := range []bool{true, true, false} {
		if allowedInQuiet(got[i]) != allowed {
			t.Errorf("%s %s is allowed in the quiet: %t", got[i].Verb, got[i].ObjectRef.Resource, !allowed)
		}
	}
}

func TestPreflightIsAskedForTheEvidence(t *testing.T) {
	deployment := v1alpha1.Evidence{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "falco", Name: "falco", Signal: "image falco"}
	profile := &v1alpha1.PlatformProfile{}
	profile.Status.Layers = []v1alpha1.LayerStatus{{Requirements: []v1alpha1.RequirementStatus{
		{Name: "a", Evidence: []v1alpha1.Evidence{deployment, {Kind: "CustomResourceDefinition", Name: "x.y"}, {Kind: "Node", Name: "n"}}},
		{Name: "b", Evidence: []v1alpha1.Evidence{deployment}},
	}}}
	bare := len(preflightSpec(&v1alpha1.PlatformProfile{})["spec"].(map[string]any)["analyzers"].([]any))
	got := len(preflightSpec(profile)["spec"].(map[string]any)["analyzers"].([]any))
	if got != bare+2 {
		t.Errorf("%d analyzers for the evidence, want one for the Deployment and one for the CRD", got-bare)
	}
}
