package packaging

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// revisionAnnotation is the annotation that a generated CRD has.
const revisionAnnotation = "platformprofile.dev/schema-revision"

// startOperator starts the operator, which ends with the test, and waits for nothing.
func startOperator(t *testing.T) *cluster.Operator {
	t.Helper()
	env.started++
	o, err := env.Replica(context.Background(), fmt.Sprintf("operator-%d", env.started), env.program, "", "--verbosity", "1")
	cluster.Must(t, err)
	t.Cleanup(func() {
		_ = o.Signal(syscall.SIGTERM)
		_, _ = o.Wait()
		if t.Failed() {
			output, _ := os.ReadFile(o.Log)
			const tail = 3000
			t.Logf("the end of the operator's log:\n%s", output[max(0, len(output)-tail):])
		}
	})
	return o
}

// crd is today's CRD of a resource.
func crd(t *testing.T, resource string) *unstructured.Unstructured {
	t.Helper()
	objects, err := cluster.Objects(filepath.Join(cluster.Root(), "config", "crd", "bases", "platformprofile.dev_"+resource+".yaml"))
	cluster.Must(t, err)
	return objects[0]
}

// field finds a schema within a CRD's: names of fields, each an object or a list of objects.
func field(t *testing.T, crd *unstructured.Unstructured, path ...string) map[string]any {
	t.Helper()
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	cluster.Must(t, err)
	crd.Object["spec"].(map[string]any)["versions"] = versions
	at := versions[0].(map[string]any)["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)
	for _, name := range path {
		if items, ok := at["items"].(map[string]any); ok {
			at = items
		}
		next, ok := at["properties"].(map[string]any)[name].(map[string]any)
		if !ok {
			t.Fatalf("the CRD has no %s of %v", name, path)
		}
		at = next
	}
	if items, ok := at["items"].(map[string]any); ok {
		at = items
	}
	return at
}

// replaceCRD puts a CRD in place of another.
func replaceCRD(t *testing.T, wanted *unstructured.Unstructured) {
	t.Helper()
	ctx := context.Background()
	there := &unstructured.Unstructured{}
	there.SetGroupVersionKind(wanted.GroupVersionKind())
	cluster.Must(t, env.Client.Get(ctx, client.ObjectKeyFromObject(wanted), there))
	there.Object["spec"] = wanted.DeepCopy().Object["spec"]
	there.SetAnnotations(wanted.GetAnnotations())
	cluster.Must(t, env.Client.Update(ctx, there))
}

// stored is an object as the API server has it, with all that it holds.
func stored(t *testing.T, kind, name string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	cluster.Must(t, env.Client.Get(context.Background(), client.ObjectKey{Name: name}, object))
	return object
}

// create makes an object from YAML, as a user's client would that validates nothing, and deletes it after the test.
func create(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	objects, err := cluster.Parse([]byte(text))
	cluster.Must(t, err)
	cluster.Must(t, env.Client.Create(context.Background(), objects[0]))
	t.Cleanup(func() { cluster.Must(t, client.IgnoreNotFound(env.Client.Delete(context.Background(), objects[0]))) })
	return objects[0]
}

// awaitProfile waits until the status of a profile meets a condition.
func awaitProfile(t *testing.T, name, what string, condition func(*v1alpha1.PlatformProfile) bool) *v1alpha1.PlatformProfile {
	t.Helper()
	p := &v1alpha1.PlatformProfile{}
	cluster.Eventually(t, what, func() (bool, string) {
		cluster.Must(t, env.Client.Get(context.Background(), client.ObjectKey{Name: name}, p))
		return condition(p), cluster.Summary(p)
	})
	return p
}

// expectNoWrite asserts that evaluations that find nothing new write nothing: a StorageClass that concerns nobody comes and goes.
func expectNoWrite(t *testing.T, name string) {
	t.Helper()
	ctx := context.Background()
	env.Barrier(t)
	before := stored(t, "PlatformProfile", name).GetResourceVersion()
	for range 3 {
		harmless := cluster.StorageClass("harmless")
		cluster.Must(t, env.Client.Create(ctx, harmless))
		env.Barrier(t)
		cluster.Must(t, env.Client.Delete(ctx, harmless))
		env.Barrier(t)
	}
	if after := stored(t, "PlatformProfile", name).GetResourceVersion(); after != before {
		t.Errorf("the status of %s was written although nothing changed (%s, %s)", name, before, after)
	}
}

func condition(p *v1alpha1.PlatformProfile, kind string) *metav1.Condition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

// hasVerdict returns a condition on a profile: the verdict on its requirement "class", for its latest generation.
func hasVerdict(verdict v1alpha1.Verdict) func(*v1alpha1.PlatformProfile) bool {
	return func(p *v1alpha1.PlatformProfile) bool {
		return cluster.VerdictIs("storage", "class", verdict)(p) && p.Status.ObservedGeneration == p.Generation
	}
}

// events are the reasons of the events on a profile.
func events(t *testing.T, profile string) []string {
	t.Helper()
	list := &eventsv1.EventList{}
	cluster.Must(t, env.Client.List(context.Background(), list))
	var reasons []string
	for _, event := range list.Items {
		if event.Regarding.Kind == "PlatformProfile" && event.Regarding.Name == profile {
			reasons = append(reasons, event.Reason)
		}
	}
	return reasons
}
