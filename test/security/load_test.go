package security

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

var definitions = flag.Int("definitions", 1000, "how many PlatformComponents are applied")

// startOperator runs an operator that nothing has used yet, in place of the shared one, until the test ends.
func startOperator(t *testing.T) *cluster.Operator {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	env.operator.Stop()
	operator, err := env.Run(ctx)
	t.Cleanup(func() {
		if operator != nil {
			operator.Stop()
		}
		cluster.Must(t, runOperator(context.Background()))
	})
	cluster.Must(t, err)
	return operator
}

// resourceUsage is the processor time that the operator took so far, and what memory it takes, in MiB.
func resourceUsage(t *testing.T, operator *cluster.Operator) (time.Duration, int) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", operator.PID()))
	cluster.Must(t, err)
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	const user, system, pages, tick = 11, 12, 21, 10 * time.Millisecond
	number := func(at int) int {
		n, err := strconv.Atoi(fields[at])
		cluster.Must(t, err)
		return n
	}
	return time.Duration(number(user)+number(system)) * tick, number(pages) * os.Getpagesize() >> 20
}

func numberedComponent(n int) *v1alpha1.PlatformComponent {
	return &v1alpha1.PlatformComponent{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("product-", n)}, Spec: v1alpha1.PlatformComponentSpec{
		Layer: "workloads", Capabilities: []v1alpha1.Name{"hostile"},
		Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Images: []string{fmt.Sprint("example/product-", n)}}}},
		Health: &v1alpha1.HealthRules{Rules: []v1alpha1.HealthRule{{
			Name: "classes", Rule: v1alpha1.Rule{
				Resource:   &v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"},
				Expression: fmt.Sprintf("object.metadata.name != 'product-%d'", n), Message: "m",
			},
		}}},
	}}
}

func accepted(name string) bool {
	d := &v1alpha1.PlatformComponent{}
	return env.Client.Get(context.Background(), client.ObjectKey{Name: name}, d) == nil &&
		meta.IsStatusConditionTrue(d.Status.Conditions, v1alpha1.ConditionAccepted)
}

// TestThousandsOfDefinitions applies definitions by the thousand, each with a rule of its own. The last costs no more than the work of
// a new index: what is compiled stays compiled.
func TestThousandsOfDefinitions(t *testing.T) {
	ctx := context.Background()
	operator := startOperator(t)
	_, before := resourceUsage(t, operator)
	began := time.Now()
	forEach(t, *definitions, func(n int) error { return env.Client.Create(ctx, numberedComponent(n)) })
	applied := time.Since(began)
	for n := range *definitions {
		cluster.Eventually(t, "all definitions are in use", func() (bool, string) {
			return accepted(numberedComponent(n).Name), fmt.Sprint("not the one with the number ", n)
		})
	}
	env.Barrier(t) // what they set going ends
	all, memory := resourceUsage(t, operator)
	one := numberedComponent(*definitions)
	cluster.Must(t, env.Client.Create(ctx, one))
	took := cluster.Eventually(t, "one more is in use", func() (bool, string) { return accepted(one.Name), "" })
	env.Barrier(t)
	more, _ := resourceUsage(t, operator)
	t.Logf("%d definitions were applied in %s and cost the operator %s of a processor; it takes %d MiB where it took %d. One more is in use after %s and costs %s",
		*definitions, applied.Round(time.Second), all, memory, before, took.Round(time.Millisecond), more-all)
	// Compiling them all takes many times as long.
	if more-all > all/10+time.Second {
		t.Errorf("one more definition costs %s, where all of them cost %s", more-all, all)
	}
	const most = 1024
	if memory > most {
		t.Errorf("the operator takes %d MiB", memory)
	}
	cluster.Must(t, env.Client.DeleteAllOf(ctx, &v1alpha1.PlatformComponent{}))
	cluster.Eventually(t, "they are gone", func() (bool, string) {
		list := &v1alpha1.PlatformComponentList{}
		cluster.Must(t, env.Client.List(ctx, list))
		return len(list.Items) == 0, fmt.Sprint(len(list.Items))
	})
}

