package controllers

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/rule"
)

// slowReader is a reader whose first call takes until another one is over, or long.
type slowReader struct {
	called chan struct{}
	over   chan struct{}
	last   []rule.Instance
}

func (s *slowReader) Read(instances []rule.Instance, _ []catalog.ConfigMap) {
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

// TestWhatIsReadIsWhatIsAskedForLast shows that two profiles that are compiled at the same time are both read for, whichever
// of them asks last.
func TestWhatIsReadIsWhatIsAskedForLast(t *testing.T) {
	c := catalog.New()
	reader := &slowReader{called: make(chan struct{}, 1), over: make(chan struct{})}
	r := &PlatformProfileReconciler{Reader: reader, profiles: map[string]*evaluated{}}
	add := func(resource string) {
		spec := &v1alpha1.PlatformProfileSpec{Layers: []v1alpha1.Layer{{Name: "any", Requirements: []v1alpha1.Requirement{{
			Name: "it", Rule: &v1alpha1.Rule{Resource: &v1alpha1.ResourceReference{Resource: resource}, ListExpression: "objects.size() > 0", Message: "there is one"},
		}}}}}
		r.mu.Lock()
		r.profiles[resource] = &evaluated{spec: spec, compiled: conformance.Compile(spec, c)}
		r.mu.Unlock()
		r.read(c)
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
			t.Errorf("what is read in the end is not all that is asked for: %s", fmt.Sprint(reader.last))
		}
	}
}
