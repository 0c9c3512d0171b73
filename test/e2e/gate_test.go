package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/test/cluster"
)

const (
	gatedNamespace  = "gated" // requires the profile of config/gate
	requiresLabel   = "platformprofile.dev/requires"
	breakGlassLabel = "platformprofile.dev/break-glass"
	gateProfile     = "production" // as config/gate has it
	unwantedClass   = "gate-unwanted"
)

// gateWorkloads are a new workload of each kind.
const gateWorkloads = `
{apiVersion: apps/v1, kind: Deployment, metadata: {name: new}, spec: {selector: {matchLabels: {app: new}}, template: {metadata: {labels: {app: new}}, spec: {containers: [{name: a, image: a}]}}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: new}, spec: {serviceName: new, selector: {matchLabels: {app: new}}, template: {metadata: {labels: {app: new}}, spec: {containers: [{name: a, image: a}]}}}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: new}, spec: {selector: {matchLabels: {app: new}}, template: {metadata: {labels: {app: new}}, spec: {containers: [{name: a, image: a}]}}}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: new}, spec: {schedule: "@daily", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}}}
---
{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: new}, spec: {selector: {matchLabels: {app: new}}, template: {metadata: {labels: {app: new}}, spec: {containers: [{name: a, image: a}]}}}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: new}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}
---
{apiVersion: v1, kind: ReplicationController, metadata: {name: new}, spec: {selector: {app: new}, template: {metadata: {labels: {app: new}}, spec: {containers: [{name: a, image: a}]}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: new}, spec: {containers: [{name: a, image: a}]}}
`

// newWorkloads returns a new workload of each kind in a namespace.
func newWorkloads(t *testing.T, namespace string) []*unstructured.Unstructured {
	t.Helper()
	all, err := cluster.Parse([]byte(gateWorkloads))
	cluster.Must(t, err)
	for _, workload := range all {
		workload.SetNamespace(namespace)
	}
	return all
}

// tryCreate has the API server decide on a new workload.
func tryCreate(t *testing.T, c client.Client, workload client.Object) error {
	t.Helper()
	return c.Create(context.Background(), workload.DeepCopyObject().(client.Object), client.DryRunAll)
}

// awaitOpen waits until the gate lets a new Deployment through.
func awaitOpen(t *testing.T, what string) {
	t.Helper()
	cluster.Eventually(t, what, func() (bool, string) {
		err := tryCreate(t, env.Client, cluster.Deployment(gatedNamespace, "new", "new"))
		return err == nil, fmt.Sprint(err)
	})
}

// awaitRefusal waits until the gate refuses a new Deployment and quotes the reason.
func awaitRefusal(t *testing.T, what string, quotes ...string) {
	t.Helper()
	var err error
	cluster.Eventually(t, what, func() (bool, string) {
		err = tryCreate(t, env.Client, cluster.Deployment(gatedNamespace, "new", "new"))
		if err == nil {
			return false, "it is let through"
		}
		return !slices.ContainsFunc(quotes, func(quote string) bool { return !strings.Contains(err.Error(), quote) }), err.Error()
	})
	t.Logf("%s: %v", what, err)
}

// requireProfile sets the label on a namespace, or removes it if the profile is empty.
func requireProfile(t *testing.T, namespace, profile string) error {
	t.Helper()
	var value any
	if profile != "" {
		value = profile
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{requiresLabel: value}}})
	cluster.Must(t, err)
	return env.Client.Patch(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		client.RawPatch(types.MergePatchType, patch))
}

// installGate applies config/gate until the test ends.
func installGate(t *testing.T) {
	t.Helper()
	folder := filepath.Join("config", "gate")
	if out, err := env.Kubectl(t.Context(), "apply", "--server-side", "--validate=strict", "-k", folder); err != nil {
		t.Fatal(out)
	}
	t.Cleanup(func() {
		if out, err := env.Kubectl(context.Background(), "delete", "-k", folder); err != nil {
			t.Error(out)
		}
	})
}

// createGateProfile creates the profile of the gate, which conforms unless a StorageClass with the unwanted name is there.
func createGateProfile(t *testing.T) *cluster.WatchedProfile {
	t.Helper()
	rule := cluster.StorageClassRule("classes", "object.metadata.name != '"+unwantedClass+"'", "there is an unwanted class")
	return createProfile(t, gateProfile, cluster.Layer("storage", rule))
}

