package packaging

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

const (
	// replicas is how many config/default runs.
	replicas = 2
	// memoryLimit is the container's in config/default, in bytes.
	memoryLimit = 256 << 20
	// grace is the pods' terminationGracePeriodSeconds in config/default.
	grace = 15 * time.Second
)

// TestOnARealNode runs the image as a user would: the manifest of the release, applied to a cluster whose node has the image.
func TestOnARealNode(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI runs this test, and it needs root on Linux")
		}
		t.Skip("a real node needs root on Linux")
	}
	t.Parallel()
	needRelease(t)
	c, err := cluster.Start("--nodes", "0", "--real-node", "--audit")
	cluster.Must(t, err)
	defer c.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cluster.Must(t, c.Import(ctx, filepath.Join(dist, "image.tar")))
	applied := time.Now()
	if out, err := c.Kubectl(ctx, "apply", "--server-side", "-f", filepath.Join(dist, "install.yaml")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var first []corev1.Pod
	eventually(ctx, t, c, "both replicas are ready", func() (bool, string) {
		if first = readyPods(ctx, t, c); len(first) != replicas {
			return false, fmt.Sprintf("%d of %d pods are ready", len(first), replicas)
		}
		return true, ""
	})
	t.Logf("from kubectl apply to two ready replicas: %.1f s", time.Since(applied).Seconds())
	namespace := &corev1.Namespace{}
	cluster.Must(t, c.Client.Get(ctx, client.ObjectKey{Name: cluster.Namespace}, namespace))
	if namespace.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
		t.Error("the namespace does not enforce the standard restricted")
	}

	t.Run("its processes may do nothing", func(t *testing.T) { assertConfined(t, first) })
	t.Run("it writes a status", func(t *testing.T) {
		cluster.Must(t, c.Client.Create(ctx, nodeProfile()))
		awaitEvaluated(ctx, t, c, 1)
	})
	t.Run("it is replaced without a gap", func(t *testing.T) { testRollout(ctx, t, c, first) })
	t.Run("it acts by its own pod's token, and is refused nothing", func(t *testing.T) { assertAudit(t, c) })
	t.Run("it stays within its memory, and no container was started twice", func(t *testing.T) {
		pods := readyPods(ctx, t, c)
		for _, pod := range pods {
			if restarts := pod.Status.ContainerStatuses[0].RestartCount; restarts != 0 {
				t.Errorf("%s was started again %d times", pod.Name, restarts)
			}
		}
		assertMemory(t, pods)
	})
}

// nodeProfile asks for what the node has, and for something that it lacks.
func nodeProfile() *v1alpha1.PlatformProfile {
	p := &v1alpha1.PlatformProfile{}
	p.Name = "node"
	p.Spec.Layers = []v1alpha1.Layer{{Name: "runtime", Requirements: []v1alpha1.Requirement{
		{Name: "runtime", Capability: "container-runtime"},
		{Name: "cluster", AnyOf: []v1alpha1.ComponentChoice{{Component: "kubernetes"}}},
		{Name: "security", Capability: "runtime-security"},
	}}}
	return p
}

// awaitEvaluated waits until a generation of the profile is evaluated, and returns how long that took.
func awaitEvaluated(ctx context.Context, t *testing.T, c *cluster.Cluster, generation int64) time.Duration {
	t.Helper()
	began := time.Now()
	p := &v1alpha1.PlatformProfile{}
	eventually(ctx, t, c, "the profile is evaluated", func() (bool, string) {
		cluster.Must(t, c.Client.Get(ctx, client.ObjectKey{Name: "node"}, p))
		if p.Status.ObservedGeneration < generation || len(p.Status.Layers) != 1 {
			return false, fmt.Sprintf("generation %d is evaluated, want %d", p.Status.ObservedGeneration, generation)
		}
		return true, ""
	})
	took := time.Since(began)
	for i, want := range []v1alpha1.Verdict{v1alpha1.VerdictSatisfied, v1alpha1.VerdictSatisfied, v1alpha1.VerdictMissing} {
		if got := p.Status.Layers[0].Requirements[i]; got.Verdict != want {
			t.Errorf("%s is %s, want %s: %s", got.Name, got.Verdict, want, got.Message)
		}
	}
	return took
}

// readyPods are the operator's pods that are ready and not on their way out.
func readyPods(ctx context.Context, t *testing.T, c *cluster.Cluster) []corev1.Pod {
	t.Helper()
	list := &corev1.PodList{}
	cluster.Must(t, c.Client.List(ctx, list, client.InNamespace(cluster.Namespace)))
	var found []corev1.Pod
	for _, pod := range list.Items {
		if isReady(&pod) {
			found = append(found, pod)
		}
	}
	return found
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// eventually waits until a condition holds, and describes the operator's pods where it does not.
func eventually(ctx context.Context, t *testing.T, c *cluster.Cluster, what string, condition func() (bool, string)) {
	t.Helper()
	holds := false
	defer func() {
		if !holds {
			pods, _ := c.Kubectl(ctx, "-n", cluster.Namespace, "describe", "pods")
			t.Log(pods[max(0, len(pods)-6000):])
		}
	}()
	cluster.Eventually(t, what, condition)
	holds = true
}

// statusField returns the value of a line "name: value" as files below /proc have them.
func statusField(text, name string) string {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}
