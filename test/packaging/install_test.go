package packaging

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// TestInstallUpgradeUninstall installs an older chart on a real API server, upgrades it with every option switched on, and
// removes it with the commands of docs/install.md: the cluster is then as it was before.
func TestInstallUpgradeUninstall(t *testing.T) {
	t.Parallel() // as the test on a real node, it waits most of the time
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := cluster.Start("--without", "kwok", "--without", "scheduler")
	cluster.Must(t, err)
	defer c.Stop()
	if _, err := c.Apply(ctx, monitoringCRDs(), "default"); err != nil {
		t.Fatal(err)
	}
	awaitGone(ctx, t, c, nil) // what the control plane makes by itself is there
	before := listObjects(ctx, t, c)

	install := []string{
		"install",
		"platformprofile",
		chart,
		"--namespace",
		cluster.Namespace,
		"--create-namespace",
		"-f",
		everything,
		"--kubeconfig",
		c.Kubeconfig,
	}
	if _, errOut, err := helm(install...); err == nil || !strings.Contains(errOut, "ensure CRDs are installed first") {
		t.Fatalf("values with profiles are installed where the CRDs are not there: %v\n%s", err, errOut)
	}
	awaitGone(ctx, t, c, before)
	install[2] = olderChart(t)
	if _, _, err := helm(append(install, "--set", "profiles=null", "--set", "definitions=null")...); err != nil {
		t.Fatal(err)
	}
	if got := crdOf(ctx, t, c); got.GetAnnotations()[revisionAnnotation] != "older" || hasSuspend(t, got) {
		t.Fatalf("the chart did not install its CRDs: %v", got.GetAnnotations())
	}

	upgrade := slices.Concat(strings.Fields(documentedCommands(t, "upgrade")[0])[1:],
		[]string{"-f", everything, "--set", "profiles.minimal.suspend=true"})
	runHelm(t, c, upgrade...)
	for _, object := range renderChart(t, "-f", everything) {
		got := &unstructured.Unstructured{}
		got.SetGroupVersionKind(object.GroupVersionKind())
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(object), got); err != nil {
			t.Errorf("%s is not there: %v", objectName(object), err)
		}
	}
	if got := crdOf(ctx, t, c); got.GetAnnotations()[revisionAnnotation] == "older" || !hasSuspend(t, got) {
		t.Errorf("the upgrade left the CRD as it was: %v", got.GetAnnotations())
	}
	if out, err := c.Kubectl(ctx, "get", "platformprofile", "minimal", "-o", "jsonpath={.spec.suspend}"); err != nil || out != "true" {
		t.Errorf("the new field did not arrive: %v %s", err, out)
	}
	t.Run("strict", func(t *testing.T) { testStrict(ctx, t, c) })

	own := filepath.Join(cluster.Root(), "config", "samples", "production.yaml")
	if out, err := c.Kubectl(ctx, "apply", "-f", own); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	runHelm(t, c, append(slices.Clone(upgrade), "--set", "crds.enabled=false")...)
	uninstall := documentedCommands(t, "uninstall")
	runHelm(t, c, strings.Fields(uninstall[0])[1:]...)
	if out, err := c.Kubectl(ctx, "get", "-f", own); err != nil {
		t.Errorf("a profile went with the release: %v: %s", err, out)
	}
	// A release of the same name takes up the CRDs that the one before it left.
	runHelm(t, c, "install", "platformprofile", chart, "--namespace", cluster.Namespace, "-f", everything)

	if out, err := c.Kubectl(ctx, strings.Fields(cluster.ListCommand)[1:]...); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, line := range uninstall {
		args := strings.Fields(line)
		if args[0] == "helm" {
			runHelm(t, c, args[1:]...)
		} else if out, err := c.Kubectl(ctx, args[1:]...); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	awaitGone(ctx, t, c, before)
}

// olderChart is a copy of the chart whose profiles cannot be suspended yet.
func olderChart(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "chart")
	cluster.Must(t, os.CopyFS(folder, os.DirFS(chart)))
	file := filepath.Join(folder, "files", "crds", "platformprofile.dev_platformprofiles.yaml")
	data, err := os.ReadFile(file)
	cluster.Must(t, err)
	older := parse(t, string(data))[0]
	older.SetAnnotations(map[string]string{revisionAnnotation: "older"})
	delete(specOf(t, older), "suspend")
	if err := os.WriteFile(file, []byte(toJSON(older)), 0o600); err != nil { // JSON is YAML
		t.Fatal(err)
	}
	return folder
}