// changeGateProfile changes the spec of the gate's profile.
func changeGateProfile(t *testing.T, change func(*v1alpha1.PlatformProfileSpec)) {
	t.Helper()
	profile := &v1alpha1.PlatformProfile{}
	cluster.Must(t, env.Client.Get(t.Context(), client.ObjectKey{Name: gateProfile}, profile))
	before := profile.DeepCopy()
	change(&profile.Spec)
	cluster.Must(t, env.Client.Patch(t.Context(), profile, client.MergeFrom(before)))
}

// TestAdmissionGate has a real API server decide on new workloads while the real operator writes the status that decides.
func TestAdmissionGate(t *testing.T) {
	ctx := context.Background()
	cluster.Must(t, env.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: gatedNamespace}}))
	running, two := cluster.Deployment(gatedNamespace, "running", "example.com/running:v1"), int32(2)
	running.Spec.Replicas = &two
	cluster.Must(t, env.Client.Create(ctx, running))
	t.Cleanup(func() {
		cluster.Must(t, env.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: gatedNamespace}}))
		cluster.Must(t, client.IgnoreNotFound(env.Client.Delete(ctx, cluster.StorageClass(unwantedClass))))
	})
	cluster.Must(t, requireProfile(t, gatedNamespace, gateProfile))
	installGate(t)

	awaitRefusal(t, "the profile is missing", "platformprofile-gate-profile-exists", "no params found")
	assertRuns(t, "while the profile is missing")
	profile := createGateProfile(t)
	awaitOpen(t, "the profile conforms")
	for _, workload := range newWorkloads(t, gatedNamespace) {
		if err := tryCreate(t, env.Client, workload); err != nil {
			t.Errorf("a %s is refused while the gate is open: %v", workload.GetKind(), err)
		}
	}
	profile.AwaitVerdict(t, "storage", "classes", v1alpha1.VerdictCheckFailed,
		func() { cluster.Must(t, env.Client.Create(ctx, cluster.StorageClass(unwantedClass))) })
	awaitRefusal(t, "the profile fails", "is forbidden", "the namespace requires the PlatformProfile production, which does not conform: "+
		"storage/classes is CheckFailed since ", "there is an unwanted class")

	t.Run("kinds", testGateKinds)
	t.Run("running", func(t *testing.T) { assertRuns(t, "while the profile fails") })
	t.Run("exempt", testGateExempts)
	t.Run("break glass", testBreakGlass)
	t.Run("actions", testGateActions)
	t.Run("namespaces", testGateNamespaces)

	cluster.Must(t, env.Client.Delete(ctx, cluster.StorageClass(unwantedClass)))
	awaitOpen(t, "the profile conforms again")
	t.Run("states", testGateStates)
	assertNoGateErrors(t)
}

// testGateKinds asserts that new workloads of every kind are refused, and those that a controller owns are not.
func testGateKinds(t *testing.T) {
	yes := true
	for _, workload := range newWorkloads(t, gatedNamespace) {
		if err := tryCreate(t, env.Client, workload); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "does not conform") {
			t.Errorf("a new %s: want a refusal, got %v", workload.GetKind(), err)
		}
		owner := metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Shop", Name: "shop", UID: "1"}
		workload.SetOwnerReferences([]metav1.OwnerReference{owner})
		if err := tryCreate(t, env.Client, workload); !apierrors.IsForbidden(err) {
			t.Errorf("a %s with an owner that is no controller: want a refusal, got %v", workload.GetKind(), err)
		}
		owner.Controller = &yes
		workload.SetOwnerReferences([]metav1.OwnerReference{owner})
		if err := tryCreate(t, env.Client, workload); err != nil {
			t.Errorf("a %s that a controller owns is refused: %v", workload.GetKind(), err)
		}
	}
}

