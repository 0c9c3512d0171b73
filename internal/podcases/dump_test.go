package podcases_test

import (
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/internal/podcases"
	"github.com/platformprofile/platformprofile/internal/source/files"
)

const objects = `
apiVersion: v1
kind: Pod
metadata: {name: broken, namespace: a, uid: u}
spec: {nodeName: gone, containers: [{name: c}], volumes: [{name: v, persistentVolumeClaim: {claimName: claim}}]}
status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: none fits}]}
---
apiVersion: v1
kind: Pod
metadata: {name: fine, namespace: a}
status: {phase: Running, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim, namespace: a}
spec: {storageClassName: fast}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: x
---
apiVersion: v1
kind: Node
metadata: {name: here}
---
apiVersion: v1
kind: Event
metadata: {name: e1, namespace: a}
involvedObject: {kind: Pod, namespace: a, name: broken, uid: u}
reason: FailedScheduling
---
apiVersion: v1
kind: Event
metadata: {name: e2, namespace: a}
involvedObject: {kind: Pod, namespace: a, name: other}
---
apiVersion: v1
kind: Event
metadata: {name: e3, namespace: a}
involvedObject: {kind: StatefulSet, namespace: a, name: refused}
type: Warning
reason: FailedCreate
message: exceeded quota
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: refused, namespace: a}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: stuck, namespace: a}
status: {conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate, message: exceeded quota}]}
`

func collectFromDump(t *testing.T, text, namespace string, now time.Time) *podcases.Pods {
	t.Helper()
	dump, err := files.Read("-", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	pods, err := podcases.OfDump(dump, namespace, now)
	if err != nil {
		t.Fatal(err)
	}
	return pods
}

func TestPodsOfDump(t *testing.T) {
	pods := collectFromDump(t, objects, "", time.Now())
	examined := podcases.Examined{Pods: 2, Workloads: 2, Namespaces: 1}
	if len(pods.Cases) != 1 || len(pods.Workloads) != 2 || len(pods.Unreadable) > 0 || pods.Examined != examined {
		t.Fatalf("%d failing pods, %d workloads, unreadable %v, examined %+v",
			len(pods.Cases), len(pods.Workloads), pods.Unreadable, pods.Examined)
	}
	c := pods.Cases[0]
	if c.Pod.Name != "broken" || !c.IsNodeGone || len(c.Events) != 1 || len(c.Claims) != 1 || c.Claims[0].Claim == nil ||
		c.Claims[0].Class == nil || c.Claims[0].IsUnreadable {
		t.Errorf("the case is %+v", c)
	}
	if pods := collectFromDump(t, objects, "b", time.Now()); len(pods.Cases) > 0 || len(pods.Workloads) > 0 {
		t.Errorf("in another namespace: %+v", pods)
	}
}

// A dump without nodes and claims does not mean that those of a pod are gone.
func TestDumpOfPodsOnly(t *testing.T) {
	pod, _, _ := strings.Cut(objects, "---")
	pods := collectFromDump(t, pod, "", time.Now())
	if len(pods.Cases) != 1 || pods.Cases[0].IsNodeGone || len(pods.Cases[0].Claims) != 1 || !pods.Cases[0].Claims[0].IsUnreadable ||
		len(pods.Unreadable) > 0 {
		t.Errorf("%+v", pods)
	}
}

// An object that cannot be decoded is named, and the others are diagnosed.
func TestDumpWithUnreadablePod(t *testing.T) {
	odd := "---\napiVersion: v1\nkind: Pod\nmetadata: {name: odd, namespace: a}\nspec: {priority: high}\n"
	pods := collectFromDump(t, objects+odd, "", time.Now())
	if len(pods.Cases) != 1 || len(pods.Unreadable) != 1 || !strings.Contains(pods.Unreadable[0], "a/odd") {
		t.Errorf("%d cases, unreadable %q", len(pods.Cases), pods.Unreadable)
	}
}
