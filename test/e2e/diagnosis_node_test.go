package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/podcases"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// symptomTexts are the texts that the diagnosis of each workload must contain: the cause, and a command to verify it.
var symptomTexts = map[string][]string{
	"Deployment loop":        {"exit code 3", "its termination message: giving up on purpose", "kubectl -n trouble logs loop-"},
	"StatefulSet wrong-flag": {"exit code 64", "kubectl -n trouble logs wrong-flag-0 -c app --previous"},
	"Deployment greedy":      {"more memory than its limit of 48Mi", "kubectl -n trouble top pod greedy-"},
	"Deployment no-registry": {"127.0.0.1:1/team/app:1 cannot be pulled", "not reachable from the node real-node"},
	"DaemonSet never-pulled": {"imagePullPolicy is Never, and the image is not present on the node real-node"},
	"Pod bad-reference":      {"example.com/App:1 is invalid"},
	"Deployment no-secret":   {"the Secret password that its environment refers to does not exist in trouble", "kubectl -n trouble get secrets"},
	"Deployment no-key":      {"lacks the key", "kubectl -n trouble get configmaps"},
	"Deployment as-root":     {"runAsNonRoot is set, and the image runs as root"},
	"Deployment no-command":  {"the command or its interpreter is not in the image"},
	"Pod over-file":          {"a volume cannot be mounted at that path"},
	"Deployment no-init":     {"The init container migrate fails with exit code 4", "-c migrate"},
	"Deployment ill":         {"says that it is not well (500)", "statuscode: 500"},
	"Deployment not-alive":   {"because its liveness probe failed", "statuscode: 500"},
	"Deployment no-volume":   {"the Secret certificate that it mounts does not exist"},
	"Pod no-path":            {"the path does not exist on the node"},
	"Deployment no-sandbox":  {"the handler of its RuntimeClass is not configured on the node"},
	"Pod full-disk":          {"it wrote more than", "kubectl describe node real-node"},
	"Job failing":            {"exit code 5 and is not restarted", "its backoffLimit of 0", "kubectl -n trouble describe job failing"},
	"Deployment one-shot":    {"exits with code 0 repeatedly"},
	"Deployment crashed":     {"exit code 139", "segmentation fault"},
	"Pod too-large":          {"refused the pod (OutOfcpu)", "does not have enough cpu", "kubectl describe node real-node"},
	"Pod elsewhere":          {"refused the pod (NodeAffinity)", "kubectl get node real-node --show-labels"},
	"Pod unsafe-sysctl":      {"refused the pod (SysctlForbidden)", "does not allow the sysctl kernel.msgmax"},
	"Deployment no-profile":  {"seccomp profile", "is not on the node real-node", "kubectl debug node/real-node"},
	"Deployment no-folder":   {"the kubelet says: "},
	"Job too-long":           {"it ran longer than its activeDeadlineSeconds of 5 s", "kubectl -n trouble describe job too-long"},
}

