package facts

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

var noon = time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)

// testMeta returns metadata as the API server stores it, with large managed fields and annotations.
func testMeta(name string) metav1.ObjectMeta {
	at := func(minutes int, subresource string) metav1.ManagedFieldsEntry {
		when := metav1.NewTime(noon.Add(time.Duration(minutes) * time.Minute))
		return metav1.ManagedFieldsEntry{
			Manager:     "manager",
			Subresource: subresource,
			Time:        &when,
			FieldsV1:    metav1.NewFieldsV1(`{"f:spec":{` + strings.Repeat(" ", 1000) + `}}`),
		}
	}
	return metav1.ObjectMeta{
		Name: name, Namespace: "ns", UID: "uid", Generation: 3, CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour)),
		Labels:        map[string]string{"app": "x", "helm.sh/chart": "x-1.2.3"},
		Annotations:   map[string]string{lastApplied: strings.Repeat("x", 2000), "a.dev/y": "z"},
		ManagedFields: []metav1.ManagedFieldsEntry{at(-30, ""), at(-10, ""), at(-20, ""), at(5, "status")},
	}
}

func testPodTemplate() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      map[string]string{"app": "x", "pod": "y"},
			Annotations: map[string]string{"checksum": strings.Repeat("c", 64)},
		},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "init", Image: "example/init:v1"}},
			Containers: []corev1.Container{
				{Name: "main", Image: "example/x:v1.2.3", Args: []string{strings.Repeat("a", 2000)}, Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "hunter2"}}},
				{Name: "again", Image: "example/x:v1.2.3"}, {Name: "other", Image: "example/y"}, {Name: "bad", Image: "Not An Image"},
			},
			Volumes: []corev1.Volume{{Name: strings.Repeat("v", 500)}},
		},
	}
}

func testObjects() map[string]runtime.Object {
	three := int32(3)
	condition := []appsv1.DeploymentCondition{
		{Type: "Progressing", Status: "True", Reason: "ReplicaSetUpdated", Message: strings.Repeat("m", 500)},
		{Type: "Available", Status: "False"},
	}
	service := admissionregistrationv1.WebhookClientConfig{
		Service:  &admissionregistrationv1.ServiceReference{Namespace: "hooks", Name: "s"},
		CABundle: []byte(strings.Repeat("c", 2000)),
	}
	unstructuredOf := func(apiVersion, kind string, spec map[string]any) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind, "spec": spec}}
		meta := testMeta("a")
		content, _ := runtime.DefaultUnstructuredConverter.ToUnstructured(&meta)
		u.Object["metadata"] = content
		return u
	}
	return map[string]runtime.Object{
		"Deployment": &appsv1.Deployment{
			ObjectMeta: testMeta("a"),
			Spec:       appsv1.DeploymentSpec{Replicas: &three, Template: testPodTemplate(), ProgressDeadlineSeconds: &three, Paused: true},
			Status: appsv1.DeploymentStatus{
				ObservedGeneration: 3, Replicas: 4, UpdatedReplicas: 2, ReadyReplicas: 1, AvailableReplicas: 1, Conditions: condition,
			},
		},
		"DaemonSet": &appsv1.DaemonSet{
			ObjectMeta: testMeta("a"),
			Spec:       appsv1.DaemonSetSpec{Template: testPodTemplate(), UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: "OnDelete"}},
			Status: appsv1.DaemonSetStatus{
				ObservedGeneration: 3, DesiredNumberScheduled: 4, CurrentNumberScheduled: 4, UpdatedNumberScheduled: 2,
				NumberReady: 1, NumberAvailable: 1,
			},
		},
		"StatefulSet": &appsv1.StatefulSet{
			ObjectMeta: testMeta("a"), Spec: appsv1.StatefulSetSpec{
				Replicas: &three, Template: testPodTemplate(), VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: testMeta("data")}},
				UpdateStrategy: appsv1.StatefulSetUpdateStrategy{RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: &three}},
			},
			Status: appsv1.StatefulSetStatus{
				ObservedGeneration: 3,
				Replicas:           3,
				UpdatedReplicas:    1,
				ReadyReplicas:      2,
				AvailableReplicas:  2,
				UpdateRevision:     "b",
				CurrentRevision:    "a",
			},
		},
		"Node": &corev1.Node{
			ObjectMeta: testMeta("a"), Spec: corev1.NodeSpec{ProviderID: "kind://x"},
			Status: corev1.NodeStatus{
				NodeInfo:   corev1.NodeSystemInfo{ContainerRuntimeVersion: "containerd://2.1.4", KubeletVersion: "v1.34.1", OSImage: "Debian"},
				Images:     []corev1.ContainerImage{{Names: []string{strings.Repeat("i", 2000)}}},
				Conditions: []corev1.NodeCondition{{Type: "Ready", LastHeartbeatTime: metav1.NewTime(noon)}},
			},
		},
		"ConfigMap":    &corev1.ConfigMap{ObjectMeta: testMeta("a"), Data: map[string]string{"x": "y"}},
		"StorageClass": &storagev1.StorageClass{ObjectMeta: testMeta("a"), Provisioner: "rook.rbd.csi.ceph.com"},
		"CSIDriver":    &storagev1.CSIDriver{ObjectMeta: testMeta("rbd.csi.ceph.com")},
		"IngressClass": &networkingv1.IngressClass{
			ObjectMeta: testMeta("a"),
			Spec:       networkingv1.IngressClassSpec{Controller: "k8s.io/ingress-nginx"},
		},
		"RuntimeClass": &nodev1.RuntimeClass{ObjectMeta: testMeta("a"), Handler: "runsc"},
		"ValidatingWebhookConfiguration": &admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: testMeta("a"),
			Webhooks: []admissionregistrationv1.ValidatingWebhook{
				{Name: "z.dev"},
				{Name: "a.dev", ClientConfig: service, Rules: make([]admissionregistrationv1.RuleWithOperations, 20)},
			},
		},
		"MutatingWebhookConfiguration": &admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: testMeta("a"),
			Webhooks: []admissionregistrationv1.MutatingWebhook{
				{Name: "z.dev"},
				{Name: "a.dev", ClientConfig: service, Rules: make([]admissionregistrationv1.RuleWithOperations, 20)},
			},
		},
		"CustomResourceDefinition": &metav1.PartialObjectMetadata{ObjectMeta: testMeta("widgets.example.com")},
		"APIService": unstructuredOf("apiregistration.k8s.io/v1", "APIService", map[string]any{
			"group": "metrics.k8s.io", "service": map[string]any{"namespace": "hooks", "name": "s"},
		}),
		"GatewayClass": unstructuredOf("gateway.networking.k8s.io/v1", "GatewayClass",
			map[string]any{"controllerName": "io.cilium/gateway-controller"}),
	}
}

