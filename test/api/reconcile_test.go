// The tests of this file call Reconcile directly, one call at a time, with a real API server behind its client. Only there can a
// test put something between two steps of it: a write of somebody else, a refusal, a deletion.

package api

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/controllers"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/inventory"
	"github.com/platformprofile/platformprofile/internal/rule"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// reader has the inventory evaluate what it is asked to, as source.Sources does. The tests feed the objects.
type reader struct {
	rules *rule.Evaluator

	mu        sync.Mutex
	instances []rule.Instance
}

func (r *reader) Read(instances []rule.Instance, _ []catalog.NamedObject) {
	r.mu.Lock()
	r.instances = instances
	r.mu.Unlock()
	r.rules.SetInstances(instances)
	r.rules.Flush()
}

// prune returns the fields of an object that the rules of its resource read.
func (r *reader) prune(resource rule.Resource, object map[string]any) (rule.Object, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fields := rule.CollectFields(r.instances)[resource]
	if fields == nil {
		fields = &rule.Fields{} // no rule reads it
	}
	return fields.Prune(object)
}

// reads reports whether the instances of the last Read include a resource.
func (r *reader) reads(resource string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.instances, func(i rule.Instance) bool { return i.Resources[0].Resource == resource })
}

// operator is both reconcilers with what they share, and no manager.
type operator struct {
	t          *testing.T
	inventory  *inventory.Inventory
	reader     *reader
	recorder   *events.FakeRecorder
	profiles   *controllers.PlatformProfileReconciler
	components *controllers.PlatformComponentReconciler
	elect      func()
}

// start returns an operator that leads, once the definitions and the CRDs have synced.
func start(t *testing.T) *operator {
	o := startStandby(t)
	o.elect()
	return o
}

// startStandby returns an operator that does not lead, once the definitions and the CRDs have synced.
func startStandby(t *testing.T) *operator {
	t.Helper()
	o := newOperator(t)
	go func() { _ = o.profiles.Definitions.Start(t.Context()) }()
	cluster.Eventually(t, "the definitions are read", func() (bool, string) { return o.profiles.Definitions.Ready(), "" })
	return o
}

// newOperator returns an operator that does not lead and has no definitions, once the CRDs have synced.
func newOperator(t *testing.T) *operator {
	t.Helper()
	found := inventory.New(catalog.New(), time.Now)
	recorder := events.NewFakeRecorder(100)
	elected := make(chan struct{})
	definitions, err := controllers.NewDefinitions(env.Client, found)
	cluster.Must(t, err)
	crds, err := metadata.NewForConfig(env.Config)
	cluster.Must(t, err)
	schemas, err := controllers.NewSchemas(crds, recorder, elected, logr.Discard())
	cluster.Must(t, err)
	go func() { _ = schemas.Start(t.Context()) }()
	cluster.Eventually(t, "the CRDs match", func() (bool, string) { return schemas.Ready(nil) == nil, "" })
	reads := &reader{rules: found.Rules}
	return &operator{
		t: t, inventory: found, reader: reads, recorder: recorder, elect: func() { close(elected) },
		profiles: &controllers.PlatformProfileReconciler{
			Client: env.Client, Inventory: found, Definitions: definitions, Reader: reads, Schemas: schemas, Recorder: recorder,
			Elected: elected, Now: time.Now,
		},
		components: &controllers.PlatformComponentReconciler{
			Client: env.Client, Inventory: found, Definitions: definitions, Schemas: schemas, Recorder: recorder,
			Elected: elected, Now: time.Now,
		},
	}
}

