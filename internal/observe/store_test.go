package observe

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestALargeDumpShowsWhatASmallOneDoes shows that rules and diagnoses see the same among so many objects that these wait in a
// file, and that the file is gone as soon as it is open.
func TestALargeDumpShowsWhatASmallOneDoes(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	const objects = `
apiVersion: v1
kind: Pod
metadata: {name: broken, namespace: a, uid: u}
spec: {nodeName: gone, containers: [{name: c}], volumes: [{name: v, persistentVolumeClaim: {claimName: claim}}]}
status: {phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: Unschedulable, message: none fits}]}
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
apiVersion: apps/v1
kind: Deployment
metadata: {name: stuck, namespace: a}
status: {conditions: [{type: ReplicaFailure, status: "True", reason: FailedCreate, message: exceeded quota}]}
---
apiVersion: corp.dev/v1
kind: Gear
metadata: {name: g, namespace: a}
spec: {teeth: 7, none: null}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: cogwheels.corp.dev}
spec: {group: corp.dev, names: {kind: Gear, plural: cogwheels}}
`
	var many strings.Builder
	for n := range 2 * inMemory >> 10 {
		fmt.Fprintf(&many, "---\n{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"p%d\", \"namespace\": \"b\", \"annotations\": {\"text\": %q}}, \"status\": {\"phase\": \"Running\", \"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"}]}}\n", n, strings.Repeat("x", 1<<10))
	}
	for name, text := range map[string]string{"small": objects, "large": objects + many.String(), "large, from the end": strings.TrimPrefix(many.String(), "---\n") + "---\n" + objects} {
		t.Run(name, func(t *testing.T) {
			d := read(t, text)
			defer d.Close()
			if large := d.objects.file != nil; large != (name != "small") {
				t.Fatalf("in a file: %t", large)
			}
			if left, err := filepath.Glob(filepath.Join(folder, "platformprofile-*")); err != nil || len(left) > 0 {
				t.Errorf("there are %v, %v", left, err)
			}
			if got := looked(t, d, gears).Outcome(seven(gears).Key); !got.Holds || got.Satisfied != 1 {
				t.Errorf("its object is another: %+v", got)
			}
			troubled, err := d.Trouble("")
			if err != nil {
				t.Fatal(err)
			}
			if len(troubled.Cases) != 1 || len(troubled.Uncreated) != 1 {
				t.Fatalf("%d pods in trouble, %d workloads without", len(troubled.Cases), len(troubled.Uncreated))
			}
			c := troubled.Cases[0]
			if c.Pod.Name != "broken" || !c.NodeGone || len(c.Events) != 1 || len(c.Claims) != 1 || c.Claims[0].Claim == nil || c.Claims[0].Class == nil || c.Claims[0].Unread {
				t.Errorf("the case is %+v", c)
			}
		})
	}
	// Where there is no room on the disk, it says what to do.
	t.Setenv("TMPDIR", filepath.Join(folder, "nowhere"))
	if _, err := Files("-", strings.NewReader(objects+many.String())); err == nil || !strings.Contains(err.Error(), "set TMPDIR") {
		t.Errorf("without a folder for it: %v", err)
	}
}