// assertRuns asserts that a Deployment that is there gets its pods back, scales and rolls out.
func assertRuns(t *testing.T, when string) {
	t.Helper()
	ctx := t.Context()
	key := client.ObjectKey{Namespace: gatedNamespace, Name: "running"}
	awaitReplicas := func(what string) {
		t.Helper()
		cluster.Eventually(t, what+" "+when, func() (bool, string) {
			got := &appsv1.Deployment{}
			cluster.Must(t, env.Client.Get(ctx, key, got))
			pods := &corev1.PodList{}
			cluster.Must(t, env.Client.List(ctx, pods, client.InNamespace(gatedNamespace), client.MatchingLabels{"app": "running"}))
			want := *got.Spec.Replicas
			return got.Status.ObservedGeneration == got.Generation && got.Status.UpdatedReplicas == want && got.Status.Replicas == want &&
				got.Status.ReadyReplicas == want && len(pods.Items) == int(want), fmt.Sprintf("%d pods, %+v", len(pods.Items), got.Status)
		})
	}
	awaitReplicas("it runs")
	old := &corev1.PodList{}
	cluster.Must(t, env.Client.List(ctx, old, client.InNamespace(gatedNamespace), client.MatchingLabels{"app": "running"}))
	for i := range old.Items {
		cluster.Must(t, env.Client.Delete(ctx, &old.Items[i], client.GracePeriodSeconds(0)))
	}
	awaitReplicas("its pods come back")
	change := func(change func(*appsv1.DeploymentSpec)) {
		deployment := &appsv1.Deployment{}
		cluster.Must(t, env.Client.Get(ctx, key, deployment))
		before := deployment.DeepCopy()
		change(&deployment.Spec)
		cluster.Must(t, env.Client.Patch(ctx, deployment, client.MergeFrom(before)))
	}
	change(func(s *appsv1.DeploymentSpec) { *s.Replicas++ })
	awaitReplicas("it scales")
	change(func(s *appsv1.DeploymentSpec) { s.Template.Spec.Containers[0].Image += "1" })
	awaitReplicas("it rolls out")
}

// testGateExempts asserts that the label closes neither kube-system nor the operator's namespace, and that a namespace without it is open.
func testGateExempts(t *testing.T) {
	for _, namespace := range []string{metav1.NamespaceSystem, cluster.Namespace} {
		cluster.Must(t, requireProfile(t, namespace, gateProfile))
		t.Cleanup(func() { cluster.Must(t, requireProfile(t, namespace, "")) })
	}
	// The API server learns of these labels no later than of the last one.
	const other = "gated-too"
	cluster.Must(t, env.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: other, Labels: map[string]string{requiresLabel: gateProfile},
	}}))
	t.Cleanup(func() {
		cluster.Must(t, env.Client.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other}}))
	})
	cluster.Eventually(t, "another namespace is gated", func() (bool, string) {
		return apierrors.IsForbidden(tryCreate(t, env.Client, cluster.Deployment(other, "new", "new"))), "it is let through"
	})
	for _, namespace := range []string{metav1.NamespaceSystem, cluster.Namespace, metav1.NamespaceDefault} {
		if err := tryCreate(t, env.Client, cluster.Deployment(namespace, "new", "new")); err != nil {
			t.Errorf("%s: %v", namespace, err)
		}
	}
}

// impersonate returns a client of a user, or of the admin for none, and the warnings that it gets.
func impersonate(t *testing.T, user string) (client.Client, *warnings) {
	t.Helper()
	config := rest.CopyConfig(env.Config)
	if user != "" {
		config.Impersonate = rest.ImpersonationConfig{UserName: user}
	}
	got := &warnings{}
	config.WarningHandler = got
	c, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	cluster.Must(t, err)
	return c, got
}

// warnings collects the warnings of the API server.
type warnings struct {
	mu    sync.Mutex
	texts []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

func (w *warnings) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.texts, "\n")
}

// listCreations returns the requests to create Deployments in the gated namespace since a time, from the audit log.
func listCreations(t *testing.T, since time.Time) []auditv1.Event {
	t.Helper()
	all, err := env.Requests("", since)
	cluster.Must(t, err)
	return slices.DeleteFunc(all, func(event auditv1.Event) bool {
		return event.Verb != "create" || event.ObjectRef == nil || event.ObjectRef.Resource != "deployments" ||
			event.ObjectRef.Namespace != gatedNamespace
	})
}

