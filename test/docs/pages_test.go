// Package docs tests the pages: it runs every command of the README and of docs on a real control plane with a running operator,
// compares its output with the page, and validates every manifest with the API server.
package docs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// notHere are the commands that cannot run here, by how they begin, and why. The reason names where
// else a command is tested.
var notHere = map[string]string{
	"make demo":     "takes minutes, and is the end-to-end tests in another order",
	"make test":     "is what runs this",
	"make soak":     "takes an hour; make test-long runs it for two minutes",
	"make bench":    "takes minutes; CI runs it at a small size",
	"make generate": "writes into the checkout; make verify runs it",
	"make build":    "was run before this",
	"go test":       "tests in a test; make test runs them",
	"platformprofile discover --compare-context": "needs a second cluster; internal/cli compares files",
	"docker ":                                "there is no image builder here",
	"kubectl -n platformprofile-system logs": "needs a kubelet, and KWOK's nodes have none",
	"kubectl -n platformprofile-system top":  "needs metrics-server's measurements of a kubelet",
}

// first are the pages that come before the others: the cluster that they find is empty.
var first = []string{"docs/install.md", "docs/first-profile.md"}

// TestPages runs the pages one after the other, as a reader would who goes through all of them.
func TestPages(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 18*time.Minute)
	defer cancel()
	c, err := cluster.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	s := newShell(t, c)
	r := &reader{t: t, shell: s, needed: map[string]bool{}}
	r.presuppose(ctx, "bin/monitoring-crds > monitoring.yaml && kubectl apply --server-side -f monitoring.yaml")
	r.presuppose(ctx, "kubectl create namespace argocd && kubectl -n argocd create configmap argocd-cm --from-literal=url=https://argocd.example.com")
	r.release(ctx)

	r.page(ctx, "docs/install.md")
	if err := c.Install(ctx); err != nil {
		t.Fatal(err)
	}
	reports, err := cluster.OpenReportsCRD(ctx)
	if err == nil {
		err = c.ApplyObjects(ctx, []*unstructured.Unstructured{reports}, "default")
	}
	if err != nil {
		t.Fatal(err)
	}
	operator, err := c.Run(ctx, "--reports", "--leader-elect", "--leader-election-namespace", cluster.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Stop()
	r.page(ctx, "docs/first-profile.md")
	r.prepare(ctx)
	for _, page := range others(t) {
		r.page(ctx, page)
	}
	if out, err := s.run(ctx, "kubectl -n argocd get configmap argocd-cm -o jsonpath={.data}"); err != nil ||
		!strings.Contains(out, "argocd.example.com") || !strings.Contains(out, "health.platformprofile.dev_PlatformProfile") {
		t.Errorf("docs/gitops.md's patch did not merge: %v %s", err, out)
	}
	for begin, reason := range notHere {
		if !r.needed[begin] {
			t.Errorf("no page has a command that begins with %q (%s): take it out of notHere", begin, reason)
		}
	}
	t.Logf("%d commands ran, %d outputs were as documented, %d manifests were validated; %d commands cannot run here",
		r.ran, r.compared, r.validated, r.skipped)
	if r.ran < 80 || r.compared < 10 || r.validated < 15 {
		t.Errorf("only %d commands ran, %d outputs were compared and %d manifests validated", r.ran, r.compared, r.validated)
	}
}

// others are the remaining pages.
func others(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(cluster.Root(), "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range pages {
		pages[i] = "docs/" + filepath.Base(pages[i])
	}
	return append([]string{"README.md"}, slices.DeleteFunc(pages, func(page string) bool { return slices.Contains(first, page) })...)
}

// reader goes through pages.
type reader struct {
	t      *testing.T
	shell  *shell
	needed map[string]bool

	ran, compared, validated, skipped int
}

// presuppose does what a page takes for done.
func (r *reader) presuppose(ctx context.Context, text string) {
	r.t.Helper()
	text = strings.ReplaceAll(text, "bin/", filepath.Join(cluster.Root(), "bin")+"/")
	if out, err := r.shell.run(ctx, text); err != nil {
		r.t.Fatalf("%s: %v\n%s", text, err, out)
	}
}

// release makes dist/install.yaml as docs/install.md describes.
func (r *reader) release(ctx context.Context) {
	r.t.Helper()
	release := exec.CommandContext(ctx, "make", "-o", "controlplane", "install-manifest", "VERSION=v1.2.3",
		"DIST="+filepath.Join(r.shell.folder, "dist"))
	release.Dir = cluster.Root()
	if out, err := release.CombinedOutput(); err != nil {
		r.t.Fatalf("make install-manifest: %v\n%s", err, out)
	}
}