// TestRealNode runs workloads on a real kubelet and containerd, and diagnoses them for more than a minute: each has its
// symptom in the end, none ever had another one, none lost it again, and those that are well never had any.
func TestRealNode(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI runs this test, and it needs root on Linux")
		}
		t.Skip("a real node needs root on Linux")
	}
	t.Parallel()
	c, err := cluster.Start("--nodes", "0", "--real-node")
	cluster.Must(t, err)
	defer c.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	defer cancel()
	loadApp(ctx, t, c)
	objects, err := cluster.Objects(filepath.Join("testdata", "pods.yaml"))
	cluster.Must(t, err)
	want := symptoms(t, objects)
	faces := watchContainerStates(ctx, t, c)
	cluster.Must(t, c.ApplyObjects(ctx, objects, troubleNamespace))

	var found []v1alpha1.Diagnosis
	t.Run("every symptom is found and stays", func(t *testing.T) {
		w := &symptomWatcher{want: want, since: map[string]time.Time{}}
		found = w.settle(t, c)
		// From here on they loop: the diagnosis stays the same, whatever the state of a container is.
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
			w.poll(t, c)
			if len(w.missing()) > 0 {
				t.Fatalf("no longer found: %v", w.missing())
			}
		}
	})
	if t.Failed() {
		return
	}
	t.Run("the loops were observed in all states", func(t *testing.T) {
		for _, app := range []string{"loop", "one-shot"} {
			if got := faces.of(app); got != "running terminated waiting" {
				t.Errorf("%s was observed as %s only", app, got)
			}
		}
	})
	t.Run("each diagnosis has a cause and a command", func(t *testing.T) {
		for name, texts := range symptomTexts {
			kind, name, _ := strings.Cut(name, " ")
			assertDiagnosis(t, found, kind+" "+troubleNamespace+"/"+name, texts...)
		}
		if len(symptomTexts) != len(slices.DeleteFunc(slices.Collect(maps.Values(want)), func(s string) bool { return s == "well" })) {
			t.Errorf("%d workloads have a symptom, and symptomTexts has %d", len(want), len(symptomTexts))
		}
	})
	t.Run("a dump has the same diagnoses", func(t *testing.T) { testDump(ctx, t, c) })
	t.Run("what waits without an error", func(t *testing.T) { testWaiting(ctx, t, c) })
	t.Run("a resize that the kubelet defers", func(t *testing.T) { testResize(ctx, t, c) })
	t.Run("a rollout is no trouble", func(t *testing.T) { testRollout(ctx, t, c) })
	t.Run("a pod that is ended is no trouble", func(t *testing.T) {
		w := &symptomWatcher{want: want, since: map[string]time.Time{}}
		cluster.Must(t, c.Client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(troubleNamespace), client.MatchingLabels{"app": "calm"}))
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			w.poll(t, c)
		}
	})
}

// loadApp builds the program that the containers run, and gives it to the node as an image.
func loadApp(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	t.Helper()
	app := filepath.Join(t.TempDir(), "app")
	build := exec.CommandContext(ctx, "go", "build", "-ldflags", "-s -w", "-o", app, "./app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the app: %v\n%s", err, out)
	}
	cluster.Must(t, c.Load(ctx, "example.com/app:1", app))
}

// symptoms reads from the manifests what is to be found of which workload.
func symptoms(t *testing.T, objects []*unstructured.Unstructured) map[string]string {
	t.Helper()
	want := map[string]string{}
	for _, object := range objects {
		if symptom := object.GetLabels()["symptom"]; symptom != "" {
			want[object.GetKind()+" "+troubleNamespace+"/"+object.GetName()] = symptom
		}
	}
	return want
}

// symptomWatcher diagnoses the cluster repeatedly.
type symptomWatcher struct {
	want map[string]string
	// since is when each workload was first found with its symptom.
	since map[string]time.Time
	found map[string]string
}

// poll asks once. A wrong symptom fails the test; a missing one is missing.
func (w *symptomWatcher) poll(t *testing.T, c *cluster.Cluster) []v1alpha1.Diagnosis {
	t.Helper()
	found := diagnose(t, "--kubeconfig", c.Kubeconfig)
	w.found = map[string]string{}
	for _, one := range found {
		name := workloadName(one)
		w.found[name] = one.Symptom
		want, known := w.want[name]
		switch {
		case !known || want == "well":
			t.Fatalf("%s is healthy, and diagnosed with the symptom %s: %s %q", name, one.Symptom, one.Meaning, one.LikelyCauses)
		case one.Symptom != want:
			pod, _ := c.Kubectl(t.Context(), "-n", one.Workload.Namespace, "get", "pod", one.Pod, "-o", "yaml")
			t.Fatalf("%s has the symptom %s, not %s: %s %q\n%s", name, want, one.Symptom, one.Meaning, one.LikelyCauses, pod)
		case w.since[name].IsZero():
			w.since[name] = time.Now()
		}
	}
	for name := range w.since {
		if w.found[name] == "" {
			t.Fatalf("%s was diagnosed as %s and now is not: the diagnosis flickers", name, w.want[name])
		}
	}
	return found
}

func (w *symptomWatcher) missing() []string {
	var missing []string
	for name, symptom := range w.want {
		if symptom != "well" && w.found[name] == "" {
			missing = append(missing, name+" ("+symptom+")")
		}
	}
	slices.Sort(missing)
	return missing
}

