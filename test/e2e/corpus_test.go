// The test of this file applies all real installs to real API servers and reads from the operator's metrics what it finds there.

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/platformprofile/platformprofile/internal/cli"
	"github.com/platformprofile/platformprofile/internal/report"
	"github.com/platformprofile/platformprofile/test/cluster"
)

// recordedInstall is one variant of the folder of real installs.
type recordedInstall struct {
	variant, folder string
	// namespace is that of what names none.
	namespace string
	objects   []*unstructured.Unstructured
	// installations are the installations that its files show, as "component version namespace".
	installations map[string]bool
}

// batch is a set of installs that one cluster can hold: no object of one is another's, and no component in one namespace.
type batch struct {
	installs []*recordedInstall
	objects  map[string]*unstructured.Unstructured
	places   map[string]bool // "component namespace"
}

// TestClusterShowsWhatFilesShow applies every real install, as many together as one cluster can hold, and compares what the
// operator finds, as its ServiceAccount and by its watches, with what the command line finds in the files.
func TestClusterShowsWhatFilesShow(t *testing.T) {
	t.Parallel()
	folder, ok := cluster.Corpus()
	if !ok {
		folder = cluster.Fixtures()
		t.Log("the folder of real installs is absent: the project's fixtures of bold components stand in")
	}
	platforms := readInstalls(t, filepath.Join(cluster.Root(), "internal", "cli", "testdata", "installs"), "*/*/manifests.yaml")
	pattern := "*/*/manifests.yaml"
	if !ok {
		pattern = "[a-f]*/*helm*/manifests.yaml"
	}
	batches := groupInstalls(append(platforms, readInstalls(t, folder, pattern)...))
	for n, b := range batches {
		t.Run(fmt.Sprintf("cluster %d of %d", n+1, len(batches)), func(t *testing.T) { b.compare(t) })
	}
}

func readInstalls(t *testing.T, folder, pattern string) []*recordedInstall {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no installs below %s: %v", folder, err)
	}
	installs := make([]*recordedInstall, 0, len(files))
	for _, file := range files {
		i := &recordedInstall{folder: filepath.Dir(file)}
		i.variant, _ = filepath.Rel(folder, i.folder)
		i.namespace = "its-" + strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return '-'
		}, strings.ToLower(i.variant))
		if i.objects, err = cluster.Objects(i.folder); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(i.objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Node" }) {
			continue // what a node runs is in its status, which is not applied
		}
		i.installations = installationsInFiles(t, i.namespace, i.folder)
		installs = append(installs, i)
	}
	return installs
}

// installationsInFiles are the installations that files show.
func installationsInFiles(t *testing.T, namespace, folder string) map[string]bool {
	t.Helper()
	var out, errOut bytes.Buffer
	if code := cli.Execute([]string{"discover", "-o", "json", "--from", folder}, nil, &out, &errOut); code != 0 {
		t.Fatalf("%s: exit code %d: %s", folder, code, errOut.String())
	}
	var discovery report.Discovery
	cluster.Must(t, json.Unmarshal(out.Bytes(), &discovery))
	found := map[string]bool{}
	for _, component := range discovery.Components {
		for _, i := range component.Installations {
			if i.Namespace == "" && namespaced(i.Evidence[0].Kind) {
				i.Namespace = namespace
			}
			found[strings.Join([]string{component.Name, i.Version, i.Namespace}, " ")] = true
		}
	}
	return found
}

func namespaced(kind string) bool {
	return slices.Contains([]string{"Deployment", "DaemonSet", "StatefulSet", "CronJob"}, kind)
}

// groupInstalls puts each install into the first cluster that can hold it.
func groupInstalls(installs []*recordedInstall) []*batch {
	var batches []*batch
	for _, i := range installs {
		at := slices.IndexFunc(batches, func(b *batch) bool { return b.canHold(i) })
		if at < 0 {
			batches = append(batches, &batch{objects: map[string]*unstructured.Unstructured{}, places: map[string]bool{}})
			at = len(batches) - 1
		}
		batches[at].add(i)
	}
	return batches
}

