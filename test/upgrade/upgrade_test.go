package upgrade

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

const head = "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: %s}\nspec:\n"

// holding is a profile that asks that no StorageClass has a name.
func holding(name string) string {
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
	must(t, json.Unmarshal([]byte(`{"apiVersion":"platformprofile.dev/v1alpha1","kind":"PlatformProfile","metadata":{"name":"`+name+`"},"status":`+status+`}`), &object.Object))
	must(t, env.Client.Status().Apply(context.Background(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(manager), client.ForceOwnership))
}

// TestOldStatus shows that a status of an older version is taken up: what turned when stays, what is new is added, what
// the older version wrote and this one does not is gone, what others wrote stays, and nobody is told of anything.
func TestOldStatus(t *testing.T) {
	create(t, holding("aged"))
	const since = "2026-01-02T03:04:05Z"
	written := func(kind string) string {
		return fmt.Sprintf(`{"type":%q,"status":"True","reason":"Old","message":"as an older version said it","lastTransitionTime":%q}`, kind, since)
	}
	applyStatus(t, "aged", "platformprofile", `{"observedGeneration":1,"lastEvaluationTime":"`+since+`",
		"layers":[{"name":"storage","verdict":"Satisfied","satisfied":1,"total":1,"requirements":[{"name":"class","verdict":"Satisfied","lastTransitionTime":"`+since+`"}]}],
		"conditions":[`+strings.Join([]string{written("Available"), written("Conformant"), written("Ready"), written("StorageConformant")}, ",")+`]}`)
	// What another tool says of the profile, and what somebody restored, an own condition among it.
	applyStatus(t, "aged", "backup-tool", `{"conditions":[`+written("BackedUp")+`,`+written("Ready")+`]}`)
	stop := start(t)
	p := profile(t, "aged", "it is evaluated", func(p *v1alpha1.PlatformProfile) bool { return p.Status.Score == "1/1" })
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
	if r := requirement(p, "class"); r.LastTransitionTime.UTC().Format(time.RFC3339) != since || r.Severity != v1alpha1.SeverityRequired {
		t.Errorf("the requirement is %+v", r)
	}
	quiet(t, "aged")
	for _, entry := range stored(t, "PlatformProfile", "aged").GetManagedFields() {
		if entry.Manager == "platformprofile" && strings.Contains(entry.FieldsV1.GetRawString(), "BackedUp") {
			t.Error("the operator claims another's condition")
		}
	}
	// Suspending writes a status that is made from the one before.
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"suspend":true}}`))
	must(t, env.Client.Patch(context.Background(), stored(t, "PlatformProfile", "aged"), patch))
	profile(t, "aged", "it is suspended", func(p *v1alpha1.PlatformProfile) bool {
		return p.Status.ObservedGeneration == 2 && condition(p, "BackedUp") != nil
	})
	for _, entry := range stored(t, "PlatformProfile", "aged").GetManagedFields() {
		if entry.Manager == "platformprofile" && strings.Contains(entry.FieldsV1.GetRawString(), "BackedUp") {
			t.Error("the operator claims another's condition of a profile that is suspended")
		}
	}
	if told := events(t, "aged"); len(told) > 0 {
		t.Errorf("events tell of what did not happen: %v", told)
	}
	stop()
}

// TestOldCRD shows that the operator goes on under a CRD that lacks what it writes, says so, writes nothing over and over,
// and writes all of it once the CRD is there.
func TestOldCRD(t *testing.T) {
	old := crd(t, "platformprofiles")
	delete(field(t, old, "status")["properties"].(map[string]any), "diagnosesOmitted")
	delete(field(t, old, "status", "layers", "requirements")["properties"].(map[string]any), "failingSince")
	install(t, old)
	stop := start(t)
	create(t, holding("held-back"))
	p := profile(t, "held-back", "it is evaluated", verdictIs("class", v1alpha1.VerdictSatisfied))
	c := condition(p, v1alpha1.ConditionSchemaOutdated)
	if c == nil || c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "status.diagnosesOmitted") || !strings.Contains(c.Message, "status.layers.requirements.failingSince") {
		t.Fatalf("the profile does not say that its CRD is old: %+v", p.Status.Conditions)
	}
	t.Log(c.Message)
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "held-back"}, Provisioner: "example.com/unwanted"}
	must(t, env.Client.Create(context.Background(), class))
	t.Cleanup(func() { _ = env.Client.Delete(context.Background(), class) })
	profile(t, "held-back", "it fails", verdictIs("class", v1alpha1.VerdictCheckFailed))
	quiet(t, "held-back")
	stop()
	start(t)
	quiet(t, "held-back")

	// The CRD is upgraded while the operator runs.
	replace(t, crd(t, "platformprofiles"))
	p = profile(t, "held-back", "it says no more that its CRD is old", func(p *v1alpha1.PlatformProfile) bool {
		return condition(p, v1alpha1.ConditionSchemaOutdated) == nil
	})
	if r := requirement(p, "class"); r.Verdict != v1alpha1.VerdictCheckFailed || r.FailingSince == nil {
		t.Errorf("what the new CRD can hold is not there: %+v", r)
	}
	must(t, env.Client.Delete(context.Background(), class))
	profile(t, "held-back", "it holds again", func(p *v1alpha1.PlatformProfile) bool {
		r := requirement(p, "class")
		return r.Verdict == v1alpha1.VerdictSatisfied && r.FailingSince == nil
	})
	quiet(t, "held-back")
}

// newer is the CRD of profiles as a newer version might have it.
func newer(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	wanted := crd(t, "platformprofiles")
	field(t, wanted, "spec")["properties"].(map[string]any)["exemptions"] = map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	field(t, wanted, "status")["properties"].(map[string]any)["trend"] = map[string]any{"type": "string"}
	r := field(t, wanted, "spec", "layers", "requirements")
	r["properties"].(map[string]any)["minNodes"] = map[string]any{"type": "integer"}
	severity := field(t, wanted, "spec", "layers", "requirements", "severity")
	severity["enum"] = append(severity["enum"].([]any), "Advisory")
	return wanted
}

// TestNewerCRD shows that an operator that is older than the CRD, as after a downgrade, keeps what users stored to the last
// byte, judges what it understands, and says of the rest that it does not.
func TestNewerCRD(t *testing.T) {
	stop := start(t)
	create(t, holding("plain"))
	before := profile(t, "plain", "it is evaluated", verdictIs("class", v1alpha1.VerdictSatisfied))
	install(t, newer(t)) // while it runs
	create(t, fmt.Sprintf(head, "from-tomorrow")+`
  exemptions: [friday]
  layers:
  - name: core
    requirements:
    - {name: kubernetes, anyOf: [{component: kubernetes}]}
    - {name: wide, anyOf: [{component: kubernetes}], minNodes: 3}
    - {name: mild, anyOf: [{component: kubernetes}], severity: Advisory}
