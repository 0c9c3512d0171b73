// The tests of this file bring pods into trouble with a real scheduler and real controllers, and ask what is wrong.

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/cli"
	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/test/cluster"
)

const (
	troubleNamespace = "trouble"
	// diagnoseUser is the user of diagnose, so that the audit log separates its requests from the test's.
	diagnoseUser = "asker"
)

// manifests are workloads in trouble beside healthy ones.
const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: trouble}
---
apiVersion: v1
kind: Namespace
metadata: {name: full}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: none, namespace: full}
spec: {hard: {pods: "0"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: over-quota, namespace: full}
spec:
  selector: {matchLabels: {app: over-quota}}
  template:
    metadata: {labels: {app: over-quota}}
    spec: {containers: [{name: app, image: example/app:1}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: healthy, namespace: trouble}
spec:
  replicas: 100
  selector: {matchLabels: {app: healthy}}
  template:
    metadata: {labels: {app: healthy}}
    spec: {containers: [{name: app, image: example/app:1}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: too-large, namespace: trouble}
spec:
  selector: {matchLabels: {app: too-large}}
  template:
    metadata: {labels: {app: too-large}}
    spec: {containers: [{name: app, image: example/app:1, resources: {requests: {cpu: "1000"}}}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: everywhere, namespace: trouble}
spec:
  selector: {matchLabels: {app: everywhere}}
  template:
    metadata: {labels: {app: everywhere}}
    spec: {containers: [{name: app, image: example/app:1}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: unbound, namespace: trouble}
spec:
  serviceName: unbound
  selector: {matchLabels: {app: unbound}}
  template:
    metadata: {labels: {app: unbound}}
    spec: {containers: [{name: app, image: example/app:1}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {storageClassName: not-there, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: held, namespace: trouble}
spec:
  selector: {matchLabels: {app: held}}
  template:
    metadata: {labels: {app: held}, finalizers: [example.com/hold]}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: app, image: example/app:1}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: done, namespace: trouble}
spec:
  template:
    metadata: {annotations: {}}
    spec: {restartPolicy: Never, containers: [{name: app, image: example/app:1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: alone, namespace: trouble}
spec: {nodeSelector: {no: node}, containers: [{name: app, image: example/app:1}]}
`

// healthyPods is how many healthy pods run beside those in trouble. Of them the API server is asked for nothing but the pages of one list:
// go test ./test/e2e -run TestTrouble -healthy 10000 takes some minutes more to show it.
var healthyPods = flag.Int("healthy", 100, "number of healthy pods")

// TestTrouble runs a cluster of healthy pods and a few in trouble.
func TestTrouble(t *testing.T) {
	t.Parallel() // with the real node: both wait most of the time
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	c, err := cluster.Start("--audit", "--nodes", fmt.Sprint(max(3, 1+*healthyPods/100)))
	cluster.Must(t, err)
	defer c.Stop()
	objects, err := cluster.Parse([]byte(strings.Replace(manifests, "replicas: 100", fmt.Sprint("replicas: ", *healthyPods), 1)))
	cluster.Must(t, err)
	cluster.Must(t, c.ApplyObjects(ctx, objects, troubleNamespace))

	want := map[string]string{
		"Deployment trouble/too-large": "Unschedulable",
		"Pod trouble/alone":            "Unschedulable",
		"StatefulSet trouble/unbound":  "VolumeClaimUnbound",
		"Deployment full/over-quota":   "PodsNotCreated",
	}
	t.Run("what cannot be scheduled, bound or made", func(t *testing.T) {
		found := awaitDiagnoses(t, c, want)
		assertDiagnosis(t, found, "Deployment trouble/too-large", "less free CPU than the pod requests",
			"kubectl -n trouble describe pod too-large-")
		assertDiagnosis(t, found, "StatefulSet trouble/unbound", "StorageClass not-there does not exist",
			"kubectl -n trouble describe pvc data-unbound-0")
		assertDiagnosis(t, found, "Deployment full/over-quota", "ResourceQuota", "kubectl -n full describe resourcequota")
		assertDiagnosis(t, found, "Pod trouble/alone", "labels that match the nodeSelector or node affinity of the pod")
	})

	t.Run("healthy pods are only listed", func(t *testing.T) {
		running := &appsv1.Deployment{}
		cluster.EventuallyWithin(t, 10*time.Minute, "the healthy pods run", func() (bool, string) {
			cluster.Must(t, c.Client.Get(ctx, client.ObjectKey{Namespace: troubleNamespace, Name: "healthy"}, running))
			return running.Status.AvailableReplicas >= int32(*healthyPods), fmt.Sprintf("%d of %d", running.Status.AvailableReplicas, *healthyPods)
		})
		from := time.Now()
		diagnose(t, "--kubeconfig", c.Kubeconfig, "--as", diagnoseUser, "--as-group", "system:masters")
		assertRequests(t, c, from)
	})

	t.Run("a dump has the same diagnoses", func(t *testing.T) { testDump(ctx, t, c) })

	t.Run("a namespace alone", func(t *testing.T) {
		for _, one := range diagnose(t, "--kubeconfig", c.Kubeconfig, "-n", "full") {
			if one.Workload.Namespace != "full" {
				t.Errorf("asked for the namespace full, got %v", one.Workload)
			}
		}
	})

	// The pod that its finalizer holds counts as stuck after a minute, which the operator needs meanwhile.
	held := &corev1.Pod{}
	t.Run("a pod that is just being ended", func(t *testing.T) {
		pods := &corev1.PodList{}
		cluster.Must(t, c.Client.List(ctx, pods, client.InNamespace(troubleNamespace), client.MatchingLabels{"app": "held"}))
		if len(pods.Items) != 1 {
			t.Fatalf("%d pods are held, want 1", len(pods.Items))
		}
		held = &pods.Items[0]
		cluster.Must(t, c.Client.Delete(ctx, held))
		if found := diagnose(t, "--kubeconfig", c.Kubeconfig); slices.ContainsFunc(found,
			func(d v1alpha1.Diagnosis) bool { return d.Symptom == "StuckTerminating" }) {
			t.Error("a pod that is just being ended is called stuck")
		}
	})

	t.Run("a profile reports why a component is down", func(t *testing.T) { testProfileDiagnosis(ctx, t, c) })

	t.Run("a pod that a finalizer holds", func(t *testing.T) {
		want["Deployment trouble/held"] = "StuckTerminating"
		found := awaitDiagnoses(t, c, want)
		assertDiagnosis(t, found, "Deployment trouble/held", "the finalizer example.com/hold has not been removed")
		delete(want, "Deployment trouble/held")
		cluster.Must(t, c.Client.Get(ctx, client.ObjectKeyFromObject(held), held))
		patch := client.MergeFrom(held.DeepCopy())
		held.Finalizers = nil
		cluster.Must(t, c.Client.Patch(ctx, held, patch))
		awaitDiagnoses(t, c, want)
	})

	if *healthyPods > 100 {
		return // the node controller needs as long as there are pods to find all of them lost
	}
	t.Run("nodes that go away", func(t *testing.T) {
		// Nobody plays the nodes any more: the node controller finds out by itself.
		out, err := exec.CommandContext(ctx, filepath.Join(cluster.Root(), "bin", "controlplane"), "stop", "--dir",
			filepath.Join(c.Dir, "cluster"), "kwok").CombinedOutput()
		if err != nil {
			t.Fatalf("stopping the nodes: %v: %s", err, out)
		}
		want["DaemonSet trouble/everywhere"] = "NodeLost"
		want["Deployment trouble/healthy"] = "NodeLost"
		want["Deployment trouble/held"] = "NodeLost"
		found := awaitDiagnoses(t, c, want)
		assertDiagnosis(t, found, "DaemonSet trouble/everywhere", "has not reported since", "kubectl describe node node-")
	})
}

// brokenComponent is a component whose pods no node takes, and a profile that requires it.
const brokenComponent = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: velero, namespace: backup}
spec:
  progressDeadlineSeconds: 3
  selector: {matchLabels: {app: velero}}
  template:
    metadata: {labels: {app: velero}}
    spec: {containers: [{name: velero, image: "velero/velero:v1.17.1", resources: {requests: {cpu: "1000"}}}]}
---
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformProfile
metadata: {name: backups}
spec:
  layers:
  - name: storage
    requirements:
    - {name: backup, anyOf: [{component: velero}]}
`

// testProfileDiagnosis asserts that the status reports why a component is down, that check reports the same, and that the diagnosis
// is gone once the component recovers.
func testProfileDiagnosis(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	cluster.Must(t, c.Install(ctx))
	operator, err := c.Run(ctx)
	cluster.Must(t, err)
	defer operator.Stop()
	objects, err := cluster.Parse([]byte(brokenComponent))
	cluster.Must(t, err)
	cluster.Must(t, c.ApplyObjects(ctx, objects, "backup"))
	read := func() *v1alpha1.PlatformProfile {
		p := &v1alpha1.PlatformProfile{}
		cluster.Must(t, c.Client.Get(ctx, client.ObjectKey{Name: "backups"}, p))
		return p
	}
	await := func(what string, condition func(*v1alpha1.PlatformProfile) bool) *v1alpha1.PlatformProfile {
		t.Helper()
		var p *v1alpha1.PlatformProfile
		cluster.Eventually(t, "the profile is "+what, func() (bool, string) {
			p = read()
			return condition(p), cluster.Summary(p)
		})
		return p
	}
	p := await("diagnosed", func(p *v1alpha1.PlatformProfile) bool { return len(p.Status.Diagnoses) > 0 })
	assertDiagnosis(t, p.Status.Diagnoses, "Deployment backup/velero", "less free CPU than the pod requests",
		"kubectl -n backup describe pod velero-")
	if r := p.Status.Layers[0].Requirements[0]; r.Verdict != v1alpha1.VerdictDegraded ||
		!strings.Contains(r.Message, "Unschedulable: No node fits the pod") {
		t.Errorf("the message of the requirement has no cause: %s: %s", r.Verdict, r.Message)
	}

	file := filepath.Join(t.TempDir(), "profile.yaml")
	_, declared, _ := strings.Cut(brokenComponent, "---")
	cluster.Must(t, os.WriteFile(file, []byte(declared), 0o600))
	var out, errOut bytes.Buffer
	if code := cli.Execute([]string{"check", "-o", "json", "-f", file, "--kubeconfig", c.Kubeconfig}, nil, &out, &errOut); code != 1 {
		t.Fatalf("check: exit code %d: %s", code, errOut.String())
	}
	checked := &v1alpha1.PlatformProfile{}
	cluster.Must(t, json.Unmarshal(out.Bytes(), checked))
	if !equality.Semantic.DeepEqual(checked.Status.Diagnoses, p.Status.Diagnoses) {
		t.Errorf("check reports\n%+v\nand the operator\n%+v", checked.Status.Diagnoses, p.Status.Diagnoses)
	}

	// While nothing changes, nothing is written, however often the pods are diagnosed.
	version, since := read().ResourceVersion, time.Now()
	cluster.Eventually(t, "the pods are diagnosed again, twice", func() (bool, string) {
		requests, err := c.Requests(cluster.User, since)
		cluster.Must(t, err)
		lists := 0
		for _, request := range requests {
			if o := request.ObjectRef; o != nil && o.Resource == "pods" && request.Verb == "list" {
				lists++
			}
		}
		return lists > 1, fmt.Sprintf("%d lists of pods", lists)
	})
	if again := read(); again.ResourceVersion != version {
		t.Errorf("the status was written although nothing changed: %+v", again.Status)
	}
	velero := &appsv1.Deployment{}
	cluster.Must(t, c.Client.Get(ctx, client.ObjectKey{Namespace: "backup", Name: "velero"}, velero))
	patch := client.MergeFrom(velero.DeepCopy())
	velero.Spec.Template.Spec.Containers[0].Resources = corev1.ResourceRequirements{}
	cluster.Must(t, c.Client.Patch(ctx, velero, patch))
	await("well again", func(p *v1alpha1.PlatformProfile) bool {
		return len(p.Status.Diagnoses) == 0 && p.Status.Layers[0].Requirements[0].Verdict == v1alpha1.VerdictSatisfied
	})
	cluster.Must(t, c.Client.Delete(ctx, velero)) // what comes next is not about it
}

// awaitDiagnoses waits until each workload in trouble is diagnosed with its symptom, and nothing else is.
func awaitDiagnoses(t *testing.T, c *cluster.Cluster, want map[string]string) []v1alpha1.Diagnosis {
	t.Helper()
	var found []v1alpha1.Diagnosis
	cluster.Eventually(t, fmt.Sprint("the diagnoses are ", want), func() (bool, string) {
		found = diagnose(t, "--kubeconfig", c.Kubeconfig)
		got := map[string]string{}
		for _, one := range found {
			got[workloadName(one)] = one.Symptom
		}
		return maps.Equal(got, want), fmt.Sprint(got)
	})
	return found
}

func workloadName(d v1alpha1.Diagnosis) string {
	return d.Workload.Kind + " " + d.Workload.Namespace + "/" + d.Workload.Name
}

func assertDiagnosis(t *testing.T, found []v1alpha1.Diagnosis, of string, texts ...string) {
	t.Helper()
	for _, one := range found {
		if workloadName(one) != of {
			continue
		}
		all := strings.Join(slices.Concat([]string{one.Meaning}, one.LikelyCauses, one.Commands), "\n")
		for _, text := range texts {
			if !strings.Contains(all, text) {
				t.Errorf("%s: %q is missing in:\n%s", of, text, all)
			}
		}
		return
	}
	t.Errorf("there is no diagnosis of %s", of)
}

func diagnose(t *testing.T, args ...string) []v1alpha1.Diagnosis {
	t.Helper()
	var out, errOut bytes.Buffer
	code := cli.Execute(append([]string{"diagnose", "-o", "json"}, args...), nil, &out, &errOut)
	var result report.Diagnoses
	if code == 2 {
		t.Fatalf("diagnose: %s", errOut.String())
	}
	cluster.Must(t, json.Unmarshal(out.Bytes(), &result))
	if (code == 1) != (len(result.Diagnoses) > 0) {
		t.Errorf("exit code %d with %d diagnoses", code, len(result.Diagnoses))
	}
	return result.Diagnoses
}

// assertRequests asserts from the audit log that diagnose listed pods page by page, asked for the events of failing pods only, and for
// none of the resources that nobody may read.
func assertRequests(t *testing.T, c *cluster.Cluster, from time.Time) {
	t.Helper()
	log, err := c.AuditLog()
	cluster.Must(t, err)
	file, err := os.Open(log)
	cluster.Must(t, err)
	defer file.Close() //nolint:errcheck // nothing was written
	asked, podRequests := 0, 0
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		event := auditv1.Event{}
		if json.Unmarshal(scanner.Bytes(), &event) != nil || event.ImpersonatedUser == nil || event.ImpersonatedUser.Username != diagnoseUser ||
			event.RequestReceivedTimestamp.Time.Before(from) ||
			event.ObjectRef == nil {
			continue
		}
		asked++
		uri, err := url.Parse(event.RequestURI)
		cluster.Must(t, err)
		switch ref := event.ObjectRef; {
		case ref.Resource == "secrets" || ref.Subresource == "log" || event.Verb != "list" && event.Verb != "get":
			t.Errorf("it asked for %s %s", event.Verb, event.RequestURI)
		case event.Verb == "list" && uri.Query().Get("limit") == "" && ref.APIGroup != v1alpha1.GroupVersion.Group:
			t.Errorf("it listed in one piece: %s", event.RequestURI)
		case ref.Resource == "pods":
			podRequests++
		case strings.Contains(uri.Query().Get("fieldSelector"), "healthy-"):
			t.Errorf("it read the events of a healthy pod: %s", event.RequestURI)
		}
	}
	cluster.Must(t, scanner.Err())
	if asked == 0 {
		t.Error("the audit log has no request of diagnose")
	}
	if pages := 1 + (*healthyPods+100)/500; podRequests == 0 || podRequests > pages {
		t.Errorf("%d requests for pods, want at most %d pages", podRequests, pages)
	}
	t.Logf("%d requests beside %d healthy pods", asked, *healthyPods)
}
