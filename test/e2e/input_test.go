package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// TestBadProfiles asserts that Stalled reports a mistake that no retry can fix, with the path of the field, and that the mistake
// affects neither the other requirements of the profile nor other profiles.
func TestBadProfiles(t *testing.T) {
	check := func(expression string) v1alpha1.Requirement {
		return v1alpha1.Requirement{Name: "bad", Rule: &v1alpha1.Rule{
			Resource: &v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"}, Expression: expression, Message: "holds",
		}}
	}
	runtime := cluster.AnyOf("containerd", "containerd", ">=2.0")
	neighbour := createProfile(t, "undisturbed", v1alpha1.Layer{Name: "runtime", Requirements: []v1alpha1.Requirement{runtime}})
	neighbour.AwaitLast(t, "the neighbour is evaluated", cluster.VerdictIs("runtime", "containerd", v1alpha1.VerdictSatisfied))
	before := neighbour.Last().ResourceVersion

	for name, test := range map[string]struct {
		requirement v1alpha1.Requirement
		path, want  string
		verdict     v1alpha1.Verdict
	}{
		"unknown-component":  {cluster.AnyOf("bad", "ciliumm", ""), "spec.layers[0].requirements[1].anyOf[0].component", "no definition of this component", v1alpha1.VerdictMissing},
		"unknown-capability": {v1alpha1.Requirement{Name: "bad", Capability: "cnii"}, "spec.layers[0].requirements[1].capability", "no definition provides", v1alpha1.VerdictMissing},
		"bad-range":          {cluster.AnyOf("bad", "cilium", "at least one"), "spec.layers[0].requirements[1].anyOf[0].version", "not a version range", v1alpha1.VerdictUnknown},
		"bad-cel":            {check("object.metadata.name =="), "spec.layers[0].requirements[1].rule.expression", "Syntax error", v1alpha1.VerdictUnknown},
		"costly-cel":         {check("object.a.all(a, object.a.all(b, object.a.all(c, object.a.all(d, object.a.all(e, a != b || c != d || d != e)))))"), "spec.layers[0].requirements[1].rule.expression", "costs too much", v1alpha1.VerdictUnknown},
		"unknown-check": {v1alpha1.Requirement{Name: "bad", AnyOf: []v1alpha1.ComponentChoice{{Component: "velero"}}, Checks: []v1alpha1.CheckReference{{Name: "backup-fresh"}}},
			"spec.layers[0].requirements[1].checks[0].name", "backup-recent", v1alpha1.VerdictUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			profile := createProfile(t, name, v1alpha1.Layer{Name: "runtime", Requirements: []v1alpha1.Requirement{runtime, test.requirement}})
			last := profile.AwaitLast(t, "the profile is evaluated", cluster.VerdictIs("runtime", "bad", test.verdict))
			stalled := condition(last, v1alpha1.ConditionStalled)
			if stalled == nil || stalled.Status != metav1.ConditionTrue {
				t.Fatalf("the profile is not Stalled: %+v", last.Status.Conditions)
			}
			if !strings.Contains(stalled.Message, test.path) || !strings.Contains(stalled.Message, test.want) {
				t.Errorf("Stalled does not name %s, or does not contain %q: %s", test.path, test.want, stalled.Message)
			}
			t.Log(stalled.Message)
			if r := cluster.FindRequirement(last, "runtime", "containerd"); r.Verdict != v1alpha1.VerdictSatisfied {
				t.Errorf("the other requirement suffers: %s: %s", r.Verdict, r.Message)
			}
			if got := kstatusOf(t, "PlatformProfile", name); got != status.FailedStatus {
				t.Errorf("kstatus is %s for a profile that no retry can fix", got)
			}
		})
	}
	if after := neighbour.Last().ResourceVersion; after != before {
		t.Errorf("the neighbour was written (%s, %s), although nothing concerned it", before, after)
	}
}