func forEach(t *testing.T, n int, do func(int) error) {
	t.Helper()
	const side = 8
	var group sync.WaitGroup
	failed := make(chan error, side)
	for worker := range side {
		group.Go(func() {
			for i := worker; i < n; i += side {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
}

// TestTheLargestThatIsStored has the operator read an object with 10,000 labels and one of nearly the size that the
// API server stores, with rules that read all of it and that run away; and a profile of the most requirements.
func TestTheLargestThatIsStored(t *testing.T) {
	ctx := context.Background()
	operator := startOperator(t)
	labels := map[string]string{"app": "labelled"}
	for n := range 10000 {
		labels[fmt.Sprint("hostile.example/label-", n)] = "x"
	}
	labelled := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "labelled", Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "labelled"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "labelled"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "registry.example/labelled:1.2.3"}}},
			},
		},
	}
	cluster.Must(t, env.Client.Create(ctx, labelled))
	// It matches whatever carries one of the labels, by any value.
	everything := &v1alpha1.PlatformComponent{ObjectMeta: metav1.ObjectMeta{Name: "everything"}, Spec: v1alpha1.PlatformComponentSpec{
		Layer: "workloads", Signals: v1alpha1.Signals{
			Workloads: []v1alpha1.WorkloadSignal{{Labels: map[string]v1alpha1.LabelValue{"hostile.example/label-9999": "*"}}},
			Nodes: []v1alpha1.NodeSignal{
				{KubeletVersion: "v"},
			},
			CRDs: []v1alpha1.NameSignal{{Name: "platformprofile.dev", Role: v1alpha1.RoleProof}},
		},
	}}
	cluster.Must(t, env.Client.Create(ctx, everything))
	large := &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "large", Annotations: map[string]string{"text": strings.Repeat("<&>", 80000)}},
	}
	cluster.Must(t, env.Client.Create(ctx, large))

	check := func(name, expression string) v1alpha1.Requirement {
		return v1alpha1.Requirement{Name: name, Rule: &v1alpha1.Rule{
			Resource: &v1alpha1.ResourceReference{Resource: "nodes"}, ListExpression: expression, Message: strings.Repeat("<", 256),
		}}
	}
	profile := &v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("p", 253)}}
	for l := range 24 {
		layer := v1alpha1.Layer{Name: fmt.Sprintf("%s-%c", strings.Repeat("l", 45), 'a'+l)}
		for r := range 11 {
			if l*11+r >= 256 {
				break
			}
			name := fmt.Sprintf("%s-%c%c", strings.Repeat("r", 60), 'a'+l, 'a'+r)
			switch r % 3 {
			case 0:
				layer.Requirements = append(layer.Requirements,
					check(name, fmt.Sprintf("objects.size() == %d && objects[0].metadata.name.contains('<<<<<<<<<<')", l)))
			case 1:
				layer.Requirements = append(layer.Requirements,
					v1alpha1.Requirement{Name: name, AnyOf: []v1alpha1.ComponentChoice{{Component: "everything", Version: ">=9999"}}})
			default:
				layer.Requirements = append(layer.Requirements,
					v1alpha1.Requirement{Name: name, Attestation: &v1alpha1.Attestation{By: strings.Repeat("&", 128), Reason: strings.Repeat("<", 512)}})
			}
		}
		profile.Spec.Layers = append(profile.Spec.Layers, layer)
	}
	cluster.Must(t, env.Client.Create(ctx, profile))
	read := &v1alpha1.PlatformProfile{}
	took := cluster.Eventually(t, "the largest profile is evaluated", func() (bool, string) {
		cluster.Must(t, env.Client.Get(ctx, client.ObjectKeyFromObject(profile), read))
		return meta.FindStatusCondition(read.Status.Conditions, v1alpha1.ConditionReady) != nil && strings.HasSuffix(read.Status.Score, "/256") &&
			len(read.Status.Layers[0].Requirements[1].Evidence) > 0, ""
	})
	data, err := json.Marshal(read.Status)
	cluster.Must(t, err)
	whole, err := json.Marshal(read)
	cluster.Must(t, err)
	_, memory := resourceUsage(t, operator)
	t.Logf("256 requirements are evaluated after %s: a status of %d KiB in an object of %d KiB; the operator takes %d MiB",
		took.Round(time.Millisecond), len(data)>>10, len(whole)>>10, memory)
	const stored = 1536 << 10
	if len(data) > stored/2 {
		t.Errorf("the status has %d bytes", len(data))
	}
	// The neighbour of all that is served as ever.
	neighbour := &v1alpha1.PlatformProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "neighbour"},
		Spec: v1alpha1.PlatformProfileSpec{Layers: []v1alpha1.Layer{
			{
				Name: "a",
				Requirements: []v1alpha1.Requirement{
					{Name: "a", AnyOf: []v1alpha1.ComponentChoice{{Component: "everything"}}, Health: v1alpha1.RequireAnyHealth},
				},
			},
		}},
	}
	cluster.Must(t, env.Client.Create(ctx, neighbour))
	cluster.Eventually(t, "the neighbour is evaluated", func() (bool, string) {
		cluster.Must(t, env.Client.Get(ctx, client.ObjectKeyFromObject(neighbour), read))
		return read.Status.Score == "1/1", ""
	})
	for _, object := range []client.Object{labelled, everything, large, profile, neighbour} {
		cluster.Must(t, env.Client.Delete(ctx, object))
	}
}
