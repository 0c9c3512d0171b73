package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/platformprofile/platformprofile/internal/catalog"
)

func TestCatalogListsEverything(t *testing.T) {
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

func TestCatalogExplains(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"a component":          {[]string{"catalog", "velero"}, ExitOK, []string{"* Deployment", "- CRD", "backup-recent", "24h where it is not set", "to install:"}},
		"hints":                {[]string{"catalog", "vault"}, ExitOK, []string{"vault-sealed=true: Vault in it is sealed"}},
		"the cluster itself":   {[]string{"catalog", "kubernetes"}, ExitOK, []string{"API server of a version"}},
		"its definition":       {[]string{"catalog", "cilium", "-o", "yaml"}, ExitOK, []string{"kind: PlatformComponent", "name: cilium"}},
		"one that is none":     {[]string{"catalog", "ciliumm"}, ExitError, []string{`no component "ciliumm"`}},
		"a shape that is none": {[]string{"catalog", "-o", "xml"}, ExitError, []string{"markdown"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			code := Execute(test.args, nil, &out, &errOut)
			said := out.String() + errOut.String()
			if code != test.code {
				t.Errorf("exit code %d, want %d: %s", code, test.code, said)
			}
			for _, want := range test.says {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q:\n%s", want, said)
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
		given string
		code  int
		says  string
	}{
		"nothing wrong":               {define("acme", "{workloads: [{images: [acme/server]}]}"), ExitOK, "1 definitions, nothing wrong"},
		"a pattern that cannot match": {define("acme", "{workloads: [{images: ['acme/server:v1']}]}"), ExitFound, "acme: spec.signals.workloads[0].images[0]"},
		"a proof of a built-in one":   {define("acme", "{workloads: [{images: [metallb/speaker]}]}"), ExitFound, "the image metallb/speaker"},
		"a proof of each other":       {define("acme", "{workloads: [{images: [acme/server]}]}") + define("other", "{workloads: [{images: [acme/server]}]}"), ExitFound, "acme and other"},
		"the same name twice":         {define("acme", "{workloads: [{images: [acme/one]}]}") + define("acme", "{workloads: [{images: [acme/two]}]}"), ExitFound, "defined twice"},
		"an override of a built-in":   {define("metallb", "{workloads: [{images: [metallb/speaker]}]}"), ExitOK, "nothing wrong"},
		"an unknown field":            {define("acme", "{workload: [{images: [acme/server]}]}"), ExitError, "unknown field spec.signals.workload"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			code := Execute([]string{"catalog", "lint", "-f", "-"}, strings.NewReader(test.given), &out, &errOut)
			if said := out.String() + errOut.String(); code != test.code || !strings.Contains(said, test.says) {
				t.Errorf("exit code %d, want %d saying %q: %s", code, test.code, test.says, said)
			}
		})
	}
}

// The definition that the guide shows must be one that works.
func TestTheGuidesDefinitionIsSound(t *testing.T) {
	guide, err := os.ReadFile("../../docs/add-a-component.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```yaml\n")
	definition, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("the guide shows no definition")
	}
	var out, errOut bytes.Buffer
	if code := Execute([]string{"catalog", "lint", "-f", "-"}, strings.NewReader(definition), &out, &errOut); code != ExitOK {
		t.Errorf("exit code %d: %s%s", code, out.String(), errOut.String())
	}
}