// reconcile calls Reconcile once.
func (o *operator) reconcile(name string) (reconcile.Result, error) {
	o.t.Helper()
	return o.profiles.Reconcile(o.t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
}

// settle calls Reconcile until it asks for no other call soon. The interval of a profile is minutes.
func (o *operator) settle(name string) {
	o.t.Helper()
	for range 50 {
		result, err := o.reconcile(name)
		if err != nil {
			o.t.Fatal(err)
		}
		if result.RequeueAfter == 0 || result.RequeueAfter > time.Second {
			return
		}
		time.Sleep(result.RequeueAfter)
	}
	o.t.Fatal("Reconcile asks for another call each time")
}

// settleFirst settles a profile for the first time, with one object of its resource.
func (o *operator) settleFirst(name string, labels map[string]any) {
	o.t.Helper()
	if _, err := o.reconcile(name); err != nil { // compiles the profile, so that its resource is known
		o.t.Fatal(err)
	}
	o.replace(name, labels)
	o.settle(name)
}

// replace makes one object the only one of a resource.
func (o *operator) replace(resource string, labels map[string]any) {
	o.t.Helper()
	name := rule.Resource{Group: "test.example", Resource: resource}
	object, err := o.reader.prune(name, map[string]any{
		"apiVersion": "test.example/v1", "kind": "Thing", "metadata": map[string]any{"name": "one", "labels": labels},
	})
	if err != nil {
		o.t.Fatal(err)
	}
	o.inventory.Rules.Source(name).Replace([]rule.Object{object})
	o.inventory.Rules.Flush()
}

// events are those that were recorded since the last call.
func (o *operator) events() []string {
	var found []string
	for len(o.recorder.Events) > 0 {
		found = append(found, <-o.recorder.Events)
	}
	return found
}

var (
	good = map[string]any{"quality": "good"}
	bad  = map[string]any{"quality": "bad"}
)

// create creates a profile that asks of every object of a resource of its own name to be good. It is deleted with the test.
func create(t *testing.T, name string) *v1alpha1.PlatformProfile {
	t.Helper()
	profile := &v1alpha1.PlatformProfile{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.PlatformProfileSpec{Layers: []v1alpha1.Layer{{Name: "any", Requirements: []v1alpha1.Requirement{{
			Name: "quality", Rule: &v1alpha1.Rule{
				Resource:   &v1alpha1.ResourceReference{Group: "test.example", Resource: name},
				Expression: "object.metadata.?labels.?quality.orValue('') == 'good'", Message: "every object is good",
			},
		}}}}},
	}
	cluster.Must(t, env.Client.Create(t.Context(), profile))
	t.Cleanup(func() { _ = env.Client.Delete(context.Background(), profile) })
	return profile
}

// stored returns a profile as the API server holds it.
func stored(t *testing.T, name string) *v1alpha1.PlatformProfile {
	t.Helper()
	profile := &v1alpha1.PlatformProfile{}
	cluster.Must(t, env.Client.Get(t.Context(), client.ObjectKey{Name: name}, profile))
	return profile
}

// expectVerdict fails the test unless the stored status has this condition Conformant and observes the newest spec.
func expectVerdict(t *testing.T, name string, want metav1.ConditionStatus) {
	t.Helper()
	profile := stored(t, name)
	conformant := meta.FindStatusCondition(profile.Status.Conditions, v1alpha1.ConditionConformant)
	if conformant == nil || conformant.Status != want || profile.Status.ObservedGeneration != profile.Generation {
		t.Errorf("the status of generation %d is of %d, with Conformant %+v", profile.Generation, profile.Status.ObservedGeneration, conformant)
	}
}

// between is a client of the API server that calls a function between a read of a profile and what follows on it.
func between(then func(profile *v1alpha1.PlatformProfile)) client.Client {
	return interceptor.NewClient(env.Client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if err := c.Get(ctx, key, object, options...); err != nil {
				return err
			}
			then(object.(*v1alpha1.PlatformProfile))
			return nil
		},
	})
}