func (i *recordedInstall) key(o *unstructured.Unstructured) string {
	namespace := o.GetNamespace()
	if namespace == "" {
		namespace = i.namespace
	}
	if kind := o.GetKind(); !namespaced(kind) {
		namespace = ""
	}
	return strings.Join([]string{o.GroupVersionKind().GroupKind().String(), namespace, o.GetName()}, " ")
}

// signalKinds are the kinds that signals match. Objects of other kinds may overwrite each other without an effect.
var signalKinds = []string{
	"Deployment", "DaemonSet", "StatefulSet", "CronJob", "CustomResourceDefinition", "StorageClass", "CSIDriver", "IngressClass",
	"GatewayClass", "RuntimeClass", "APIService", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "Node",
}

func (b *batch) canHold(i *recordedInstall) bool {
	for _, o := range i.objects {
		if other := b.objects[i.key(o)]; other != nil && slices.Contains(signalKinds, o.GetKind()) && !reflect.DeepEqual(other.Object, o.Object) {
			return false
		}
	}
	for place := range i.places() {
		component, namespace, _ := strings.Cut(place, " ")
		for taken := range b.places {
			other, itsNamespace, _ := strings.Cut(taken, " ")
			// What a cluster-scoped resource declares is wanted only where the component runs nowhere.
			if component == other && (namespace == itsNamespace || namespace == "" || itsNamespace == "") {
				return false
			}
		}
	}
	return true
}

func (b *batch) add(i *recordedInstall) {
	b.installs = append(b.installs, i)
	for _, o := range i.objects {
		b.objects[i.key(o)] = o
	}
	maps.Copy(b.places, i.places())
}

// places are the components of an install with their namespaces.
func (i *recordedInstall) places() map[string]bool {
	places := map[string]bool{}
	for installation := range i.installations {
		fields := strings.Split(installation, " ")
		places[fields[0]+" "+fields[2]] = true
	}
	return places
}

func (b *batch) compare(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	// The pods need not run: the test compares what is installed, not its health.
	c, err := cluster.Start("--nodes", "1", "--without", "scheduler")
	cluster.Must(t, err)
	defer c.Stop()
	cluster.Must(t, c.Install(ctx))
	operator, err := c.Run(ctx)
	cluster.Must(t, err)
	defer func() {
		if output, err := os.ReadFile(operator.Log); t.Failed() && err == nil {
			t.Logf("the end of the operator's log:\n%s", output[max(0, len(output)-4000):])
		}
	}()
	defer operator.Stop()
	// Without a profile, the operator reads no custom resources.
	cluster.Must(t, c.Client.Create(ctx, cluster.Profile("any", cluster.Layer("core", cluster.AnyOf("kubernetes", "kubernetes", "")))))
	base := scrapedInstallations(ctx, t, operator)
	want := map[string]bool{}
	for _, i := range b.installs {
		if err := c.ApplyObjects(ctx, i.objects, i.namespace); err != nil {
			// Recorded installs are cut down, and a later API server refuses what an earlier one took. What is found in them decides.
			t.Logf("applying %s: %v", i.variant, err)
		}
		maps.Copy(want, i.installations)
	}
	cluster.Eventually(t, "the operator finds what the files contain", func() (bool, string) {
		got := scrapedInstallations(ctx, t, operator)
		var differences []string
		for installation := range want {
			if !got[installation] {
				differences = append(differences, "not found: "+installation)
			}
		}
		for installation := range got {
			if !want[installation] && !base[installation] {
				differences = append(differences, "found, and in no file: "+installation)
			}
		}
		slices.Sort(differences)
		return len(differences) == 0, strings.Join(differences, "\n")
	})
	t.Logf("%d installs, %d installations", len(b.installs), len(want))
}

// scrapedInstallations are the installations in the metrics of the operator.
func scrapedInstallations(ctx context.Context, t *testing.T, operator *cluster.Operator) map[string]bool {
	t.Helper()
	text, err := operator.Scrape(ctx)
	cluster.Must(t, err)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	cluster.Must(t, err)
	found := map[string]bool{}
	for _, metric := range families["platformprofile_component_info"].GetMetric() {
		labels := map[string]string{}
		for _, pair := range metric.GetLabel() {
			labels[pair.GetName()] = pair.GetValue()
		}
		found[strings.Join([]string{labels["component"], labels["version"], labels["namespace"]}, " ")] = true
	}
	return found
}
