package controllers

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// slowReader is a Reader whose first call returns after the second one, or after a timeout.
type slowReader struct {
	called chan struct{}
	over   chan struct{}
	last   []rule.Instance
}

func (s *slowReader) Read(instances []rule.Instance, _ []catalog.NamedObject) {
	select {
	case s.called <- struct{}{}:
		select {
		case <-s.over:
		case <-time.After(300 * time.Millisecond):
		}
		s.last = instances
	default:
		s.last = instances
		close(s.over)
	}
}

// TestConcurrentUpdateReads checks that the last call of Read includes both of two profiles that are compiled concurrently.
func TestConcurrentUpdateReads(t *testing.T) {
	c := catalog.New()
	reader := &slowReader{called: make(chan struct{}, 1), over: make(chan struct{})}
	r := &PlatformProfileReconciler{Reader: reader}
	add := func(resource string) {
		spec := &v1alpha1.PlatformProfileSpec{Layers: []v1alpha1.Layer{{Name: "any", Requirements: []v1alpha1.Requirement{
			{
				Name: "it",
				Rule: &v1alpha1.Rule{
					Resource:       &v1alpha1.ResourceReference{Resource: resource},
					ListExpression: "objects.size() > 0",
					Message:        "there is one",
				},
			},
		}}}}
		state := r.stateOf(&v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: resource}})
		state.compiled.Store(&compiledProfile{Profile: conformance.Compile(spec, c), spec: spec})
		r.updateReads(c)
	}
	done := make(chan struct{})
	go func() {
		add("first")
		close(done)
	}()
	for len(reader.called) == 0 {
		time.Sleep(time.Millisecond)
	}
	add("second")
	<-done
	for _, resource := range []string{"first", "second"} {
		reads := func(i rule.Instance) bool { return i.Resources[0].Resource == resource }
		if !slices.ContainsFunc(reader.last, reads) {
			t.Errorf("the last call does not include all instances: %s", fmt.Sprint(reader.last))
		}
	}
}

// TestQueue checks what queues a profile, at each step to its first evaluation.
func TestQueue(t *testing.T) {
	elected := make(chan struct{})
	r := &PlatformProfileReconciler{
		Inventory: inventory.New(catalog.New(), time.Now), Definitions: &Definitions{ready: make(chan struct{})},
		Schemas: &Schemas{mismatch: "not read"}, Elected: elected,
	}
	state := r.stateOf(&v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: "edge"}})
	queue := workqueue.NewTypedRateLimitingQueue(newRateLimiter())
	defer queue.ShutDown()
	if err := r.onInventory(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	expectQueued := func(cause string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); queue.Len() == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the profile is not queued after: %s", cause)
			}
		}
		request, _ := queue.Get()
		queue.Done(request)
	}
	expectNotQueued := func(cause string) {
		t.Helper()
		if queue.Len() > 0 {
			t.Fatalf("the profile is queued after: %s", cause)
		}
	}
	r.Schemas.set("")
	expectQueued("the CRDs match")
	close(r.Definitions.ready)
	expectQueued("the definitions have been read")
	state.compiled.Store(&compiledProfile{Profile: conformance.Compile(&v1alpha1.PlatformProfileSpec{}, catalog.New())})
	now := time.Now()
	state.waitingSince.Store(&now)
	r.Inventory.Source("nodes").Replace(nil)
	expectNotQueued("a source has synced in a standby")
	close(elected)
	expectQueued("the replica is elected")
	r.Inventory.Source("nodes").Replace(nil)
	expectNotQueued("nothing has changed")
	r.Inventory.Source("daemonsets.apps").Replace(nil)
	expectQueued("a source has synced")
	state.waitingSince.Store(nil)
	r.Inventory.Source("deployments.apps").Replace(nil)
	expectNotQueued("a source has synced, and the profile does not wait")
}