func TestFirstSync(t *testing.T) {
	o := start(t)
	create(t, "first")
	result, err := o.reconcile("first")
	if err != nil || result.RequeueAfter == 0 {
		t.Fatalf("Reconcile does not wait for what was not read yet: %v, %v", result, err)
	}
	if status := stored(t, "first").Status; status.ObservedGeneration != 0 || len(status.Conditions) > 0 {
		t.Errorf("a status is written before anything has synced: %+v", status)
	}
	time.Sleep(1100 * time.Millisecond)
	if _, err := o.reconcile("first"); err != nil {
		t.Fatal(err)
	}
	if !meta.IsStatusConditionTrue(stored(t, "first").Status.Conditions, v1alpha1.ConditionReconciling) {
		t.Errorf("the condition Reconciling is not True after a second")
	}
	if got := o.events(); len(got) > 0 {
		t.Errorf("events are published before anything has synced: %v", got)
	}

	o.replace("first", bad)
	o.settle("first")
	expectVerdict(t, "first", metav1.ConditionFalse)
	written := stored(t, "first")
	if meta.FindStatusCondition(written.Status.Conditions, v1alpha1.ConditionReconciling) != nil {
		t.Error("the condition Reconciling is still there")
	}
	got := o.events()
	if len(got) != 2 || !strings.HasPrefix(got[0], "Warning CheckFailed any/quality") ||
		!strings.HasPrefix(got[1], "Warning NotConformant") {
		t.Errorf("the events are %q", got)
	}

	o.settle("first")
	if again := stored(t, "first"); again.ResourceVersion != written.ResourceVersion || len(o.events()) > 0 {
		t.Error("a status is written or an event published, although nothing changed")
	}
}

