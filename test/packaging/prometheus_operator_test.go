package packaging

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// prometheusOperatorCRDs are those of the Prometheus Operator's release that config/prometheus is written in.
func prometheusOperatorCRDs(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	out, err := exec.Command(filepath.Join(cluster.Root(), "bin", "monitoring-crds")).Output()
	if err != nil {
		t.Fatalf("writing the CRDs: %v (are they built? run 'make monitoring')", err)
	}
	all, err := cluster.Parse(out)
	cluster.Must(t, err)
	used := slices.DeleteFunc(all, func(crd *unstructured.Unstructured) bool {
		return crd.GetName() != "servicemonitors.monitoring.coreos.com" && crd.GetName() != "prometheusrules.monitoring.coreos.com"
	})
	if len(used) != 2 {
		t.Fatalf("there are %d of the two CRDs", len(used))
	}
	return used
}

// TestThePrometheusOperatorTakesThem applies the ServiceMonitor and the rules to an API server that has the Prometheus
// Operator's real schemas, where a field that these do not know is a mistake.
func TestThePrometheusOperatorTakesThem(t *testing.T) {
	needCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cluster.Must(t, env.ApplyObjects(ctx, prometheusOperatorCRDs(t), "default"))
	for _, crd := range []string{"servicemonitors", "prometheusrules"} {
		if out, err := env.Kubectl(ctx, "wait", "--for=condition=Established", "crd/"+crd+".monitoring.coreos.com", "--timeout=1m"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	out, err := env.Kubectl(ctx, "apply", "--server-side", "--validate=strict", "-k", "config/prometheus")
	if err != nil || strings.Contains(out, "Warning") {
		t.Errorf("config/prometheus is refused: %v\n%s", err, out)
	}
	for _, object := range []string{"servicemonitor/platformprofile", "prometheusrule/platformprofile"} {
		if out, err := env.Kubectl(ctx, "-n", cluster.Namespace, "get", object); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	// The schemas are strict enough to show a mistake: an unknown field, a value that the schema does not allow.
	for file, mistake := range map[string][2]string{
		"rules.yaml":           {"keep_firing_for: 5m", "keepFiringFor: 5m"},
		"service_monitor.yaml": {"scheme: https", "scheme: gopher"},
	} {
		text, err := os.ReadFile(filepath.Join(cluster.Root(), "config", "prometheus", file))
		cluster.Must(t, err)
		if !strings.Contains(string(text), mistake[0]) {
			t.Fatalf("%s has no %q to break", file, mistake[0])
		}
		broken := filepath.Join(t.TempDir(), file)
		cluster.Must(t, os.WriteFile(broken, []byte(strings.Replace(string(text), mistake[0], mistake[1], 1)), 0o600))
		if out, err := env.Kubectl(ctx, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f",
			broken); err == nil {
			t.Errorf("%s with %q is accepted: %s", file, mistake[1], out)
		} else if !strings.Contains(out, strings.TrimSpace(strings.Split(mistake[1], ":")[0])) {
			t.Errorf("%s with %q is refused for something else: %s", file, mistake[1], out)
		}
	}
}