// testBreakGlass asserts that the label lets through what is created with the permission for it, and leaves a record.
func testBreakGlass(t *testing.T) {
	ctx := context.Background()
	const user = "gate-developer"
	bind := func(name, role string) *rbacv1.ClusterRoleBinding {
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		}
		cluster.Must(t, env.Client.Create(ctx, binding))
		t.Cleanup(func() { cluster.Must(t, env.Client.Delete(ctx, binding)) })
		return binding
	}
	bind("gate-developer-edit", "edit")
	developer, _ := impersonate(t, user)
	urgent := cluster.Deployment(gatedNamespace, "urgent", "urgent")
	urgent.Labels = map[string]string{breakGlassLabel: "INC-1234"}
	var err error
	cluster.Eventually(t, "the developer lacks the permission for the label alone", func() (bool, string) {
		err = tryCreate(t, developer, urgent)
		return err != nil && strings.Contains(err.Error(), "you lack the permission break-glass for this profile"), fmt.Sprint(err)
	})
	t.Logf("without the permission: %v", err)

	bind("gate-developer-break-glass", "platformprofile-gate-break-glass")
	start := time.Now()
	cluster.Eventually(t, "the developer has the permission", func() (bool, string) {
		err = tryCreate(t, developer, urgent)
		return err == nil, fmt.Sprint(err)
	})
	if err := tryCreate(t, developer, cluster.Deployment(gatedNamespace, "new", "new")); !apierrors.IsForbidden(err) {
		t.Errorf("without the label: want a refusal, got %v", err)
	}
	cluster.Must(t, developer.Create(ctx, urgent.DeepCopy()))
	const want = "INC-1234 by gate-developer, while the PlatformProfile production does not conform: storage/classes is CheckFailed"
	if !slices.ContainsFunc(listCreations(t, start), func(event auditv1.Event) bool {
		return !strings.Contains(event.RequestURI, "dryRun") && event.ResponseStatus.Code == 201 &&
			strings.HasPrefix(event.Annotations["platformprofile-gate/break-glass"], want)
	}) {
		t.Errorf("the audit log has no annotation that begins with %q: %+v", want, listCreations(t, start))
	}
}

// testGateActions asserts that the gate can warn and record in place of refusing.
func testGateActions(t *testing.T) {
	setActions := func(actions ...admissionregistrationv1.ValidationAction) {
		patch, err := json.Marshal(map[string]any{"spec": map[string]any{"validationActions": actions}})
		cluster.Must(t, err)
		cluster.Must(t, env.Client.Patch(context.Background(), &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "platformprofile-gate-production"},
		}, client.RawPatch(types.MergePatchType, patch)))
	}
	t.Cleanup(func() {
		setActions(admissionregistrationv1.Deny)
		awaitRefusal(t, "the gate refuses again", "does not conform")
	})
	setActions(admissionregistrationv1.Warn)
	c, got := impersonate(t, "")
	cluster.Eventually(t, "it warns", func() (bool, string) {
		err := tryCreate(t, c, cluster.Deployment(gatedNamespace, "new", "new"))
		return err == nil && strings.Contains(got.String(), "which does not conform: storage/classes is CheckFailed"), fmt.Sprint(err, got)
	})
	t.Logf("warning: %s", got)
	setActions(admissionregistrationv1.Audit)
	c, got = impersonate(t, "")
	start := time.Now()
	cluster.Eventually(t, "it is recorded", func() (bool, string) {
		err := tryCreate(t, c, cluster.Deployment(gatedNamespace, "new", "new"))
		return err == nil && slices.ContainsFunc(listCreations(t, start), func(event auditv1.Event) bool {
			return strings.Contains(event.Annotations["validation.policy.admission.k8s.io/validation_failure"],
				"which does not conform: storage/classes is CheckFailed")
		}), fmt.Sprint(err)
	})
	got.texts = nil
	cluster.Must(t, tryCreate(t, c, cluster.Deployment(gatedNamespace, "new", "new")))
	if got.String() != "" {
		t.Errorf("with Audit there is a warning: %s", got)
	}
}

// testGateNamespaces asserts that a namespace cannot require a profile without a gate.
func testGateNamespaces(t *testing.T) {
	namespace := func(profile string) *corev1.Namespace {
		made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "gate-namespace"}}
		if profile != "" {
			made.Labels = map[string]string{requiresLabel: profile}
		}
		return made
	}
	for _, profile := range []string{"", gateProfile} {
		if err := tryCreate(t, env.Client, namespace(profile)); err != nil {
			t.Errorf("a namespace with the profile %q is refused: %v", profile, err)
		}
	}
	const want = "no gate is bound to the PlatformProfile prodcution"
	if err := tryCreate(t, env.Client, namespace("prodcution")); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a namespace with a typo: want %s, got %v", want, err)
	}
	if err := requireProfile(t, gatedNamespace, "prodcution"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a label with a typo: want %s, got %v", want, err)
	}
	cluster.Must(t, requireProfile(t, gatedNamespace, gateProfile))
}