// crdOf is the CRD of profiles as the API server has it.
func crdOf(ctx context.Context, t *testing.T, c *cluster.Cluster) *unstructured.Unstructured {
	t.Helper()
	got := &unstructured.Unstructured{}
	got.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	cluster.Must(t, c.Client.Get(ctx, client.ObjectKey{Name: "platformprofiles.platformprofile.dev"}, got))
	return got
}

func hasSuspend(t *testing.T, crd *unstructured.Unstructured) bool {
	t.Helper()
	return specOf(t, crd)["suspend"] != nil
}

// specOf are the fields of a profile's spec, as its CRD has them.
func specOf(t *testing.T, crd *unstructured.Unstructured) map[string]any {
	t.Helper()
	versions, ok := crd.Object["spec"].(map[string]any)["versions"].([]any)
	if !ok {
		t.Fatal("the CRD has no versions")
	}
	fields, found, err :=
		unstructured.NestedFieldNoCopy(versions[0].(map[string]any), "schema", "openAPIV3Schema", "properties", "spec", "properties")
	if err != nil || !found {
		t.Fatalf("the CRD has no spec: %v", err)
	}
	return fields.(map[string]any)
}

// testStrict has the server try each object by server-side apply, which refuses fields that it does not know.
func testStrict(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	for _, object := range renderChart(t, "-f", everything) {
		if err := c.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("strict"), client.ForceOwnership,
			client.DryRunAll); err != nil {
			t.Errorf("%s: %v", objectName(object), err)
		}
	}
}

// runHelm runs helm against the cluster.
func runHelm(t *testing.T, c *cluster.Cluster, args ...string) {
	t.Helper()
	if _, _, err := helm(append(args, "--kubeconfig", c.Kubeconfig)...); err != nil {
		t.Fatal(err)
	}
}

// monitoringCRDs are the Prometheus Operator's kinds, without their schemas.
func monitoringCRDs() string {
	return filepath.Join(cluster.Fixtures(), "prometheus-operator", "crds-and-webhook-server-only", "manifests.yaml")
}

var block = regexp.MustCompile("(?s)```console\n(.*?)```")

// documentedCommands are the commands of a paragraph of docs/install.md.
func documentedCommands(t *testing.T, paragraph string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(cluster.Root(), "docs", "install.md"))
	cluster.Must(t, err)
	_, rest, found := strings.Cut(string(page), "\n### Helm: "+paragraph+"\n")
	match := block.FindStringSubmatch(rest)
	if !found || match == nil {
		t.Fatalf("docs/install.md has no commands under Helm: %s", paragraph)
	}
	return strings.Split(strings.TrimSpace(match[1]), "\n")
}

// listObjects names every object of the cluster, but for those that come and go by themselves.
func listObjects(ctx context.Context, t *testing.T, c *cluster.Cluster) []string {
	t.Helper()
	discovered, err := discovery.NewDiscoveryClientForConfig(c.Config)
	cluster.Must(t, err)
	lists, err := discovered.ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		t.Fatal(err)
	}
	passing := []string{"Event", "Lease", "EndpointSlice", "Endpoints", "ControllerRevision", "IPAddress"}
	var all []string
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		cluster.Must(t, err)
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") || slices.Contains(passing, resource.Kind) {
				continue
			}
			objects := &metav1.PartialObjectMetadataList{}
			objects.SetGroupVersionKind(version.WithKind(resource.Kind + "List"))
			if err := c.Client.List(ctx, objects); err != nil {
				continue // a kind that is on its way out
			}
			for _, o := range objects.Items {
				all = append(all, resource.Kind+" "+o.Namespace+"/"+o.Name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// awaitGone waits until the cluster holds what it did before; without a before, until it stays as it is.
func awaitGone(ctx context.Context, t *testing.T, c *cluster.Cluster, before []string) {
	t.Helper()
	const settled = 2 * time.Second
	var last []string
	var since time.Time
	cluster.Eventually(t, "the cluster holds what it did before", func() (bool, string) {
		now := listObjects(ctx, t, c)
		if !slices.Equal(now, last) {
			last, since = now, time.Now()
		}
		if before == nil {
			return time.Since(since) > settled, "it still changes"
		}
		var differences []string
		for _, o := range now {
			if !slices.Contains(before, o) {
				differences = append(differences, o+" is left behind")
			}
		}
		for _, o := range before {
			if !slices.Contains(now, o) {
				differences = append(differences, o+" is gone")
			}
		}
		return len(differences) == 0, strings.Join(differences, "\n")
	})
}