func (w *symptomWatcher) settle(t *testing.T, c *cluster.Cluster) []v1alpha1.Diagnosis {
	t.Helper()
	var found []v1alpha1.Diagnosis
	cluster.EventuallyWithin(t, 4*time.Minute, "every symptom is found", func() (bool, string) {
		found = w.poll(t, c)
		return len(w.missing()) == 0, fmt.Sprint(w.missing())
	})
	return found
}

// containerStates are the observed states of containers, by their pod's label app.
type containerStates struct {
	mu       sync.Mutex
	observed map[string]map[string]bool
}

func (f *containerStates) of(app string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(f.observed[app])), " ")
}

func watchContainerStates(ctx context.Context, t *testing.T, c *cluster.Cluster) *containerStates {
	t.Helper()
	f := &containerStates{observed: map[string]map[string]bool{}}
	watch, err := c.Client.Watch(ctx, &corev1.PodList{}, client.InNamespace(troubleNamespace))
	cluster.Must(t, err)
	go func() {
		defer watch.Stop()
		for event := range watch.ResultChan() {
			pod, ok := event.Object.(*corev1.Pod)
			if !ok {
				continue
			}
			f.mu.Lock()
			app := pod.Labels["app"]
			if f.observed[app] == nil {
				f.observed[app] = map[string]bool{}
			}
			for _, status := range pod.Status.ContainerStatuses {
				switch {
				case status.State.Running != nil:
					f.observed[app]["running"] = true
				case status.State.Terminated != nil:
					f.observed[app]["terminated"] = true
				case status.State.Waiting != nil && status.State.Waiting.Reason == "CrashLoopBackOff":
					f.observed[app]["waiting"] = true
				}
			}
			f.mu.Unlock()
		}
	}()
	return f
}

// testDump asserts that what kubectl writes down is diagnosed as what it was taken from.
func testDump(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	var last string
	for range 5 { // a container may change between the two: compare again
		taken, err := c.Kubectl(ctx, "get", "-A", "-o", "yaml",
			"nodes,pods,events,pvc,storageclasses,deployments,replicasets,statefulsets,daemonsets,jobs,cronjobs,hpa,pdb")
		cluster.Must(t, err)
		file := filepath.Join(t.TempDir(), "dump.yaml")
		cluster.Must(t, os.WriteFile(file, []byte(taken), 0o600))
		live, _ := json.MarshalIndent(diagnose(t, "--kubeconfig", c.Kubeconfig), "", " ")
		files, _ := json.MarshalIndent(diagnose(t, "--from", file), "", " ")
		if string(live) == string(files) {
			return
		}
		last = fmt.Sprintf("diagnosed in the cluster:\n%s\nand in its dump:\n%s", live, files)
	}
	t.Error(last)
}

// testRollout asserts that pods which make room for new ones are diagnosed as nothing.
func testRollout(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	calm := &appsv1.Deployment{}
	cluster.Must(t, c.Client.Get(ctx, client.ObjectKey{Namespace: troubleNamespace, Name: "calm"}, calm))
	patch := client.MergeFrom(calm.DeepCopy())
	calm.Spec.Template.Annotations = map[string]string{"again": "1"}
	cluster.Must(t, c.Client.Patch(ctx, calm, patch))
	cluster.Eventually(t, "the rollout ends", func() (bool, string) {
		for _, one := range diagnose(t, "--kubeconfig", c.Kubeconfig) {
			if one.Workload.Name == "calm" {
				t.Fatalf("a rollout is diagnosed as %s: %s %q", one.Symptom, one.Meaning, one.LikelyCauses)
			}
		}
		cluster.Must(t, c.Client.Get(ctx, client.ObjectKeyFromObject(calm), calm))
		done := calm.Status.ObservedGeneration == calm.Generation && calm.Status.UpdatedReplicas == 3 && calm.Status.Replicas == 3 &&
			calm.Status.AvailableReplicas == 3
		return done, fmt.Sprintf("%+v", calm.Status)
	})
}