// assertNoGateErrors asserts by the API server's metrics that no expression failed, which would let a request through.
func assertNoGateErrors(t *testing.T) {
	t.Helper()
	out, err := env.Kubectl(t.Context(), "get", "--raw", "/metrics")
	cluster.Must(t, err)
	refusals := false
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "apiserver_validating_admission_policy_check_total{") ||
			!strings.Contains(line, `policy="platformprofile-gate`) {
			continue
		}
		refusals = refusals || strings.Contains(line, `enforcement_action="deny"`)
		if strings.Contains(line, `enforcement_action="allow"`) {
			t.Errorf("an expression failed: %s", line)
		}
	}
	if !refusals {
		t.Error("the API server counts no refusals")
	}
}

// testGateStates has the gate meet every state of a profile.
func testGateStates(t *testing.T) {
	ctx := context.Background()
	changeGateProfile(t, func(s *v1alpha1.PlatformProfileSpec) { s.Suspend = true })
	awaitRefusal(t, "suspended", "which is suspended, so its verdicts may be out of date")
	changeGateProfile(t, func(s *v1alpha1.PlatformProfileSpec) { s.Suspend = false })
	awaitOpen(t, "resumed")
	changeGateProfile(t, func(s *v1alpha1.PlatformProfileSpec) {
		s.Layers = append(s.Layers, cluster.Layer("limits", v1alpha1.Requirement{Name: "flows", Rule: &v1alpha1.Rule{
			Resource:   &v1alpha1.ResourceReference{Group: "flowcontrol.apiserver.k8s.io", Resource: "flowschemas"},
			Expression: "true", Message: "any",
		}}))
	})
	awaitRefusal(t, "not readable", "which is Unknown: limits/flows is Unknown since ", "flowschemas")
	changeGateProfile(t, func(s *v1alpha1.PlatformProfileSpec) { s.Layers = s.Layers[:1] })
	awaitOpen(t, "readable")

	// Where no operator writes, the test does.
	env.operator.Stop()
	t.Cleanup(func() { restartOperator(t) })
	awaitOpen(t, "the operator is down")
	profile := &v1alpha1.PlatformProfile{}
	read := func() { cluster.Must(t, env.Client.Get(ctx, client.ObjectKey{Name: gateProfile}, profile)) }
	setConformant := func(status metav1.ConditionStatus, reason, message string) {
		read()
		profile.Status.ObservedGeneration = profile.Generation
		for i := range profile.Status.Conditions {
			if c := &profile.Status.Conditions[i]; c.Type == v1alpha1.ConditionConformant {
				c.Status, c.Reason, c.Message, c.ObservedGeneration = status, reason, message, profile.Generation
			}
		}
		cluster.Must(t, env.Client.Status().Update(ctx, profile))
	}
	changeGateProfile(t, func(s *v1alpha1.PlatformProfileSpec) { s.Undeclared = v1alpha1.UndeclaredReport })
	awaitRefusal(t, "stale", "which has a new spec that is not evaluated yet")
	assertRuns(t, "while the status is stale and the operator is down")
	setConformant(metav1.ConditionTrue, "ConformantWithWaivers", "all 1 Required requirements are satisfied or waived")
	awaitOpen(t, "waived")
	setConformant(metav1.ConditionTrue, "WithinGracePeriod", "within the grace period of 5m0s")
	awaitOpen(t, "within the grace period")
	setConformant(metav1.ConditionFalse, "RequirementsFailing", strings.Repeat("x", 1024)+"y")
	awaitRefusal(t, "a long reason", strings.Repeat("x", 1023)+"…")
	read()
	profile.Status = v1alpha1.PlatformProfileStatus{}
	cluster.Must(t, env.Client.Status().Update(ctx, profile))
	awaitRefusal(t, "without a status", "which is not evaluated yet")
}

// newOwnedPod returns a pod that a controller owns.
func newOwnedPod(namespace string) *corev1.Pod {
	yes := true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "new", OwnerReferences: []metav1.OwnerReference{
			{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "new", UID: "1", Controller: &yes},
		}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "server", Image: "new"}}},
	}
}