// TestSync has a manager call Reconcile: a profile that waits is reconciled when what it waits for is there, and not before.
func TestSync(t *testing.T) {
	const component = "knative-serving" // its health follows from a rule
	o := newOperator(t)
	var calls atomic.Int32
	o.profiles.Client = between(func(*v1alpha1.PlatformProfile) { calls.Add(1) })
	deployments := o.inventory.Source("deployments.apps")
	manager, err := ctrl.NewManager(env.Config,
		ctrl.Options{Scheme: cluster.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"}, Logger: logr.Discard()})
	cluster.Must(t, err)
	cluster.Must(t, o.profiles.SetupWithManager(manager))
	go func() { _ = manager.Start(t.Context()) }()
	o.elect()
	profile := &v1alpha1.PlatformProfile{
		ObjectMeta: metav1.ObjectMeta{Name: "syncing"},
		Spec: v1alpha1.PlatformProfileSpec{Layers: []v1alpha1.Layer{{Name: "any", Requirements: []v1alpha1.Requirement{{
			Name: "serverless", AnyOf: []v1alpha1.ComponentChoice{{Component: component}},
		}}}}},
	}
	cluster.Must(t, env.Client.Create(t.Context(), profile))
	t.Cleanup(func() { _ = env.Client.Delete(context.Background(), profile) })
	expectWaiting := func(what string) {
		t.Helper()
		time.Sleep(100 * time.Millisecond) // what is queued already is over then
		before := calls.Load()
		time.Sleep(500 * time.Millisecond)
		if again := calls.Load() - before; again > 0 {
			t.Errorf("a profile that waits for %s is reconciled %d times in half a second", what, again)
		}
		if stored(t, "syncing").Status.ObservedGeneration != 0 {
			t.Errorf("a profile that waits for %s is evaluated", what)
		}
	}

	cluster.Eventually(t, "the profile is reconciled", func() (bool, string) { return calls.Load() > 0, "" })
	expectWaiting("the definitions")
	go func() { _ = o.profiles.Definitions.Start(t.Context()) }()
	// From here on, time alone has it reconciled after a minute.
	cluster.Eventually(t, "the condition Reconciling is True", func() (bool, string) {
		return meta.IsStatusConditionTrue(stored(t, "syncing").Status.Conditions, v1alpha1.ConditionReconciling), ""
	})
	expectWaiting("a source")
	deployments.Replace(nil)
	expectWaiting("a rule")
	for _, instance := range o.inventory.Catalog().Instances() {
		if slices.Contains(o.inventory.Catalog().ComponentsDecidedBy(instance.Key), component) {
			for _, resource := range instance.AllResources() {
				o.inventory.Rules.Source(resource).Replace(nil)
			}
		}
	}
	o.inventory.Rules.Flush()
	cluster.Eventually(t, "the profile is evaluated once all has synced",
		func() (bool, string) { return stored(t, "syncing").Status.ObservedGeneration == 1, "" })
	expectVerdict(t, "syncing", metav1.ConditionFalse)
}

func TestSuspend(t *testing.T) {
	o := start(t)
	create(t, "suspended")
	o.settleFirst("suspended", good)
	expectVerdict(t, "suspended", metav1.ConditionTrue)

	suspend := func(value bool) {
		profile := stored(t, "suspended")
		profile.Spec.Suspend = value
		cluster.Must(t, env.Client.Update(t.Context(), profile))
		o.settle("suspended")
	}
	suspend(true)
	ready := meta.FindStatusCondition(stored(t, "suspended").Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Reason != "Suspended" {
		t.Errorf("the condition Ready does not have the reason Suspended: %+v", ready)
	}
	if o.reader.reads("suspended") {
		t.Error("what only a suspended profile asks for is still read")
	}
	o.events()
	o.replace("suspended", bad)
	before := stored(t, "suspended")
	o.settle("suspended")
	if stored(t, "suspended").ResourceVersion != before.ResourceVersion || len(o.events()) > 0 {
		t.Error("a suspended profile is evaluated")
	}

	suspend(false)
	o.replace("suspended", bad)
	o.settle("suspended")
	expectVerdict(t, "suspended", metav1.ConditionFalse)
}

func TestConflict(t *testing.T) {
	o := start(t)
	create(t, "conflict")
	o.settleFirst("conflict", good)
	o.events()
	o.replace("conflict", bad)
	time.Sleep(200 * time.Millisecond) // until the status may be written again
	o.profiles.Client = between(func(read *v1alpha1.PlatformProfile) {
		other := read.DeepCopy()
		other.Annotations = map[string]string{"test.example/wrote": "since"}
		if err := env.Client.Patch(t.Context(), other, client.MergeFrom(read)); err != nil {
			t.Error(err)
		}
	})
	result, err := o.reconcile("conflict")
	if err != nil || result.RequeueAfter == 0 {
		t.Errorf("a conflict is not tried again quietly: %v, %v", result, err)
	}
	if got := o.events(); len(got) > 0 {
		t.Errorf("events are published for a status that was not written: %q", got)
	}
	expectVerdict(t, "conflict", metav1.ConditionTrue)

	o.profiles.Client = env.Client
	o.settle("conflict")
	expectVerdict(t, "conflict", metav1.ConditionFalse)
	if got := o.events(); len(got) != 2 {
		t.Errorf("the events are %q", got)
	}
	if stored(t, "conflict").Annotations["test.example/wrote"] != "since" {
		t.Error("what somebody else wrote is lost")
	}
}

// TestFailedWrite has Reconcile write as a user whom the API server refuses to.
func TestFailedWrite(t *testing.T) {
	config := rest.CopyConfig(env.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "reader", Groups: []string{"system:authenticated"}}
	if _, err := env.Kubectl(t.Context(), "create", "clusterrole", "reader", "--verb=get",
		"--resource=platformprofiles.platformprofile.dev"); err != nil {
		t.Fatal(err)
	}
	if _, err := env.Kubectl(t.Context(), "create", "clusterrolebinding", "reader", "--clusterrole=reader", "--user=reader"); err != nil {
		t.Fatal(err)
	}
	refused, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	cluster.Must(t, err)
	o := start(t)
	create(t, "unwritten")
	o.settleFirst("unwritten", good)
	o.events()
	o.replace("unwritten", bad)
	time.Sleep(200 * time.Millisecond) // until the status may be written again
	o.profiles.Client = refused
	for range 3 {
		if _, err := o.reconcile("unwritten"); !apierrors.IsForbidden(err) {
			t.Fatalf("the refused write is not returned as an error: %v", err)
		}
	}
	if got := o.events(); len(got) > 0 {
		t.Errorf("events are published for a status that was not written: %q", got)
	}
	o.profiles.Client = env.Client
	o.settle("unwritten")
	expectVerdict(t, "unwritten", metav1.ConditionFalse)
	if got := o.events(); len(got) != 2 {
		t.Errorf("the transition is not published exactly once: %q", got)
	}
}

func TestDeletion(t *testing.T) {
	o := start(t)
	create(t, "deleted")
	create(t, "remaining")
	o.settleFirst("deleted", good)
	o.settleFirst("remaining", good)
	o.events()
	o.replace("deleted", bad)
	time.Sleep(200 * time.Millisecond) // until the status may be written again
	o.profiles.Client = between(func(read *v1alpha1.PlatformProfile) {
		if err := env.Client.Delete(t.Context(), read.DeepCopy()); err != nil {
			t.Error(err)
		}
	})
	if result, err := o.reconcile("deleted"); err != nil || len(o.events()) > 0 {
		t.Errorf("the write to a deleted profile is an error, or publishes an event: %v, %v", result, err)
	}
	o.profiles.Client = env.Client
	if result, err := o.reconcile("deleted"); err != nil || result.RequeueAfter != 0 {
		t.Errorf("a deleted profile is reconciled again: %v, %v", result, err)
	}
	if o.reader.reads("deleted") || !o.reader.reads("remaining") {
		t.Error("what only a deleted profile asks for is read, or what another asks for is not")
	}

	// One of the same name is another: nothing of the status before is left in it.
	o.inventory.Rules.Source(rule.Resource{Group: "test.example", Resource: "deleted"}).Close()
	create(t, "deleted")
	o.settleFirst("deleted", good)
	expectVerdict(t, "deleted", metav1.ConditionTrue)
	if got := o.events(); len(got) != 1 || !strings.HasPrefix(got[0], "Normal Conformant") {
		t.Errorf("the events are %q", got)
	}
}

func TestStandby(t *testing.T) {
	o := startStandby(t)
	create(t, "standby")
	o.settleFirst("standby", bad)
	if !o.reader.reads("standby") {
		t.Error("a standby does not read what it will need")
	}
	if status := stored(t, "standby").Status; status.ObservedGeneration != 0 || len(o.events()) > 0 {
		t.Errorf("a standby writes: %+v", status)
	}
	o.elect()
	o.settle("standby")
	expectVerdict(t, "standby", metav1.ConditionFalse)
}

// TestRefusedComponent applies a definition that the schema accepts and that does not compile.
func TestRefusedComponent(t *testing.T) {
	o := start(t)
	component := &v1alpha1.PlatformComponent{}
	component.Name = "refused"
	component.Spec = v1alpha1.PlatformComponentSpec{
		Layer: "network", Capabilities: []v1alpha1.Name{"tunnels"},
		Signals: v1alpha1.Signals{CRDs: []v1alpha1.NameSignal{{Name: "refused.example", Role: v1alpha1.RoleProof}}},
		Health: &v1alpha1.HealthRules{Rules: []v1alpha1.HealthRule{{Name: "broken", Rule: v1alpha1.Rule{
			Resource: &v1alpha1.ResourceReference{Group: "refused.example", Resource: "things"}, Expression: "object.spec.x +", Message: "it works",
		}}}},
	}
	cluster.Must(t, env.Client.Create(t.Context(), component))
	t.Cleanup(func() { _ = env.Client.Delete(context.Background(), component) })
	reconcileIt := func() {
		t.Helper()
		if result, err := o.components.Reconcile(t.Context(),
			reconcile.Request{NamespacedName: types.NamespacedName{Name: "refused"}}); err != nil || result.RequeueAfter != 0 {
			t.Fatal(result, err)
		}
		cluster.Must(t, env.Client.Get(t.Context(), client.ObjectKey{Name: "refused"}, component))
	}
	reconcileIt()
	accepted := meta.FindStatusCondition(component.Status.Conditions, v1alpha1.ConditionAccepted)
	if accepted == nil || accepted.Status != metav1.ConditionFalse || !strings.Contains(accepted.Message, "spec.health.rules[0].expression") {
		t.Errorf("the status does not name the mistake: %+v", accepted)
	}
	if got := o.events(); len(got) != 1 || !strings.HasPrefix(got[0], "Warning InvalidDefinition") {
		t.Errorf("the events are %q", got)
	}
	version := component.ResourceVersion
	reconcileIt()
	if component.ResourceVersion != version || len(o.events()) > 0 {
		t.Error("a status is written or an event published, although nothing changed")
	}

	component.Spec.Health.Rules[0].Expression = "object.spec.x"
	cluster.Must(t, env.Client.Update(t.Context(), component))
	reconcileIt()
	if !meta.IsStatusConditionTrue(component.Status.Conditions, v1alpha1.ConditionAccepted) ||
		meta.FindStatusCondition(component.Status.Conditions, v1alpha1.ConditionStalled) != nil {
		t.Errorf("the mended definition is not accepted: %+v", component.Status.Conditions)
	}
}