// waiting are workloads that wait for what never comes. They have no symptom at first.
const waiting = `
apiVersion: v1
kind: Pod
metadata: {name: endless-init, namespace: trouble}
spec:
  initContainers: [{name: wait, image: "example.com/app:1", args: [run]}]
  containers: [{name: app, image: "example.com/app:1", args: [run]}]
---
apiVersion: v1
kind: Pod
metadata: {name: endless-sidecar, namespace: trouble}
spec:
  initContainers:
  - name: beside
    image: "example.com/app:1"
    args: [serve]
    restartPolicy: Always
    startupProbe: {httpGet: {path: /ill, port: 8080}, periodSeconds: 1, failureThreshold: 300}
  containers: [{name: app, image: "example.com/app:1", args: [run]}]
---
apiVersion: v1
kind: Pod
metadata: {name: gated, namespace: trouble}
spec:
  readinessGates: [{conditionType: example.com/registered}]
  containers: [{name: app, image: "example.com/app:1", args: [run]}]
---
apiVersion: v1
kind: Pod
metadata: {name: gate, namespace: trouble}
spec:
  schedulingGates: [{name: example.com/quota}]
  containers: [{name: app, image: "example.com/app:1", args: [run]}]
`

// testWaiting asserts that pods which wait without an error have no symptom now, and have one a quarter of an hour later.
func testWaiting(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	objects, err := cluster.Parse([]byte(waiting))
	cluster.Must(t, err)
	cluster.Must(t, c.ApplyObjects(ctx, objects, troubleNamespace))
	defer func() {
		for _, object := range objects {
			cluster.Must(t, c.Client.Delete(ctx, object, client.GracePeriodSeconds(0)))
		}
	}()
	want := map[string]string{"endless-init": "InitFailed", "endless-sidecar": "InitFailed", "gated": "NotReady", "gate": "Unschedulable"}
	typed, err := kubernetes.NewForConfig(c.Config)
	cluster.Must(t, err)
	symptomsAt := func(now time.Time) map[string]string {
		pods, err := podcases.OfCluster(ctx, typed, troubleNamespace, now)
		cluster.Must(t, err)
		got := map[string]string{}
		for _, d := range pods.Diagnose(nil, now) {
			if want[d.Pod] != "" {
				got[d.Pod] = d.Symptom
			}
		}
		return got
	}
	cluster.Eventually(t, "the pods wait", func() (bool, string) {
		got := symptomsAt(time.Now().Add(15 * time.Minute))
		return maps.Equal(got, want), fmt.Sprint(got)
	})
	if got := symptomsAt(time.Now()); len(got) > 0 {
		t.Errorf("diagnosed too soon: %v", got)
	}
}

// testResize asserts that a resize which the kubelet defers is diagnosed once it had time to find room.
func testResize(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	newPod := func(name, cpu string) *corev1.Pod {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: troubleNamespace, Name: name},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "app", Image: "example.com/app:1", Args: []string{"run"},
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}},
			}}},
		}
		cluster.Must(t, c.Client.Create(ctx, pod))
		t.Cleanup(func() {
			cluster.Must(t, c.Client.Delete(context.WithoutCancel(ctx), pod, client.GracePeriodSeconds(0)))
		})
		cluster.Eventually(t, "the pod "+name+" runs", func() (bool, string) {
			cluster.Must(t, c.Client.Get(ctx, client.ObjectKeyFromObject(pod), pod))
			return pod.Status.Phase == corev1.PodRunning, string(pod.Status.Phase)
		})
		return pod
	}
	node := &corev1.Node{}
	cluster.Must(t, c.Client.Get(ctx, client.ObjectKey{Name: "real-node"}, node))
	all := node.Status.Allocatable[corev1.ResourceCPU]
	newPod("neighbour", "200m")
	pod := newPod("grown", "10m")
	pod.Spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = all // which the neighbour has a part of
	cluster.Must(t, c.Client.SubResource("resize").Update(ctx, pod))
	typed, err := kubernetes.NewForConfig(c.Config)
	cluster.Must(t, err)
	cluster.Eventually(t, "the resize is diagnosed", func() (bool, string) {
		later := time.Now().Add(5 * time.Minute)
		pods, err := podcases.OfCluster(ctx, typed, troubleNamespace, later)
		cluster.Must(t, err)
		for _, d := range pods.Diagnose(nil, later) {
			if d.Pod == "grown" {
				isDeferred := d.Symptom == "Error" && strings.Contains(d.Meaning, "defers the resize")
				return isDeferred && strings.Contains(d.LikelyCauses[0], "of cpu"), fmt.Sprintf("%+v", d)
			}
		}
		return false, "nothing"
	})
}