var gateRounds = flag.Int("gate-rounds", 0, "how often to measure what the gate adds to each kind of request; 0 measures nothing")

// TestGateSpeed logs how soon the gate follows a status, and what it adds to a request. docs/admission-gate.md has the figures.
func TestGateSpeed(t *testing.T) {
	if *gateRounds == 0 {
		t.Skip("-gate-rounds is 0")
	}
	ctx := context.Background()
	const plain, gatedFast = "not-gated", "gated-fast"
	namespaces := []*corev1.Namespace{
		{ObjectMeta: metav1.ObjectMeta{Name: plain}},
		{ObjectMeta: metav1.ObjectMeta{Name: gatedFast, Labels: map[string]string{requiresLabel: gateProfile}}},
	}
	for _, namespace := range namespaces {
		cluster.Must(t, env.Client.Create(ctx, namespace))
		t.Cleanup(func() { cluster.Must(t, env.Client.Delete(ctx, namespace)) })
	}
	profile := createGateProfile(t)
	profile.AwaitLast(t, "it conforms", cluster.VerdictIs("storage", "classes", v1alpha1.VerdictSatisfied))
	try := func(namespace string) error {
		return tryCreate(t, env.Client, cluster.Deployment(namespace, "new", "new"))
	}
	measure := func(what string) {
		taken := map[string][]time.Duration{}
		for range *gateRounds {
			for _, namespace := range []string{plain, gatedFast} { // in turn, so that what else the machine does is the same for both
				for _, object := range []client.Object{cluster.Deployment(namespace, "new", "new"), newOwnedPod(namespace)} {
					start := time.Now()
					_ = tryCreate(t, env.Client, object)
					key := fmt.Sprintf("%T in %s", object, namespace)
					taken[key] = append(taken[key], time.Since(start))
				}
			}
		}
		for _, key := range slices.Sorted(maps.Keys(taken)) {
			slices.Sort(taken[key])
			n := len(taken[key])
			t.Logf("%s, %s: median %s, 95th percentile %s", what, key, taken[key][n/2], taken[key][n*95/100])
		}
	}
	measure("without the gate")
	installGate(t)
	cluster.Must(t, env.Client.Create(ctx, cluster.StorageClass(unwantedClass)))
	t.Cleanup(func() {
		cluster.Must(t, client.IgnoreNotFound(env.Client.Delete(ctx, cluster.StorageClass(unwantedClass))))
	})
	cluster.Eventually(t, "the gate is closed", func() (bool, string) { return try(gatedFast) != nil, "it is open" })
	measure("with the gate, closed")
	cluster.Must(t, env.Client.Delete(ctx, cluster.StorageClass(unwantedClass)))
	cluster.Eventually(t, "the gate is open", func() (bool, string) { return try(gatedFast) == nil, "it is closed" })
	measure("with the gate, open")
	resize := func(what string, layers []v1alpha1.Layer) {
		changeGateProfile(t, func(s *v1alpha1.PlatformProfileSpec) { s.Layers = layers })
		resized := profile.AwaitLast(t, "it is evaluated", func(p *v1alpha1.PlatformProfile) bool {
			return len(p.Spec.Layers) == len(layers) && p.Status.ObservedGeneration == p.Generation
		})
		data, err := json.Marshal(resized)
		cluster.Must(t, err)
		time.Sleep(time.Second) // the API server has the profile by then
		measure(fmt.Sprintf("with the gate and %s, %d KiB", what, len(data)>>10))
	}
	small := profile.Last().Spec.Layers
	sample := &v1alpha1.PlatformProfile{}
	objects, err := cluster.Objects(filepath.Join(cluster.Root(), "config", "samples", "production.yaml"))
	cluster.Must(t, err)
	cluster.Must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(objects[0].Object, sample))
	resize("the sample of a production profile", sample.Spec.Layers)
	var many []v1alpha1.Layer
	for layer := range 5 {
		many = append(many, cluster.Layer(fmt.Sprint("many", layer)))
		for n := range 50 {
			many[layer].Requirements = append(many[layer].Requirements,
				cluster.StorageClassRule(fmt.Sprint("class", n), "object.metadata.name != 'none'", "there is no class of that name"))
		}
	}
	resize("a profile of 250 requirements", many)
	changeGateProfile(t, func(s *v1alpha1.PlatformProfileSpec) { s.Layers = small })
	cluster.Eventually(t, "the gate is open", func() (bool, string) { return try(gatedFast) == nil, "it is closed" })

	var fromChange, fromStatus []time.Duration
	for turn := range 20 {
		time.Sleep(300 * time.Millisecond) // longer than the operator waits between two writes of a status
		start := time.Now()
		if turn%2 == 0 {
			cluster.Must(t, env.Client.Create(ctx, cluster.StorageClass(unwantedClass)))
		} else {
			cluster.Must(t, env.Client.Delete(ctx, cluster.StorageClass(unwantedClass)))
		}
		for (try(gatedFast) == nil) == (turn%2 == 0) {
			if time.Since(start) > cluster.Timeout {
				t.Fatal("the gate does not change")
			}
		}
		fromChange = append(fromChange, time.Since(start))
		writes, err := env.Requests(cluster.User, start)
		cluster.Must(t, err)
		i := slices.IndexFunc(writes, func(event auditv1.Event) bool {
			return event.Verb == "patch" && event.ObjectRef.Resource == "platformprofiles" && event.ObjectRef.Name == gateProfile
		})
		if i < 0 {
			t.Fatal("the audit log has no write of the status")
		}
		// The last request was the first with the new answer.
		answers, err := env.Requests("", start)
		cluster.Must(t, err)
		last := slices.IndexFunc(answers, func(event auditv1.Event) bool {
			return event.Verb == "create" && event.ObjectRef.Resource == "deployments" && (event.ResponseStatus.Code == 201) == (turn%2 == 1)
		})
		fromStatus = append(fromStatus, answers[last].StageTimestamp.Sub(writes[i].StageTimestamp.Time))
	}
	slices.Sort(fromChange)
	slices.Sort(fromStatus)
	t.Logf("from a change in the cluster to the gate's new answer: %s", fromChange)
	t.Logf("from the operator's write of the status to the gate's new answer: %s", fromStatus)
}