func TestFactsAreSmallAndHoldNoSecrets(t *testing.T) {
	for kind, object := range testObjects() {
		t.Run(kind, func(t *testing.T) {
			fact, err := Extract(object, true)
			if err != nil {
				t.Fatal(err)
			}
			original, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			extracted, err := json.Marshal(fact)
			if err != nil {
				t.Fatal(err)
			}
			if len(extracted)*2 > len(original) {
				t.Errorf("the fact has %d bytes of %d: %s", len(extracted), len(original), extracted)
			}
			for _, text := range []string{"hunter2", lastApplied, "f:spec", "aaaaaaaa", "cccccccc", "vvvvvvvv", "iiiiiiii", "mmmmmmmm"} {
				if strings.Contains(string(extracted), text) {
					t.Errorf("the fact contains %s: %s", text, extracted)
				}
			}
			if fact.ObjectRef().Kind != kind {
				t.Errorf("the kind is %s", fact.ObjectRef().Kind)
			}
		})
	}
}

func TestWorkload(t *testing.T) {
	fact, err := Extract(testObjects()["Deployment"], true)
	if err != nil {
		t.Fatal(err)
	}
	w := fact.(*Workload)
	var images []string
	for _, container := range w.Containers {
		images = append(images, container.Image.String())
	}
	if !slices.Equal(slices.Compact(images), []string{"docker.io/example/x:v1.2.3", "docker.io/example/y", ""}) {
		t.Errorf("the images are %v, want those of the containers, without the invalid one and those of init containers", images)
	}
	if !w.HasLabel("pod", "y") || !w.HasLabel("pod", "*") || w.HasLabel("pod", "z") || w.HasLabel("none", "*") {
		t.Error("labels of the pod template do not count")
	}
	if !w.Rollout.StartedAt.Equal(noon.Add(-10 * time.Minute)) {
		t.Errorf("the rollout started at %s, want the last write of the spec", w.Rollout.StartedAt)
	}
	if w.String() != "Deployment ns/a" {
		t.Errorf("the string is %s", w)
	}
}