`)
	spec := func() string {
		data, err := json.Marshal(stored(t, "PlatformProfile", "from-tomorrow").Object["spec"])
		must(t, err)
		return string(data)
	}
	kept := spec()
	if !strings.Contains(kept, "minNodes") || !strings.Contains(kept, "Advisory") || !strings.Contains(kept, "friday") {
		t.Fatalf("the API server did not store it: %s", kept)
	}
	assert := func() {
		t.Helper()
		p := profile(t, "from-tomorrow", "it is evaluated", verdictIs("kubernetes", v1alpha1.VerdictSatisfied))
		for name, says := range map[string]string{"wide": "spec.layers[0].requirements[1].minNodes", "mild": "Advisory"} {
			if r := requirement(p, name); r.Verdict != v1alpha1.VerdictUnknown || !strings.Contains(r.Message, says) {
				t.Errorf("%s is %s: %s", name, r.Verdict, r.Message)
			}
		}
		stalled := condition(p, v1alpha1.ConditionStalled)
		if stalled == nil || !strings.Contains(stalled.Message, "spec.exemptions") || !strings.Contains(stalled.Message, "upgrade the operator") {
			t.Errorf("Stalled is %+v", stalled)
		} else {
			t.Log(stalled.Message)
		}
		if c := condition(p, v1alpha1.ConditionConformant); c == nil || c.Status != metav1.ConditionUnknown {
			t.Errorf("Conformant is %+v", c)
		}
		if now := spec(); now != kept {
			t.Errorf("the spec was\n%s\nand is\n%s", kept, now)
		}
	}
	assert()
	quiet(t, "from-tomorrow")
	// What a newer operator wrote, and this one does not, is gone once this one starts, and nothing else is.
	stop()
	applyStatusOf(t, "plain", `"trend":"rising"`)
	start(t)
	profile(t, "plain", "what a newer operator wrote is gone", func(*v1alpha1.PlatformProfile) bool {
		_, there, _ := unstructured.NestedString(stored(t, "PlatformProfile", "plain").Object, "status", "trend")
		return !there
	})
	assert()
	after := profile(t, "plain", "it is evaluated", verdictIs("class", v1alpha1.VerdictSatisfied))
	if !after.Status.LastChangeTime.Equal(before.Status.LastChangeTime) {
		t.Errorf("nothing changed, and the evaluation is dated anew")
	}
	quiet(t, "plain")
	if told := events(t, "plain"); !slices.Equal(told, []string{"Conformant"}) {
		t.Errorf("events tell of %v", told)
	}
	// The user's own edit mends it.
	edit := stored(t, "PlatformProfile", "from-tomorrow")
	layers, _, _ := unstructured.NestedSlice(edit.Object, "spec", "layers")
	requirements := layers[0].(map[string]any)["requirements"].([]any)
	delete(requirements[1].(map[string]any), "minNodes")
	requirements[2].(map[string]any)["severity"] = "Recommended"
	must(t, unstructured.SetNestedSlice(edit.Object, layers, "spec", "layers"))
	unstructured.RemoveNestedField(edit.Object, "spec", "exemptions")
	must(t, env.Client.Update(context.Background(), edit))
	profile(t, "from-tomorrow", "it conforms", func(p *v1alpha1.PlatformProfile) bool {
		c := condition(p, v1alpha1.ConditionConformant)
		return c.Status == metav1.ConditionTrue && condition(p, v1alpha1.ConditionStalled) == nil
	})
}

// applyStatusOf writes the stored status of a profile as the operator does, with something more in it.
func applyStatusOf(t *testing.T, name, more string) {
	t.Helper()
	data, err := json.Marshal(stored(t, "PlatformProfile", name).Object["status"])
	must(t, err)
	applyStatus(t, name, "platformprofile", "{"+more+","+string(data[1:]))
}

// TestNewerDefinition shows that a definition with what only a newer version knows is not used for the rest of it, says so,
// and has nothing called missing.
func TestNewerDefinition(t *testing.T) {
	wanted := crd(t, "platformcomponents")
	field(t, wanted, "spec", "signals", "workloads")["properties"].(map[string]any)["architectures"] = map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	install(t, wanted)
	start(t)
	create(t, `