// TestGateWithoutCRDs asserts that a cluster whose CRDs are gone keeps its pods, and lets no new Deployment through.
func TestGateWithoutCRDs(t *testing.T) {
	t.Parallel()
	c, err := cluster.Start("--nodes", "1")
	cluster.Must(t, err)
	t.Cleanup(c.Stop)
	kubectl := func(args ...string) {
		t.Helper()
		if out, err := c.Kubectl(t.Context(), args...); err != nil {
			t.Fatalf("kubectl %s: %s", args, out)
		}
	}
	kubectl("apply", "--server-side", "-k", "config/crd")
	kubectl("create", "namespace", gatedNamespace)
	kubectl("-n", gatedNamespace, "create", "deployment", "running", "--image=example.com/running:v1")
	kubectl("label", "namespace", gatedNamespace, requiresLabel+"="+gateProfile)
	kubectl("apply", "--server-side", "-k", "config/gate")
	refused := func(when string) {
		t.Helper()
		cluster.Eventually(t, "a new Deployment is refused "+when, func() (bool, string) {
			err := tryCreate(t, c.Client, cluster.Deployment(gatedNamespace, "new", "new"))
			return err != nil && strings.Contains(err.Error(), "platformprofile-gate-profile-exists"), fmt.Sprint(err)
		})
	}
	comesBack := func(when string) {
		t.Helper()
		kubectl("-n", gatedNamespace, "wait", "deployment/running", "--for=condition=Available", "--timeout=1m")
		kubectl("-n", gatedNamespace, "delete", "pod", "--all", "--now")
		cluster.Eventually(t, "the pod comes back "+when, func() (bool, string) {
			pods := &corev1.PodList{}
			cluster.Must(t, c.Client.List(t.Context(), pods, client.InNamespace(gatedNamespace)))
			return len(pods.Items) == 1 && pods.Items[0].DeletionTimestamp.IsZero(), fmt.Sprint(len(pods.Items))
		})
	}
	refused("without a profile")
	kubectl("delete", "crd", "platformprofiles.platformprofile.dev")
	refused("without the CRD")
	comesBack("without the CRD")
	cluster.Must(t, c.Control(t.Context(), "restart", "kube-apiserver"))
	refused("by an API server that never had the CRD")
	comesBack("with an API server that never had the CRD")
}