// prepare creates what the pages after the first ones use: a profile "production" that conforms, the same in a
// file, and something of the company acme.
func (r *reader) prepare(ctx context.Context) {
	r.t.Helper()
	const profile = "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: production, labels: {team: platform}}\nspec:\n  layers:\n" +
		"  - {name: network, requirements: [{name: cni, anyOf: [{component: cilium}]}]}\n" +
		"  - {name: security, requirements: [{name: runtime-security, capability: runtime-security}]}\n"
	r.shell.write(r.t, "profile.yaml", profile)
	r.presuppose(ctx, "kubectl apply -f rendered/cilium.yaml -f rendered/falco.yaml -f profile.yaml && cp rendered/falco.yaml rendered.yaml")
	r.presuppose(ctx, "kubectl create namespace acme && kubectl create -f - <<'EOF'\n{apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: csi.acme.example}}\nEOF")
	r.presuppose(ctx, "kubectl wait --for=condition=Conformant platformprofile/production --timeout=2m")
}

// page runs the blocks of a page. A failure that the page cannot continue from, such as a failed install, fails later blocks too.
func (r *reader) page(ctx context.Context, page string) {
	begin := time.Now()
	r.t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) {
		for _, b := range blocks(t, page) {
			switch b.language {
			case "console", "bash":
				for _, c := range b.commands() {
					r.command(ctx, t, b, c)
				}
			case "yaml":
				r.manifest(ctx, t, b)
			default:
				t.Errorf("%s: nobody tries a block of %s", b, b.language)
			}
		}
	})
	r.t.Logf("%s: %v", page, time.Since(begin).Round(100*time.Millisecond))
}

func (r *reader) command(ctx context.Context, t *testing.T, b block, c command) {
	for begin := range notHere {
		if strings.HasPrefix(c.text, begin) {
			r.needed[begin] = true
			r.skipped++
			return
		}
	}
	text := c.text
	if strings.HasPrefix(text, "helm install ") || strings.HasPrefix(text, "kubectl delete crd ") {
		r.presuppose(ctx, cluster.ListCommand+" || true") // the kinds may be gone
	}
	if strings.HasPrefix(text, "helm install ") {
		// The page has several ways to install. Helm adopts nothing that another way created.
		r.presuppose(ctx, "kubectl delete -k config/default --ignore-not-found --wait")
	}
	r.ran++
	var out string
	var err error
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		out, err = r.shell.run(ctx, strings.ReplaceAll(text, "platformprofile/NAME", "platformprofile/production"))
		if strings.HasPrefix(text, "platformprofile upgrade ") && strings.Contains(out, " blocking, ") {
			err = nil // the exit code is that of what was found
		}
		if strings.Contains(c.wantOutput, " is forbidden: ") {
			err = nil // the page shows a refusal, which the output must have
		}
		// The output on a page is that of a moment later, when a reader would run the command.
		if err != nil || missing(c.wantOutput, out) == "" || time.Now().After(deadline) {
			break
		}
	}
	switch lacks := missing(c.wantOutput, out); {
	case err != nil:
		t.Errorf("%s:%d: %s: %v\n%s", b.page, c.line, c.text, err, out)
	case lacks != "":
		t.Errorf("%s:%d: the output of %s lacks\n%s\nit is\n%s", b.page, c.line, c.text, lacks, out)
	case c.wantOutput != "":
		r.compared++
	}
}

// manifest validates a block with what reads it: the API server, Helm, or a pipeline's parser.
func (r *reader) manifest(ctx context.Context, t *testing.T, b block) {
	var content map[string]any
	if err := yaml.UnmarshalStrict([]byte(b.text), &content); err != nil {
		t.Errorf("%s: %v", b, err)
		return
	}
	text := b.text
	if content["layers"] != nil && content["kind"] == nil {
		// The block is the spec of a profile.
		text = "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: spec}\nspec:\n  " + strings.ReplaceAll(strings.TrimSpace(b.text), "\n", "\n  ") + "\n"
		content["kind"] = "PlatformProfile"
	}
	name := "block"
	if metadata, ok := content["metadata"].(map[string]any); ok {
		name, _ = metadata["name"].(string)
	}
	r.shell.write(t, name+".yaml", text) // a page may go on with it, by the name of what it is
	validation := ""
	switch {
	case content["kind"] != nil:
		validation = "kubectl apply --server-side --force-conflicts --dry-run=server --validate=strict -f " + name + ".yaml"
	case content["jobs"] != nil || content["conformance"] != nil:
		r.validated++ // a pipeline: internal/cli runs its commands
		return
	default:
		validation = "helm template platformprofile config/chart -f " + name + ".yaml"
	}
	r.validated++
	if out, err := r.shell.run(ctx, validation); err != nil {
		t.Errorf("%s: %v\n%s", b, err, out)
	}
}

// TestEveryPageIsReached asserts that the README links to every page.
func TestEveryPageIsReached(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(cluster.Root(), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(others(t)[1:], first...) {
		if !strings.Contains(string(readme), "("+page+")") {
			t.Errorf("README.md has no link to %s", page)
		}
	}
}
