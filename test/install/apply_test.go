package install

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

// TestInstallUpgradeUninstall installs the chart on a real API server with every option switched on, upgrades it over CRDs
// of an older release, and removes it with the commands of docs/install.md: the cluster is then as it was before.
func TestInstallUpgradeUninstall(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := cluster.Start("--without", "kwok", "--without", "scheduler")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	if _, err := c.Apply(ctx, monitoringCRDs(), "default"); err != nil {
		t.Fatal(err)
	}
	awaitGone(ctx, t, c, nil) // what the control plane makes by itself is there
	before := everythingIn(ctx, t, c)

	onCluster(t, c, "install", "platformprofile", chart, "--namespace", cluster.Namespace, "--create-namespace", "-f", everything)
	for _, object := range rendered(t, "-f", everything) {
		got := &unstructured.Unstructured{}
		got.SetGroupVersionKind(object.GroupVersionKind())
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(object), got); err != nil {
			t.Errorf("%s is not there: %v", id(object), err)
		}
	}
	t.Run("upgrade", func(t *testing.T) { upgrades(ctx, t, c) })
	t.Run("strict", func(t *testing.T) { strict(ctx, t, c) })

	for _, line := range documented(t, "uninstall") {
		args := strings.Fields(line)
		if args[0] == "helm" {
			onCluster(t, c, args[1:]...)
		} else if out, err := c.Kubectl(ctx, args[1:]...); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	awaitGone(ctx, t, c, before)
}

// upgrades shows that the documented command brings the CRDs of an older release up to date, and that the release then is.
func upgrades(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	const name = "crd/platformprofiles.platformprofile.dev"
	older := `[{"op":"remove","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/suspend"}]`
	if out, err := c.Kubectl(ctx, "patch", name, "--type=json", "-p", older); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := documented(t, "upgrade")
	if len(lines) != 2 || lines[0] != "helm show crds config/chart | kubectl apply --server-side --force-conflicts -f -" {
		t.Fatalf("docs/install.md says to upgrade by %q", lines)
	}
	crds, _, err := helm("show", "crds", "config/chart")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "crds.yaml")
	if err := os.WriteFile(file, []byte(crds), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := c.Kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-f", file); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	onCluster(t, c, append(strings.Fields(lines[1])[1:], "-f", everything, "--set", "profiles.minimal.suspend=true")...)
	if out, err := c.Kubectl(ctx, "get", "platformprofile", "minimal", "-o", "jsonpath={.spec.suspend}"); err != nil || out != "true" {
		t.Errorf("the new field did not arrive: %v %s", err, out)
	}
}

// strict has the server try each object by server-side apply, which refuses fields that it does not know.
func strict(ctx context.Context, t *testing.T, c *cluster.Cluster) {
	for _, object := range rendered(t, "-f", everything) {
		if err := c.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("strict"), client.ForceOwnership, client.DryRunAll); err != nil {
			t.Errorf("%s: %v", id(object), err)
		}
	}
}

// onCluster runs helm against the cluster.
func onCluster(t *testing.T, c *cluster.Cluster, args ...string) {
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

// documented are the commands of a paragraph of docs/install.md.
func documented(t *testing.T, paragraph string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(cluster.Root(), "docs", "install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n### Helm: "+paragraph+"\n")
	match := block.FindStringSubmatch(rest)
	if !found || match == nil {
		t.Fatalf("docs/install.md has no commands under Helm: %s", paragraph)
	}
	return strings.Split(strings.TrimSpace(match[1]), "\n")
}

// everythingIn names every object of the cluster, but for those that come and go by themselves.
func everythingIn(ctx context.Context, t *testing.T, c *cluster.Cluster) []string {
	t.Helper()
	discovered, err := discovery.NewDiscoveryClientForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := discovered.ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		t.Fatal(err)
	}
	passing := []string{"Event", "Lease", "EndpointSlice", "Endpoints", "ControllerRevision", "IPAddress"}
	var all []string
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
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
	var last []string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Second) {
		now := everythingIn(ctx, t, c)
		if want := before; slices.Equal(now, want) || (before == nil && slices.Equal(now, last)) {
			return
		}
		last = now
	}
	for _, o := range last {
		if !slices.Contains(before, o) {
			t.Errorf("%s is left behind", o)
		}
	}
	for _, o := range before {
		if !slices.Contains(last, o) {
			t.Errorf("%s is gone", o)
		}
	}
}
