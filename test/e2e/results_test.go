package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// TestResultsTurn asserts that a requirement for what another program tests follows its results, and that it fails once the last result
// is too old, although nothing changes in the cluster.
func TestResultsTurn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	objects, err := env.Apply(ctx, filepath.Join(cluster.Fixtures(), "kuberhealthy", "v3-helm-mirror"), "kuberhealthy")
	cluster.Must(t, err)
	t.Cleanup(func() {
		for _, object := range objects {
			cluster.Must(t, client.IgnoreNotFound(env.Client.Delete(ctx, object)))
		}
	})
	requirement := cluster.AnyOf("claim", "kuberhealthy", "")
	requirement.Checks = []v1alpha1.CheckReference{{
		Name: "checks-pass", Parameters: map[string]v1alpha1.ParameterValue{"name": "storage", "namespace": "kuberhealthy", "maxAge": "1h"},
	}}
	profile := createProfile(t, "results", cluster.Layer("tests", requirement))
	failsWith := func(text string) func(*v1alpha1.PlatformProfile) bool {
		return func(p *v1alpha1.PlatformProfile) bool {
			r := cluster.FindRequirement(p, "tests", "claim")
			return r != nil && r.Verdict == v1alpha1.VerdictCheckFailed && strings.Contains(r.Message, text)
		}
	}
	profile.AwaitLast(t, "there is no such test", failsWith("there is no HealthCheck of that name"))

	check := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "kuberhealthy.github.io/v2", "kind": "HealthCheck",
		"metadata": map[string]any{"name": "storage", "namespace": "kuberhealthy"},
		"spec":     map[string]any{"runInterval": "10m0s"},
	}}
	cluster.Must(t, env.Client.Create(ctx, check))
	profile.AwaitLast(t, "it has no result", failsWith("kuberhealthy/storage: it has no result yet"))

	report := func(status map[string]any) func() {
		return func() {
			check.Object["status"] = status
			cluster.Must(t, env.Client.Update(ctx, check))
		}
	}
	now := time.Now()
	profile.AwaitVerdict(t, "tests", "claim", v1alpha1.VerdictSatisfied,
		report(map[string]any{"ok": true, "currentUUID": "", "lastOKUnix": now.Unix()}))
	failed := profile.AwaitVerdict(t, "tests", "claim", v1alpha1.VerdictCheckFailed, report(map[string]any{
		"ok": false, "currentUUID": "", "errors": []any{"the claim did not bind"}, "lastOKUnix": now.Unix(), "lastFailureUnix": now.Unix(),
	}))
	if want := "the claim did not bind; it last passed at " + now.UTC().Format(time.RFC3339); !strings.Contains(failed.Message, want) {
		t.Errorf("the message is %q, want %q in it", failed.Message, want)
	}

	until := time.Now().Truncate(time.Second).Add(8 * time.Second)
	profile.AwaitVerdict(t, "tests", "claim", v1alpha1.VerdictSatisfied,
		report(map[string]any{"ok": true, "currentUUID": "", "lastOKUnix": until.Add(-time.Hour).Unix()}))
	profile.Await(t, until, "the last result is too old", failsWith("which is older than 3600s"))
}
