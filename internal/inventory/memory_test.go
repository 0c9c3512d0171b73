package inventory_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// newDeployment returns a Deployment as Helm charts create them, with two containers.
func newDeployment(n int) *appsv1.Deployment {
	labels := map[string]string{
		"app.kubernetes.io/name": fmt.Sprintf("app-%d", n), "app.kubernetes.io/instance": fmt.Sprintf("app-%d", n),
		"app.kubernetes.io/version": "1.2.3", "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "app-0.4.2",
	}
	replicas, deadline := int32(2), int32(600)
	container := func(name, image string) corev1.Container {
		c := corev1.Container{Name: name, Image: image, Args: []string{"--listen=:8080", "--log-level=info", fmt.Sprintf("--peer=app-%d", n)}}
		for i := range 8 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", i), Value: fmt.Sprintf("value-%d-%d", n, i)})
		}
		c.Resources.Requests = corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("100m"),
			corev1.ResourceMemory: resource.MustParse("128Mi"),
		}
		return c
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: fmt.Sprintf("team-%d", n%200), Name: fmt.Sprintf("app-%d", n),
			UID: types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)), Generation: 3,
			Labels: labels, Annotations: map[string]string{"deployment.kubernetes.io/revision": "3"},
		},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, ProgressDeadlineSeconds: &deadline, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					Containers: []corev1.Container{
						container("app", fmt.Sprintf("registry.example.com/team-%d/app-%d:1.2.3", n%200, n)),
						container("proxy", "docker.io/istio/proxyv2:1.27.0"),
					},
				},
			},
		},
		Status: appsv1.DeploymentStatus{
			ObservedGeneration: 3, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 2,
			Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
			},
		},
	}
}

func builtinCatalog(tb testing.TB) *catalog.Catalog {
	tb.Helper()
	components, err := catalog.Builtin()
	if err != nil {
		tb.Fatal(err)
	}
	return catalog.New(components...)
}

func heapSize() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkWorkloads adds workloads, and reports the memory of each.
func BenchmarkWorkloads(b *testing.B) {
	c := builtinCatalog(b)
	i := inventory.New(c, time.Now)
	source := i.Source("deployments.apps")
	before := heapSize()
	n := 0
	for b.Loop() {
		fact, err := facts.Extract(newDeployment(n), true)
		if err != nil {
			b.Fatal(err)
		}
		source.Put(fact)
		n++
	}
	b.ReportMetric(float64(heapSize()-before)/float64(n), "B/workload")
	runtime.KeepAlive(i)
}

// certificate returns a Certificate with the status of cert-manager, and with its own times.
func certificate(n int) map[string]any {
	at := func(month time.Month) string {
		return time.Date(2026, month, 1, 0, 0, n, 0, time.UTC).Format(time.RFC3339)
	}
	return map[string]any{
		"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
		"metadata": map[string]any{
			"name": fmt.Sprintf("cert-%d", n), "namespace": fmt.Sprintf("team-%d", n%200), "uid": fmt.Sprintf("00000000-0000-4000-8000-%012d", n),
			"generation": int64(1), "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": fmt.Sprint(n),
			"labels": map[string]any{"app.kubernetes.io/name": "app"}, "managedFields": []any{map[string]any{"manager": "cert-manager"}},
		},
		"spec": map[string]any{
			"secretName": fmt.Sprintf("cert-%d", n), "dnsNames": []any{fmt.Sprintf("app-%d.example.com", n)},
			"issuerRef": map[string]any{"name": "letsencrypt", "kind": "ClusterIssuer", "group": "cert-manager.io"}, "duration": "2160h0m0s",
		},
		"status": map[string]any{
			"conditions": []any{map[string]any{
				"type": "Ready", "status": "True", "reason": "Ready", "message": "Certificate is up to date and has not expired",
				"lastTransitionTime": at(time.January), "observedGeneration": int64(1),
			}},
			"notAfter": at(time.December), "notBefore": at(time.September), "renewalTime": at(time.November), "revision": int64(7),
		},
	}
}

// BenchmarkCertificates adds objects that rules read, and reports the memory of each.
func BenchmarkCertificates(b *testing.B) {
	c := builtinCatalog(b)
	name := rule.Resource{Group: "cert-manager.io", Resource: "certificates"}
	var instances []rule.Instance
	for _, check := range c.Component("cert-manager").Checks {
		params, _ := check.ParseParameters(nil, nil)
		instances = append(instances, rule.NewInstance(check.Rule, params, "cert-manager"))
	}
	fields := rule.CollectFields(instances)[name]
	b.Log("fields:", fields)
	i := inventory.New(c, time.Now)
	i.Rules.SetInstances(instances)
	source := i.Rules.Source(name)
	source.Replace(nil)
	before := heapSize()
	n := 0
	for b.Loop() {
		pruned, err := fields.Prune(certificate(n))
		if err != nil {
			b.Fatal(err)
		}
		source.Put(pruned)
		n++
	}
	i.Rules.Flush()
	b.ReportMetric(float64(heapSize()-before)/float64(n), "B/object")
	runtime.KeepAlive(i)
}