func TestNamed(t *testing.T) {
	for kind, want := range map[string]string{
		"StorageClass": "rook.rbd.csi.ceph.com", "CSIDriver": "rbd.csi.ceph.com", "IngressClass": "k8s.io/ingress-nginx", "RuntimeClass": "runsc",
		"ValidatingWebhookConfiguration": "a.dev z.dev hooks", "MutatingWebhookConfiguration": "a.dev z.dev hooks",
		"CustomResourceDefinition": "widgets.example.com", "APIService": "a metrics.k8s.io hooks",
		"GatewayClass": "io.cilium/gateway-controller",
	} {
		fact, err := Extract(testObjects()[kind], true)
		if err != nil {
			t.Fatal(err)
		}
		n := fact.(*Named)
		if got := strings.TrimSpace(strings.Join(n.Values, " ") + " " + n.Service); got != want {
			t.Errorf("a %s has the names %q, want %q", kind, got, want)
		}
	}
	local := &unstructured.Unstructured{
		Object: map[string]any{
			"apiVersion": "apiregistration.k8s.io/v1",
			"kind":       "APIService",
			"metadata":   map[string]any{"name": "v1.apps"},
			"spec":       map[string]any{"group": "apps"},
		},
	}
	if fact, err := Extract(local, true); err != nil || len(fact.(*Named).Values) > 0 {
		t.Errorf("an API that the API server itself serves: %v, %v", fact, err)
	}
	if _, err := Extract(&corev1.Pod{}, true); err == nil {
		t.Error("facts are extracted from a Pod")
	}
	if _, err := Extract(&unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret"}}, true); err == nil {
		t.Error("facts are extracted from a Secret")
	}
}

func TestEqualIgnoresIrrelevantChanges(t *testing.T) {
	change := func(kind string, change func(runtime.Object)) (before, after Fact) {
		t.Helper()
		object := testObjects()[kind]
		before, _ = Extract(object, true)
		change(object)
		after, _ = Extract(object, true)
		return before, after
	}
	for name, test := range map[string]struct {
		kind   string
		change func(runtime.Object)
		equal  bool
	}{
		"a heartbeat": {"Node", func(o runtime.Object) {
			o.(*corev1.Node).Status.Conditions[0].LastHeartbeatTime = metav1.NewTime(noon.Add(time.Minute))
		}, true},
		"pulled images":         {"Node", func(o runtime.Object) { o.(*corev1.Node).Status.Images = nil }, true},
		"an annotation's value": {"Node", func(o runtime.Object) { o.(*corev1.Node).Annotations["a.dev/y"] = "other" }, true},
		"kubectl's copy":        {"Node", func(o runtime.Object) { delete(o.(*corev1.Node).Annotations, lastApplied) }, true},
		"another annotation":    {"Node", func(o runtime.Object) { o.(*corev1.Node).Annotations["b.dev/y"] = "" }, false},
		"another runtime":       {"Node", func(o runtime.Object) { o.(*corev1.Node).Status.NodeInfo.ContainerRuntimeVersion = "cri-o://1" }, false},
		"a node's label":        {"Node", func(o runtime.Object) { o.(*corev1.Node).Labels["app"] = "y" }, false},
		"an argument":           {"Deployment", func(o runtime.Object) { o.(*appsv1.Deployment).Spec.Template.Spec.Containers[0].Args = nil }, true},
		"a write":               {"Deployment", func(o runtime.Object) { o.(*appsv1.Deployment).ManagedFields = nil }, true},
		"an image":              {"Deployment", func(o runtime.Object) { o.(*appsv1.Deployment).Spec.Template.Spec.Containers[0].Image = "x:2" }, false},
		"an available pod":      {"Deployment", func(o runtime.Object) { o.(*appsv1.Deployment).Status.AvailableReplicas++ }, false},
		"one created again":     {"Deployment", func(o runtime.Object) { o.(*appsv1.Deployment).UID = "other" }, false},
		"a label":               {"StatefulSet", func(o runtime.Object) { o.(*appsv1.StatefulSet).Labels["app"] = "y" }, false},
		"another provisioner":   {"StorageClass", func(o runtime.Object) { o.(*storagev1.StorageClass).Provisioner = "x" }, false},
		"a class's parameters":  {"StorageClass", func(o runtime.Object) { o.(*storagev1.StorageClass).Parameters = map[string]string{"a": "b"} }, true},
		"a ConfigMap's data":    {"ConfigMap", func(o runtime.Object) { o.(*corev1.ConfigMap).Data = map[string]string{"x": "z"} }, false},
		"a ConfigMap's datum":   {"ConfigMap", func(o runtime.Object) { o.(*corev1.ConfigMap).Data["x"] = "z" }, false}, // written in place
	} {
		if before, after := change(test.kind, test.change); after.Equal(before) != test.equal {
			t.Errorf("%s: equal is %v", name, !test.equal)
		}
	}
	node, _ := Extract(testObjects()["Node"], true)
	class, _ := Extract(testObjects()["StorageClass"], true)
	if node.Equal(class) || class.Equal(node) {
		t.Error("a node equals a class")
	}
}

func BenchmarkExtract(b *testing.B) {
	for _, kind := range []string{"Deployment", "Node", "ValidatingWebhookConfiguration"} {
		object := testObjects()[kind]
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Extract(object, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
