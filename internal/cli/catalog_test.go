package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/internal/catalog"
)

func TestCatalogList(t *testing.T) {
	for _, args := range [][]string{{"catalog"}, {"catalog", "-o", "markdown"}} {
		var out, errOut bytes.Buffer
		if code := Execute(args, nil, &out, &errOut); code != ExitOK {
			t.Fatalf("%v: exit code %d: %s", args, code, errOut.String())
		}
		definitions, err := catalog.Definitions()
		if err != nil {
			t.Fatal(err)
		}
		for name := range definitions {
			if !strings.Contains(out.String(), name) {
				t.Errorf("%v does not list %s", args, name)
			}
		}
	}
}

func TestCatalogDescribesComponents(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"a component":          {[]string{"catalog", "velero"}, ExitOK, []string{"* Deployment", "- CRD", "backup-recent", "default 24h", "install:"}},
		"hints":                {[]string{"catalog", "vault"}, ExitOK, []string{"vault-sealed=true: Vault in it is sealed"}},
		"the cluster itself":   {[]string{"catalog", "kubernetes"}, ExitOK, []string{"version of the API server matches"}},
		"its definition":       {[]string{"catalog", "cilium", "-o", "yaml"}, ExitOK, []string{"kind: PlatformComponent", "name: cilium"}},
		"an unknown component": {[]string{"catalog", "ciliumm"}, ExitError, []string{`no component "ciliumm"`}},
		"an unknown format":    {[]string{"catalog", "-o", "xml"}, ExitError, []string{"markdown"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			code := Execute(test.args, nil, &out, &errOut)
			output := out.String() + errOut.String()
			if code != test.code {
				t.Errorf("exit code %d, want %d: %s", code, test.code, output)
			}
			for _, want := range test.want {
				if !strings.Contains(output, want) {
					t.Errorf("no %q in:\n%s", want, output)
				}
			}
		})
	}
}

func TestCatalogLint(t *testing.T) {
	define := func(name, signals string) string {
		return "apiVersion: platformprofile.dev/v1alpha1\nkind: PlatformComponent\nmetadata: {name: " + name + "}\nspec:\n  layer: workloads\n  signals: " + signals + "\n---\n"
	}
	for name, test := range map[string]struct {
		input string
		code  int
		want  string
	}{
		"no problems":                      {define("acme", "{workloads: [{images: [acme/server]}]}"), ExitOK, "1 definitions, no problems"},
		"a pattern that cannot match":      {define("acme", "{workloads: [{images: ['acme/server:v1']}]}"), ExitFound, "acme: spec.signals.workloads[0].images[0]"},
		"a proof of a built-in definition": {define("acme", "{workloads: [{images: [metallb/speaker]}]}"), ExitFound, "the image metallb/speaker"},
		"a proof of two definitions":       {define("acme", "{workloads: [{images: [acme/server]}]}") + define("other", "{workloads: [{images: [acme/server]}]}"), ExitFound, "acme and other"},
		"the same name twice":              {define("acme", "{workloads: [{images: [acme/one]}]}") + define("acme", "{workloads: [{images: [acme/two]}]}"), ExitFound, "defined twice"},
		"an override of a built-in":        {define("metallb", "{workloads: [{images: [metallb/speaker]}]}"), ExitOK, "no problems"},
		"an unknown field":                 {define("acme", "{workload: [{images: [acme/server]}]}"), ExitFound, "unknown field spec.signals.workload"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			code := Execute([]string{"catalog", "lint", "-f", "-"}, strings.NewReader(test.input), &out, &errOut)
			if output := out.String() + errOut.String(); code != test.code || !strings.Contains(output, test.want) {
				t.Errorf("exit code %d, want %d and %q: %s", code, test.code, test.want, output)
			}
		})
	}
}

// The definition in the guide is valid.
func TestDefinitionOfGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/add-a-component.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```yaml\n")
	definition, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("the guide has no definition")
	}
	var out, errOut bytes.Buffer
	if code := Execute([]string{"catalog", "lint", "-f", "-"}, strings.NewReader(definition), &out, &errOut); code != ExitOK {
		t.Errorf("exit code %d: %s%s", code, out.String(), errOut.String())
	}
}