apiVersion: platformprofile.dev/v1alpha1
kind: PlatformComponent
metadata: {name: acme-tomorrow}
spec:
  layer: workloads
  capabilities: [acme]
  signals: {workloads: [{images: [acme/tomorrow-server], architectures: [riscv64]}]}
`)
	create(t, fmt.Sprintf(head, "asks-for-it")+`
  layers:
  - name: workloads
    requirements:
    - {name: server, anyOf: [{component: acme-tomorrow}]}
    - {name: role, capability: acme}
`)
	p := profile(t, "asks-for-it", "it is evaluated", verdictIs("server", v1alpha1.VerdictUnknown))
	for _, name := range []string{"server", "role"} {
		if r := requirement(p, name); r.Verdict != v1alpha1.VerdictUnknown || !strings.Contains(r.Message, "acme-tomorrow") {
			t.Errorf("%s is %s: %s", name, r.Verdict, r.Message)
		}
	}
	t.Log(requirement(p, "server").Message)
	definition := &v1alpha1.PlatformComponent{}
	accepted := func(want metav1.ConditionStatus) string {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			must(t, env.Client.Get(context.Background(), client.ObjectKey{Name: "acme-tomorrow"}, definition))
			for _, c := range definition.Status.Conditions {
				if c.Type == v1alpha1.ConditionAccepted && c.Status == want {
					return c.Message
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("the definition is not Accepted=%s: %+v", want, definition.Status)
			}
		}
	}
	message := accepted(metav1.ConditionFalse)
	t.Log(message)
	if !strings.Contains(message, "spec.signals.workloads[0].architectures") || !strings.Contains(message, "upgrade the operator") {
		t.Errorf("Accepted says %s", message)
	}
	patch := client.RawPatch("application/json-patch+json", []byte(`[{"op":"remove","path":"/spec/signals/workloads/0/architectures"}]`))
	must(t, env.Client.Patch(context.Background(), stored(t, "PlatformComponent", "acme-tomorrow"), patch))
	accepted(metav1.ConditionTrue)
	profile(t, "asks-for-it", "what is not there is missing", verdictIs("server", v1alpha1.VerdictMissing))
}
