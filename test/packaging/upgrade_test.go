package packaging

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

const head = "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: %s}\nspec:\n"

// requireNoClass is a profile that asks that no StorageClass has a name.
func requireNoClass(name string) string {
	return fmt.Sprintf(head, name) + fmt.Sprintf(`
  layers:
  - name: storage
    requirements:
    - {name: class, rule: {resource: {group: storage.k8s.io, resource: storageclasses}, expression: "object.metadata.name != '%s'", message: "no such class"}}
`, name)
}

// applyStatus writes a part of a profile's status as a field manager.
func applyStatus(t *testing.T, name, manager, status string) {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{}}
	cluster.Must(t, json.Unmarshal([]byte(`{"apiVersion":"platformprofile.dev/v1alpha1","kind":"PlatformProfile","metadata":{"name":"`+name+`"},"status":`+status+`}`), &object.Object))
	cluster.Must(t,
		env.Client.Status().Apply(context.Background(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(manager),
			client.ForceOwnership))
}

// TestOldStatus tests that a status of an older version is taken over: transition times stay, new fields are added, what
// only the older version wrote is removed, what others wrote stays, and no event is recorded.
func TestOldStatus(t *testing.T) {
	needCluster(t)
	create(t, requireNoClass("aged"))
	const since = "2026-01-02T03:04:05Z"
	written := func(kind string) string {
		return fmt.Sprintf(`{"type":%q,"status":"True","reason":"Old","message":"written by an older version","lastTransitionTime":%q}`,
			kind, since)
	}
	applyStatus(t, "aged", "platformprofile", `{"observedGeneration":1,"lastChangeTime":"`+since+`",
		"layers":[{"name":"storage","verdict":"Satisfied","satisfied":1,"total":1,
		"requirements":[{"name":"class","verdict":"Satisfied","lastTransitionTime":"`+since+`"}]}],
		"conditions":[`+strings.Join([]string{written("Available"), written("Conformant"), written("Ready"), written("StorageConformant")}, ",")+`]}`)
	// Conditions of another tool, and one of the operator that somebody restored.
	applyStatus(t, "aged", "backup-tool", `{"conditions":[`+written("BackedUp")+`,`+written("Ready")+`]}`)
	cluster.Must(t, startOperator(t).AwaitReady(context.Background()))
	p := awaitProfile(t, "aged", "it is evaluated", func(p *v1alpha1.PlatformProfile) bool { return p.Status.Score == "1/1" })
	for _, kind := range []string{"Conformant", "Ready", "StorageConformant", "BackedUp"} {
		if c := condition(p, kind); c == nil || c.LastTransitionTime.UTC().Format(time.RFC3339) != since {
			t.Errorf("the condition %s is %+v", kind, c)
		}
	}
	if c := condition(p, "Available"); c != nil {
		t.Errorf("a condition that the operator writes no more is still there: %+v", c)
	}
	if c := condition(p, "BackedUp"); c == nil || c.Reason != "Old" {
		t.Errorf("another's condition is %+v", c)
	}
	if r := cluster.FindRequirement(p, "storage", "class"); r.LastTransitionTime.UTC().Format(time.RFC3339) != since || r.Message == "" {
		t.Errorf("the requirement is %+v", r)
	}
	expectNoWrite(t, "aged")
	for _, entry := range stored(t, "PlatformProfile", "aged").GetManagedFields() {
		if entry.Manager == "platformprofile" && strings.Contains(entry.FieldsV1.GetRawString(), "BackedUp") {
			t.Error("the operator claims another's condition")
		}
	}
	// Suspending writes a status that is made from the one before.
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"suspend":true}}`))
	cluster.Must(t, env.Client.Patch(context.Background(), stored(t, "PlatformProfile", "aged"), patch))
	awaitProfile(t, "aged", "it is suspended", func(p *v1alpha1.PlatformProfile) bool {
		return p.Status.ObservedGeneration == 2 && condition(p, "BackedUp") != nil
	})
	for _, entry := range stored(t, "PlatformProfile", "aged").GetManagedFields() {
		if entry.Manager == "platformprofile" && strings.Contains(entry.FieldsV1.GetRawString(), "BackedUp") {
			t.Error("the operator claims another's condition of a profile that is suspended")
		}
	}
	if got := events(t, "aged"); len(got) > 0 {
		t.Errorf("events report what did not happen: %v", got)
	}
}

// TestOtherCRD tests that an operator whose CRDs are of another version reports it and writes nothing, and continues by itself
// once those of its own are applied.
func TestOtherCRD(t *testing.T) {
	ctx := context.Background()
	needCluster(t)
	own := crd(t, "platformprofiles")
	older := crd(t, "platformprofiles")
	older.SetAnnotations(map[string]string{revisionAnnotation: "0000older0000"})
	delete(field(t, older, "status")["properties"].(map[string]any), "diagnosesOmitted")
	replaceCRD(t, older)
	t.Cleanup(func() { replaceCRD(t, own) })
	create(t, requireNoClass("waits"))
	o := startOperator(t)
	for _, want := range []string{"0000older0000", own.GetAnnotations()[revisionAnnotation], "the CRDs of the operator version are applied"} {
		cluster.Eventually(t, "/readyz contains "+want, func() (bool, string) { return strings.Contains(o.ReadyCheck(ctx, "schemas"), want), "" })
	}
	t.Log(o.ReadyCheck(ctx, "schemas"))
	if ready, _ := o.Ready(ctx); ready {
		t.Error("it is ready")
	}
	cluster.Eventually(t, "an event", func() (bool, string) { return len(mismatches(t)) == 1, "" })
	cluster.Eventually(t, "all else is ready", func() (bool, string) { return o.ReadyCheck(ctx, "inventory") == "ok", "" })
	expectUnwritten(t, "waits", func() {})
	if n := logged(t, o); n != 1 {
		t.Errorf("the log has the message %d times", n)
	}

	replaceCRD(t, own)
	cluster.Must(t, o.AwaitReady(ctx))
	awaitProfile(t, "waits", "it is evaluated", hasVerdict(v1alpha1.VerdictSatisfied))

	// The CRD changes under the operator that runs; without a revision it counts as another one, too.
	unmarked := crd(t, "platformprofiles")
	unmarked.SetAnnotations(nil)
	replaceCRD(t, unmarked)
	cluster.Eventually(t, "it is not ready", func() (bool, string) {
		return strings.Contains(o.ReadyCheck(ctx, "schemas"), `has revision ""`), ""
	})
	definition := create(t, "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformComponent\nmetadata: {name: acme}\nspec: {layer: workloads, signals: {workloads: [{images: [acme/server]}]}}\n")
	expectUnwritten(t, "waits", func() {
		class := cluster.StorageClass("waits")
		cluster.Must(t, env.Client.Create(ctx, class))
		t.Cleanup(func() { _ = env.Client.Delete(ctx, class) })
	})
	accepted := func() bool {
		conditions, _, _ := unstructured.NestedSlice(stored(t, "PlatformComponent", definition.GetName()).Object, "status", "conditions")
		return len(conditions) > 0
	}
	if accepted() {
		t.Error("the status of a definition was written")
	}
	replaceCRD(t, own)
	awaitProfile(t, "waits", "it is evaluated", hasVerdict(v1alpha1.VerdictCheckFailed))
	cluster.Eventually(t, "the definition is in use", func() (bool, string) { return accepted(), "" })
	cluster.Must(t, o.AwaitReady(ctx))
}

// expectUnwritten asserts that a profile is not written for some seconds after a change. The operator writes nothing at all meanwhile,
// so that there is nothing to wait for.
func expectUnwritten(t *testing.T, name string, change func()) {
	t.Helper()
	before := stored(t, "PlatformProfile", name)
	change()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if now := stored(t, "PlatformProfile", name); now.GetResourceVersion() != before.GetResourceVersion() {
			t.Fatalf("the profile was written: %v", now.Object)
		}
	}
}

// mismatches are the events that say that a CRD is of another version.
func mismatches(t *testing.T) []eventsv1.Event {
	t.Helper()
	list := &eventsv1.EventList{}
	cluster.Must(t, env.Client.List(context.Background(), list, client.InNamespace("default")))
	return slices.DeleteFunc(list.Items, func(event eventsv1.Event) bool {
		return event.Reason != "SchemaMismatch" || event.Regarding.Name != "platformprofiles.platformprofile.dev"
	})
}

// logged counts the lines of the operator's log about a CRD of another version.
func logged(t *testing.T, o *cluster.Operator) int {
	t.Helper()
	output, err := os.ReadFile(o.Log)
	cluster.Must(t, err)
	lines := strings.Split(string(output), "\n")
	return len(slices.DeleteFunc(lines, func(line string) bool {
		return !strings.Contains(line, `"logger":"schemas"`) || !strings.Contains(line, "profiles are not evaluated")
	}))
}
