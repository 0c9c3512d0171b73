package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// Cut down to what is read, in the form of the files of November 2026.
var pages = map[string]string{
	"/kubernetes/website/main/data/releases/schedule.yaml": `
schedules:
- {release: "1.37", releaseDate: "2026-08-26", endOfLifeDate: "2027-10-28", next: {release: 1.37.3}}
`,
	"/kubernetes/website/main/data/releases/eol.yaml": `
branches:
- {release: "1.31", endOfLifeDate: "2025-11-11", finalPatchRelease: 1.31.14}
`,
	"/istio/istio.io/master/data/compatibility/supportStatus.yml": `
- {version: master, supported: "No, development only", k8sVersions: ["1.35"]}
- {version: "1.28", supported: "Yes", releaseDate: "Nov 5, 2025", eolDate: "~Aug 2026 (Expected)", k8sVersions: ["1.30", "1.34", "1.9"]}
- {version: "1.19", supported: "No", releaseDate: "Sept 5, 2023", eolDate: "Apr 24, 2024", k8sVersions: ["1.25", "1.26"]}
`,
}

func TestRefresh(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const head = "metadata: {name: a}\nspec:\n  layer: core # kept\n"
	write("kubernetes", head+"  releases:\n  - cycle: \"1.37\"\n    source: https://old.dev\n    asOf: \"2026-01-01\"\n  - cycle: \"1.30\"\n    source: https://old.dev\n    asOf: \"2026-01-01\"\n  remediation: {install: a}\n")
	write("istio", head)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(page))
	}))
	defer server.Close()
	client := &http.Client{Transport: redirect{server.URL}}
	if err := refresh(t.Context(), client, folder, time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"kubernetes": "1.37 2026-08-26 2027-10-28  2026-11-29|1.31  2025-11-11  2026-11-29|1.30    2026-01-01",
		"istio":      "1.28 2025-11-05  >=1.9 <=1.34 2026-11-29|1.19 2023-09-05 2024-04-24 >=1.25 <=1.26 2026-11-29",
	} {
		text, err := os.ReadFile(filepath.Join(folder, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		definition := &v1alpha1.PlatformComponent{}
		if err := yaml.UnmarshalStrict(text, definition); err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		var got []string
		for _, r := range definition.Spec.Releases {
			got = append(got, strings.Join([]string{r.Cycle, string(r.Released), string(r.EndOfLife), r.Kubernetes, string(r.AsOf)}, " "))
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: got %q, want %q", name, strings.Join(got, "|"), want)
		}
		if !strings.HasPrefix(string(text), head) || name == "kubernetes" && !strings.Contains(string(text), "remediation: {install: a}") {
			t.Errorf("%s: the rest of the file changed:\n%s", name, text)
		}
	}
	// What cannot be read is named, and changes nothing.
	delete(pages, "/istio/istio.io/master/data/compatibility/supportStatus.yml")
	if err := refresh(t.Context(), client, folder, time.Now()); err == nil || !strings.Contains(err.Error(), "supportStatus.yml: 404") {
		t.Errorf("got %v", err)
	}
}

// redirect sends each request to a test server.
type redirect struct{ to string }

func (r redirect) RoundTrip(request *http.Request) (*http.Response, error) {
	target, err := url.Parse(r.to)
	if err != nil {
		return nil, err
	}
	request.URL.Scheme, request.URL.Host = target.Scheme, target.Host
	return http.DefaultTransport.RoundTrip(request)
}
