package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/cli"
	"github.com/platformprofile/platformprofile/internal/openreports"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// reportWorld is a control plane whose operator writes reports.
type reportWorld struct {
	*cluster.Cluster
	operator *cluster.Operator
	reports  dynamic.Interface
}

var reportFlags = []string{"--reports", "--leader-elect", "--leader-election-namespace", cluster.Namespace}

// get returns the report on a profile; nil if there is none.
func (w *reportWorld) get(t *testing.T, api openreports.API, profile string) *unstructured.Unstructured {
	t.Helper()
	report, err := w.reports.Resource(api.GroupVersionResource).Get(t.Context(), openreports.Name(profile), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	cluster.Must(t, err)
	return report
}

// awaitReport waits until the report on a profile is that of its status, and returns it.
func (w *reportWorld) awaitReport(t *testing.T, api openreports.API, profile *cluster.WatchedProfile) *unstructured.Unstructured {
	t.Helper()
	var report *unstructured.Unstructured
	took := cluster.Eventually(t, "the report on "+profile.Name, func() (bool, string) {
		report = w.get(t, api, profile.Name)
		wanted, err := api.Object(openreports.New(profile.Last()))
		cluster.Must(t, err)
		return report != nil && openreports.IsUpToDate(report, wanted), fmt.Sprintf("it is %v", report)
	})
	t.Logf("the %s is written after %s", api.Kind, took.Round(time.Millisecond))
	return report
}

// awaitProblem waits for the event that says why the report on a profile is not written.
func (w *reportWorld) awaitProblem(t *testing.T, profile, problem string) {
	t.Helper()
	cluster.Eventually(t, "an event on "+profile+" about "+problem, func() (bool, string) {
		notes := w.problems(t, profile)
		return slices.ContainsFunc(notes, func(note string) bool { return strings.Contains(note, problem) }), strings.Join(notes, "; ")
	})
}

// problems are the notes of the events about reports on a profile.
func (w *reportWorld) problems(t *testing.T, profile string) []string {
	t.Helper()
	list := &eventsv1.EventList{}
	cluster.Must(t, w.Client.List(t.Context(), list))
	var notes []string
	for _, event := range list.Items {
		if event.Regarding.Name == profile && event.Action == "Report" {
			notes = append(notes, event.Note)
			if event.Series != nil {
				notes = append(notes, fmt.Sprintf("%d times: %s", event.Series.Count, event.Note))
			}
		}
	}
	return notes
}

// writes are the operator's requests since a time that write reports.
func (w *reportWorld) writes(t *testing.T, since time.Time) []string {
	t.Helper()
	requests, err := w.Requests(cluster.User, since)
	cluster.Must(t, err)
	var found []string
	for _, request := range requests {
		if o := request.ObjectRef; o != nil && strings.HasSuffix(o.Resource, "reports") && request.Verb != "get" {
			found = append(found, request.Verb+" "+request.RequestURI)
		}
	}
	return found
}

func (w *reportWorld) install(t *testing.T, crd func(context.Context) (*unstructured.Unstructured, error)) {
	t.Helper()
	object, err := crd(t.Context())
	cluster.Must(t, err)
	cluster.Must(t, w.ApplyObjects(t.Context(), []*unstructured.Unstructured{object}, "default"))
}

// TestReports runs an operator with --reports through the life of its reports: without an API for them, without permission, with the older
// API, with the newer one that comes and goes while it runs, and until the profile is deleted.
func TestReports(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	c, err := cluster.Start("--audit", "--nodes", "1")
	cluster.Must(t, err)
	t.Cleanup(c.Stop)
	cluster.Must(t, c.Install(ctx))
	w := &reportWorld{Cluster: c}
	w.reports, err = dynamic.NewForConfig(c.Config)
	cluster.Must(t, err)
	w.operator, err = c.Run(ctx, reportFlags...)
	cluster.Must(t, err)
	t.Cleanup(func() {
		w.operator.Stop()
		if output, err := os.ReadFile(w.operator.Log); err == nil && t.Failed() {
			const tail = 8000
			t.Logf("the end of the operator's log:\n%s", output[max(0, len(output)-tail):])
		}
	})
	newer, older := openreports.APIs[0], openreports.APIs[1]

	createSlow := func() { cluster.Must(t, c.Client.Create(ctx, cluster.StorageClass("slow"))) }
	deleteSlow := func() { cluster.Must(t, c.Client.Delete(ctx, cluster.StorageClass("slow"))) }
	profile := c.CreateWatchedProfile(t, cluster.Profile("reported", cluster.Layer("storage",
		cluster.StorageClassRule("class", "object.metadata.name != 'slow'", "no class is slow"),
		cluster.AnyOf("velero", "velero", ""))))
	isEvaluated := cluster.VerdictIs("storage", "velero", v1alpha1.VerdictMissing)
	profile.AwaitLast(t, "the first evaluation", isEvaluated)

	w.awaitProblem(t, profile.Name, "the cluster serves neither clusterreports of openreports.io/v1alpha1")
	w.install(t, cluster.PolicyReportsCRD)
	w.awaitProblem(t, profile.Name, "apply config/reports")
	profile.AwaitVerdict(t, "storage", "class", v1alpha1.VerdictCheckFailed, createSlow)
	if notes := w.problems(t, profile.Name); len(notes) != 2 {
		t.Errorf("the two problems were published as %q", notes)
	}

	role, err := cluster.Objects(filepath.Join(cluster.Root(), "config", "reports", "role.yaml"))
	cluster.Must(t, err)
	cluster.Must(t, c.ApplyObjects(ctx, role, "default"))
	if report := w.awaitReport(t, older, profile); report.Object["source"] != nil {
		t.Errorf("the %s has a field that its schema lacks", older.Kind)
	}

	// The newer API is used from the next change on.
	w.install(t, cluster.OpenReportsCRD)
	cluster.Eventually(t, "the newer API is served", func() (bool, string) {
		_, err := w.reports.Resource(newer.GroupVersionResource).List(ctx, metav1.ListOptions{})
		return err == nil, fmt.Sprint(err)
	})
	profile.AwaitVerdict(t, "storage", "class", v1alpha1.VerdictSatisfied, deleteSlow)
	profile.AwaitVerdict(t, "storage", "class", v1alpha1.VerdictCheckFailed, createSlow)
	before := w.awaitReport(t, newer, profile)
	owners := before.GetOwnerReferences()
	if len(owners) != 1 || owners[0].Kind != "PlatformProfile" || owners[0].UID != profile.Last().UID {
		t.Errorf("the owners are %+v", owners)
	}
	assertSummary(t, before, "0 pass, 2 fail, 0 warn, 0 error, 0 skip")

	// The report follows the verdict, and is the same object.
	profile.AwaitVerdict(t, "storage", "class", v1alpha1.VerdictSatisfied, deleteSlow)
	after := w.awaitReport(t, newer, profile)
	if after.GetUID() != before.GetUID() || after.GetResourceVersion() == before.GetResourceVersion() {
		t.Errorf("the report was not updated in place: %s %s, then %s %s", before.GetUID(), before.GetResourceVersion(), after.GetUID(),
			after.GetResourceVersion())
	}
	assertSummary(t, after, "1 pass, 1 fail, 0 warn, 0 error, 0 skip")

	// An operator that starts again writes nothing that is written already.
	w.operator.Stop()
	restarted := time.Now()
	w.operator, err = c.Run(ctx, reportFlags...)
	cluster.Must(t, err)
	cluster.Eventually(t, "the new leader has read the report", func() (bool, string) {
		requests, err := c.Requests(cluster.User, restarted)
		cluster.Must(t, err)
		isRead := false
		for _, request := range requests {
			isRead = isRead || request.Verb == "get" && request.ObjectRef != nil && request.ObjectRef.Resource == newer.Resource
		}
		return isRead, "it has not"
	})
	c.Barrier(t)
	for _, request := range w.writes(t, restarted) {
		if strings.Contains(request, openreports.Name(profile.Name)) {
			t.Errorf("after a restart, the operator did %s", request)
		}
	}
	if last := w.get(t, newer, profile.Name); last.GetResourceVersion() != after.GetResourceVersion() {
		t.Errorf("the report has the version %s, and had %s", last.GetResourceVersion(), after.GetResourceVersion())
	}

	// A deleted report is written with the next change.
	cluster.Must(t, w.reports.Resource(newer.GroupVersionResource).Delete(ctx, after.GetName(), metav1.DeleteOptions{}))
	profile.AwaitVerdict(t, "storage", "class", v1alpha1.VerdictCheckFailed, createSlow)
	w.awaitReport(t, newer, profile)

	suspended := profile.Last().DeepCopy()
	suspended.Spec.Suspend = true
	cluster.Must(t, c.Client.Update(ctx, suspended))
	profile.AwaitLast(t, "the suspension", func(p *v1alpha1.PlatformProfile) bool {
		return p.Status.ObservedGeneration == suspended.Generation
	})
	assertSummary(t, w.awaitReport(t, newer, profile), "0 pass, 0 fail, 0 warn, 0 error, 2 skip")

	w.testLargeReport(t, newer)
	w.testCommand(t, profile.Name)

	t.Run("the garbage collector deletes the report", func(t *testing.T) {
		gone := c.CreateWatchedProfile(t, cluster.Profile("gone", cluster.Layer("backup", cluster.AnyOf("velero", "velero", ""))))
		gone.AwaitLast(t, "the first evaluation", cluster.VerdictIs("backup", "velero", v1alpha1.VerdictMissing))
		w.awaitReport(t, newer, gone)
	})
	cluster.Eventually(t, "the report on the deleted profile is deleted", func() (bool, string) {
		return w.get(t, newer, "gone") == nil, "it is there"
	})
}

// testLargeReport asserts that the API server stores the report on the largest profile, and removes no field of it.
func (w *reportWorld) testLargeReport(t *testing.T, api openreports.API) {
	t.Helper()
	layers := make([]v1alpha1.Layer, 8)
	for i := range layers {
		requirements := make([]v1alpha1.Requirement, 32)
		for j := range requirements {
			name := fmt.Sprintf("r%d-%s", j, strings.Repeat("x", 63-6))
			requirements[j] = cluster.StorageClassRule(name, fmt.Sprintf("object.metadata.name == '%d'", i*32+j), strings.Repeat("€", 256/3))
			requirements[j].Rule.Require = v1alpha1.RequireAll
		}
		layers[i] = cluster.Layer(fmt.Sprintf("layer-%d", i), requirements...)
	}
	profile := w.CreateWatchedProfile(t, cluster.Profile("large", layers...))
	profile.AwaitLast(t, "the verdicts", func(p *v1alpha1.PlatformProfile) bool {
		return p.Status.Summary != nil && p.Status.Summary.Failed == 256
	})
	report := w.awaitReport(t, api, profile)
	assertSummary(t, report, "0 pass, 256 fail, 0 warn, 0 error, 0 skip")
	data, err := report.MarshalJSON()
	cluster.Must(t, err)
	t.Logf("the largest report has %d KiB", len(data)/1024)
}

// testCommand asserts that the API server accepts what the command line writes, without a field that it does not know.
func (w *reportWorld) testCommand(t *testing.T, profile string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code := cli.Execute([]string{"check", profile, "-o", "openreports", "--kubeconfig", w.Kubeconfig}, strings.NewReader(""), &out, &errOut)
	objects, err := cluster.Parse(out.Bytes())
	if err != nil || code != cli.ExitFound || len(objects) != 1 {
		t.Fatalf("check -o openreports: exit code %d, %v: %s%s", code, err, out.String(), errOut.String())
	}
	if kind, name := objects[0].GetKind(), objects[0].GetName(); kind != "ClusterReport" || name != openreports.Name(profile) {
		t.Errorf("it wrote %s %s", kind, name)
	}
	objects[0].SetName("by-hand")
	_, err = w.reports.Resource(openreports.APIs[0].GroupVersionResource).Create(t.Context(), objects[0],
		metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict})
	cluster.Must(t, err)
}

func assertSummary(t *testing.T, report *unstructured.Unstructured, want string) {
	t.Helper()
	summary, _, _ := unstructured.NestedMap(report.Object, "summary")
	got := fmt.Sprintf("%v pass, %v fail, %v warn, %v error, %v skip", summary["pass"], summary["fail"], summary["warn"], summary["error"],
		summary["skip"])
	if got != want {
		t.Errorf("the summary is %s, want %s", got, want)
	}
}
