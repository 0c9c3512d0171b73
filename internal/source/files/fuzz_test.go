package files

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/podcases"
)

// FuzzDump reads arbitrary input, and discovers components and diagnoses pods in it. An error names the file and the document. The
// result is the same when the input is read again.
func FuzzDump(f *testing.F) {
	for _, text := range []string{
		"{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: cilium, namespace: kube-system, generation: 1}, spec: {template: {spec: {containers: [{name: a, image: 'quay.io/cilium/cilium:v1.18.2'}]}}}, status: {desiredNumberScheduled: 3, numberReady: 1, observedGeneration: 1, updatedNumberScheduled: 3}}",
		"{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Node, metadata: {name: n}, status: {nodeInfo: {containerRuntimeVersion: 'containerd://2.1.4', kubeletVersion: v1.37.2, osImage: 'Talos (v1)'}}}]}",
		"{apiVersion: v1, kind: PodList, items: [{metadata: {name: p, namespace: a}, spec: {containers: [{name: c}]}, status: {phase: Running, containerStatuses: [{name: c, restartCount: 9, state: {waiting: {reason: CrashLoopBackOff, message: m}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}}]}}]}",
		"{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: backups.velero.io}, spec: {group: velero.io, names: {kind: Backup, plural: backups}}}\n---\n{apiVersion: velero.io/v1, kind: Backup, metadata: {name: b}, status: {phase: Completed}}",
		"{apiVersion: platformprofile.dev/v1alpha1, kind: PlatformComponent, metadata: {name: x}, spec: {layer: x, signals: {workloads: [{images: [a/b]}]}}}",
		"{apiVersion: v1, kind: Secret, data: {a: b}}", "{kind: List, apiVersion: v1, items: [1]}", "{kind: List, apiVersion: v1, items: {a: b}}",
		"{apiVersion: a/b/c, kind: x}", "{apiVersion: apps/v1, kind: Deployment, spec: 1}",
		"{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: a}, spec: {replicas: -1, selector: {}}, status: {conditions: [{type: ReplicaFailure, status: 'True', message: exceeded quota}]}}",
		"{apiVersion: v1, kind: Pod, metadata: {name: '; rm -rf', namespace: '$(x)'}, status: {phase: Failed, reason: Evicted}}", "a: b", "\ufeffkind: a", "kind: x\r\napiVersion: v1\r\n",
	} {
		f.Add([]byte(text))
	}
	components, err := catalog.Builtin()
	if err != nil {
		f.Fatal(err)
	}
	known := catalog.New(components...)
	now := time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)
	read := func(t *testing.T, data []byte) (string, bool) {
		dump, err := Read("-", bytes.NewReader(data))
		if err != nil {
			if text := err.Error(); !utf8.ValidString(text) || !strings.HasPrefix(text, "standard input:") {
				t.Fatalf("the error does not name the file, or is not valid UTF-8: %q", text)
			}
			return "", false
		}
		i := inventory.New(known, func() time.Time { return now })
		if err := dump.Load(i, known.Instances()); err != nil {
			t.Fatal(err)
		}
		if err := podcases.DiagnoseDump(dump, i, now); err != nil {
			return "", false
		}
		text := ""
		for _, found := range i.Snapshot().InstalledComponents() {
			encoded, err := json.Marshal(found.Installations)
			if err != nil {
				t.Fatal(err)
			}
			text += found.Definition.Name + string(encoded)
			for _, installation := range found.Installations {
				if len(installation.Evidence) == 0 || installation.Health == "" {
					t.Fatalf("%s has no evidence or no health: %+v", found.Definition.Name, installation)
				}
			}
		}
		pods, err := podcases.OfDump(dump, "", now)
		if err != nil {
			return "", false
		}
		for _, d := range pods.Diagnose(nil, now) {
			if d.Symptom == "" || d.Meaning == "" {
				t.Fatalf("no symptom or no meaning: %+v", d)
			}
		}
		return text, true
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		first, isValid := read(t, data)
		if took := time.Since(start); took > time.Minute {
			t.Fatalf("%d bytes took %s", len(data), took)
		}
		if !isValid {
			return
		}
		if second, _ := read(t, data); second != first {
			t.Fatalf("first:\n%s\nthen:\n%s", first, second)
		}
	})
}
