package facts

import (
	"strings"
	"testing"
)

// FuzzImage checks that a parsed image reference survives a round trip, and that a mirror in front of it matches the same paths.
func FuzzImage(f *testing.F) {
	for _, image := range []string{
		"nginx", "docker.io/library/nginx:1.29", "quay.io/cilium/cilium:v1.18.2@sha256:" + strings.Repeat("a", 64), "localhost:5000/a/b",
		"registry.k8s.io/ingress-nginx/controller:v1.14.0",
		"evil-cilium/cilium2", "a/b/c/d/e", "UPPER/case", "a..b/c", " nginx ", "[::1]:5000/x", "a:b:c", "", "ä/ö", "x@sha256:1",
		"cilium/cilium:" + strings.Repeat("9", 128),
	} {
		f.Add(image, "cilium/cilium")
	}
	f.Add("quay.io/cilium/cilium", "cilium")
	f.Add("nginx", "library/nginx")
	f.Fuzz(func(t *testing.T, reference, path string) {
		image, ok := ParseImage(reference)
		if !ok {
			if image != (Image{}) {
				t.Fatalf("%q is invalid, and the result is %+v", reference, image)
			}
			return
		}
		if again, ok := ParseImage(image.String()); !ok || again != image {
			t.Fatalf("%q is %+v, and after a round trip %+v, %v", reference, image, again, ok)
		}
		if base := image.Base(); base == "" || strings.Contains(base, "/") || !image.HasPath(base) || !image.HasPath(image.Repository) {
			t.Fatalf("the base of %q is %q", image.Repository, base)
		}
		if image.HasPath("x" + image.Base()) {
			t.Fatalf("%q matches a longer name", image.Repository)
		}
		const mirror = "harbor.corp.example/mirror/"
		mirrored, ok := ParseImage(mirror + image.String())
		if !ok {
			return // too long for a reference
		}
		if mirrored.Tag != image.Tag || mirrored.Base() != image.Base() {
			t.Fatalf("%+v is %+v behind a mirror", image, mirrored)
		}
		if image.HasPath(path) != mirrored.HasPath(path) && !strings.HasSuffix(mirror+image.Repository, path) {
			t.Fatalf("%q: %v without a mirror, and %v behind one", path, image.HasPath(path), mirrored.HasPath(path))
		}
		if path != "" && image.HasPath(path) && !mirrored.HasPath(path) {
			t.Fatalf("%q matches %q, and not behind a mirror", path, image.Repository)
		}
	})
}
