// Package docs runs the pages: every command of the README and of docs on a real control plane with a running operator, its
// output held against what the page shows; and has the API server judge every manifest.
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

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// notHere are the commands that cannot run here, by how they begin, and why. Whoever adds a command that needs to be here
// says where else it is tried.
var notHere = map[string]string{
	"make demo":                              "takes minutes, and is the end-to-end tests in another order",
	"make test":                              "is what runs this",
	"make soak":                              "takes an hour; make test-long runs it for two minutes",
	"make bench":                             "takes minutes; CI runs it at a small size",
	"make generate":                          "writes into the checkout; make verify runs it",
	"make build":                             "was run before this",
	"go test":                                "tests in a test; make test runs them",
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
	operator, err := c.Run(ctx, "--leader-elect", "--leader-election-namespace", cluster.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Stop()
	r.page(ctx, "docs/first-profile.md")
	r.standing(ctx)
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
	t.Logf("%d commands ran, %d outputs were as shown, %d manifests were judged; %d commands cannot run here", r.ran, r.compared, r.judged, r.passed)
	if r.ran < 80 || r.compared < 10 || r.judged < 15 {
		t.Errorf("only %d commands ran, %d outputs were compared and %d manifests judged", r.ran, r.compared, r.judged)
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

	ran, compared, judged, passed int
}

// presuppose does what a page takes for done.
func (r *reader) presuppose(ctx context.Context, text string) {
	r.t.Helper()
	text = strings.ReplaceAll(text, "bin/", filepath.Join(cluster.Root(), "bin")+"/")
	if out, err := r.shell.run(ctx, text); err != nil {
		r.t.Fatalf("%s: %v\n%s", text, err, out)
	}
}

// release makes dist/install.yaml as docs/install.md says that it is made.
func (r *reader) release(ctx context.Context) {
	r.t.Helper()
	release := exec.CommandContext(ctx, "make", "-o", "controlplane", "install-manifest", "VERSION=v1.2.3",
		"DIST="+filepath.Join(r.shell.folder, "dist"))
	release.Dir = cluster.Root()
	if out, err := release.CombinedOutput(); err != nil {
		r.t.Fatalf("make install-manifest: %v\n%s", err, out)
	}
}

// standing brings about what the pages after the first ones speak of: a profile "production" that conforms, the same in a
// file, and something of the company acme.
func (r *reader) standing(ctx context.Context) {
	r.t.Helper()
	const profile = "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: production, labels: {team: platform}}\nspec:\n  layers:\n" +
		"  - {name: network, requirements: [{name: cni, anyOf: [{component: cilium}]}]}\n" +
		"  - {name: security, requirements: [{name: runtime-security, capability: runtime-security}]}\n"
	r.shell.write(r.t, "profile.yaml", profile)
	r.presuppose(ctx, "kubectl apply -f rendered/cilium.yaml -f rendered/falco.yaml -f profile.yaml && cp rendered/falco.yaml rendered.yaml")
	r.presuppose(ctx, "kubectl create namespace acme && kubectl create -f - <<'EOF'\n{apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: csi.acme.example}}\nEOF")
	r.presuppose(ctx, "kubectl wait --for=condition=Conformant platformprofile/production --timeout=2m")
}

// page goes through a page. What cannot be gone on from, such as an install that fails, shows in what comes after it.
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
			r.passed++
			return
		}
	}
	text := c.text
	if strings.HasPrefix(text, "helm install ") {
		// The page shows several ways to install. Helm takes over nothing that another way made.
		r.presuppose(ctx, "kubectl delete -k config/default --ignore-not-found --wait")
	}
	r.ran++
	var out string
	var err error
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		out, err = r.shell.run(ctx, strings.ReplaceAll(text, "platformprofile/NAME", "platformprofile/production"))
		// A page shows what is so a moment later; a reader's hands are slower than this.
		if err != nil || missing(c.shown, out) == "" || time.Now().After(deadline) {
			break
		}
	}
	switch lacks := missing(c.shown, out); {
	case err != nil:
		t.Errorf("%s:%d: %s: %v\n%s", b.page, c.line, c.text, err, out)
	case lacks != "":
		t.Errorf("%s:%d: %s shows no\n%s\nit prints\n%s", b.page, c.line, c.text, lacks, out)
	case c.shown != "":
		r.compared++
	}
}

// manifest has a block judged by who reads it: the API server, Helm, or a pipeline's parser.
func (r *reader) manifest(ctx context.Context, t *testing.T, b block) {
	var content map[string]any
	if err := yaml.UnmarshalStrict([]byte(b.text), &content); err != nil {
		t.Errorf("%s: %v", b, err)
		return
	}
	text := b.text
	if content["layers"] != nil && content["kind"] == nil {
		// What stands under the spec of a profile.
		text = "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformProfile\nmetadata: {name: spec}\nspec:\n  " + strings.ReplaceAll(strings.TrimSpace(b.text), "\n", "\n  ") + "\n"
		content["kind"] = "PlatformProfile"
	}
	name := "block"
	if metadata, ok := content["metadata"].(map[string]any); ok {
		name, _ = metadata["name"].(string)
	}
	r.shell.write(t, name+".yaml", text) // a page may go on with it, by the name of what it is
	judge := ""
	switch {
	case content["kind"] != nil:
		judge = "kubectl apply --server-side --force-conflicts --dry-run=server --validate=strict -f " + name + ".yaml"
	case content["jobs"] != nil || content["conformance"] != nil:
		r.judged++ // a pipeline: internal/cli runs its commands
		return
	default:
		judge = "helm template platformprofile config/chart -f " + name + ".yaml"
	}
	r.judged++
	if out, err := r.shell.run(ctx, judge); err != nil {
		t.Errorf("%s: %v\n%s", b, err, out)
	}
}

// TestEveryPageIsReached shows that the README leads to every page.
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
