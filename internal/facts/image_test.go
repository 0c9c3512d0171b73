package facts

import (
	"strings"
	"testing"
)

func TestParseImage(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("a", 64)
	for text, want := range map[string]string{
		"nginx":                                  "docker.io/library/nginx",
		"nginx:1.27":                             "docker.io/library/nginx:1.27",
		"falcosecurity/falco:0.40.0":             "docker.io/falcosecurity/falco:0.40.0",
		"docker.io/falcosecurity/falco:0.40.0":   "docker.io/falcosecurity/falco:0.40.0",
		"registry.corp:5000/x/y:v1":              "registry.corp:5000/x/y:v1",
		"localhost/x":                            "localhost/x",
		"quay.io/cilium/cilium:v1.18.2" + digest: "quay.io/cilium/cilium:v1.18.2",
		"quay.io/cilium/cilium" + digest:         "quay.io/cilium/cilium",
	} {
		image, ok := ParseImage(text)
		if !ok || image.String() != want {
			t.Errorf("%q is %s, %v; want %s", text, image, ok, want)
		}
	}
	if image, ok := ParseImage(" nginx\n"); !ok || image.Repository != "docker.io/library/nginx" {
		t.Errorf("with space around it, it is %s, %v", image, ok)
	}
	for _, text := range []string{"", "Upper/Case", "x:y:z", "${IMAGE}", "{{ .Values.image }}", "https://quay.io/x", "x@sha256:short", "x/", "-x"} {
		if image, ok := ParseImage(text); ok {
			t.Errorf("%q is invalid, and parsed as %s", text, image)
		}
	}
}

func TestHasPath(t *testing.T) {
	const path = "falcosecurity/falco"
	for image, want := range map[string]bool{
		"falcosecurity/falco:0.40.0":                                           true,
		"quay.io/falcosecurity/falco":                                          true,
		"harbor.corp.example:5000/mirror/docker.io/falcosecurity/falco:0.40.0": true,
		"evil-falcosecurity/falco":                                             false,
		"falcosecurity/falco2":                                                 false,
		"falcosecurity/falco/sidekick":                                         false,
		"falco":                                                                false,
		"falcosecurity/notfalco":                                               false,
	} {
		parsed, ok := ParseImage(image)
		if !ok || parsed.HasPath(path) != want {
			t.Errorf("%s matches %s: %v, want %v", image, path, !want, want)
		}
	}
	short, _ := ParseImage("registry.corp/own/falco:1")
	if !short.HasPath("falco") || short.HasPath("alco") || short.Base() != "falco" {
		t.Errorf("a name of one segment: base %s", short.Base())
	}
	library, _ := ParseImage("vault")
	if !library.HasPath("vault") || !library.HasPath("library/vault") {
		t.Errorf("an official image is %s", library)
	}
}