// TestBadDefinitions asserts that a definition with a mistake is not used, that Accepted reports the path of the field, and that
// neither the catalog nor a profile is affected.
func TestBadDefinitions(t *testing.T) {
	ctx := context.Background()
	workload := func(signal v1alpha1.WorkloadSignal) v1alpha1.Signals {
		return v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{signal}}
	}
	for name, test := range map[string]struct {
		signals    v1alpha1.Signals
		path, want string
	}{
		"matches-nothing":       {workload(v1alpha1.WorkloadSignal{Images: []string{"acme/server:v1.2"}}), "spec.signals.workloads[0].images[0]", "never match"},
		"matches-nothing-alone": {v1alpha1.Signals{CRDs: []v1alpha1.NameSignal{{Name: "acme.example"}}}, "spec.signals", "no signal proves"},
		"matches-everything":    {workload(v1alpha1.WorkloadSignal{Labels: map[string]v1alpha1.LabelValue{"app.kubernetes.io/name": "*"}}), "spec.signals.workloads[0]", "a common label"},
		"matches-every-node":    {v1alpha1.Signals{Nodes: []v1alpha1.NodeSignal{{KubeletVersion: ".*"}}}, "spec.signals.nodes[0].kubeletVersion", "matches the empty text"},
		"matches-any-product":   {workload(v1alpha1.WorkloadSignal{Images: []string{"controller"}}), "spec.signals.workloads[0].images[0]", "images of many products"},
	} {
		t.Run(name, func(t *testing.T) {
			definition := &v1alpha1.PlatformComponent{Spec: v1alpha1.PlatformComponentSpec{Layer: "workloads", Signals: test.signals}}
			definition.Name = name
			cluster.Must(t, env.Client.Create(ctx, definition))
			t.Cleanup(func() { cluster.Must(t, env.Client.Delete(ctx, definition)) })
			accepted := awaitAccepted(t, name, metav1.ConditionFalse)
			if !strings.Contains(accepted.Message, test.path) || !strings.Contains(accepted.Message, test.want) {
				t.Errorf("Accepted does not name %s, or does not contain %q: %s", test.path, test.want, accepted.Message)
			}
			t.Log(accepted.Message)
			if got := kstatusOf(t, "PlatformComponent", name); got != status.FailedStatus {
				t.Errorf("kstatus is %s for a definition that no retry can fix", got)
			}
		})
	}

	t.Run("a broken override leaves the built-in definition in use", func(t *testing.T) {
		profile := createProfile(t, "override", cluster.Layer("runtime", cluster.AnyOf("containerd", "containerd", "")))
		profile.AwaitLast(t, "containerd is found", cluster.VerdictIs("runtime", "containerd", v1alpha1.VerdictSatisfied))
		override := &v1alpha1.PlatformComponent{Spec: v1alpha1.PlatformComponentSpec{
			Layer: "runtime", Signals: v1alpha1.Signals{Nodes: []v1alpha1.NodeSignal{{OSImage: "("}}},
		}}
		override.Name = "containerd"
		cluster.Must(t, env.Client.Create(ctx, override))
		accepted := awaitAccepted(t, "containerd", metav1.ConditionFalse)
		if !strings.Contains(accepted.Message, "built-in definition remains in use") {
			t.Errorf("got %s", accepted.Message)
		}
		if got := cluster.FindRequirement(profile.Last(), "runtime", "containerd"); got.Verdict != v1alpha1.VerdictSatisfied {
			t.Errorf("the profile suffers: %s: %s", got.Verdict, got.Message)
		}
		// Once fixed, it overrides: it matches a runtime that no node has.
		mend := client.MergeFrom(override.DeepCopy())
		override.Spec.Signals.Nodes[0] = v1alpha1.NodeSignal{ContainerRuntime: "cri-o"}
		profile.AwaitVerdict(t, "runtime", "containerd", v1alpha1.VerdictMissing,
			func() { cluster.Must(t, env.Client.Patch(ctx, override, mend)) })
		if accepted := awaitAccepted(t, "containerd", metav1.ConditionTrue); accepted.Reason != "OverridesBuiltin" {
			t.Errorf("got %+v", accepted)
		}
		profile.AwaitVerdict(t, "runtime", "containerd", v1alpha1.VerdictSatisfied, func() { cluster.Must(t, env.Client.Delete(ctx, override)) })
	})
}

func awaitAccepted(t *testing.T, name string, want metav1.ConditionStatus) metav1.Condition {
	t.Helper()
	definition := &v1alpha1.PlatformComponent{}
	var accepted metav1.Condition
	cluster.Eventually(t, fmt.Sprintf("the definition %s is Accepted=%s", name, want), func() (bool, string) {
		cluster.Must(t, env.Client.Get(context.Background(), types.NamespacedName{Name: name}, definition))
		for _, c := range definition.Status.Conditions {
			if c.Type == v1alpha1.ConditionAccepted && c.Status == want && c.ObservedGeneration == definition.Generation {
				accepted = c
				return true, ""
			}
		}
		return false, fmt.Sprintf("%+v", definition.Status)
	})
	return accepted
}

func kstatusOf(t *testing.T, kind, name string) status.Status {
	t.Helper()
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	cluster.Must(t, env.Client.Get(context.Background(), types.NamespacedName{Name: name}, object))
	computed, err := status.Compute(object)
	cluster.Must(t, err)
	return computed.Status
}
