package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHashSeesWhereAPartEnds(t *testing.T) {
	if hash([]byte("ab"), []byte("c")) == hash([]byte("a"), []byte("bc")) {
		t.Error("moving a byte between parts does not change the hash")
	}
}

func TestTargetsCarryTheKubernetesVersion(t *testing.T) {
	for _, target := range targets(map[string]string{kubernetesModule: "v1.99.3"}) {
		has := strings.Contains(target.ldflags, "version.gitVersion=v1.99.3") &&
			strings.Contains(target.ldflags, "gitMajor=1 ") && strings.HasSuffix(target.ldflags, "gitMinor=99")
		if want := target.module == kubernetesModule; has != want {
			t.Errorf("%s: version in ldflags %q: %t, want %t", target.name, target.ldflags, has, want)
		}
	}
}

func TestStagesComeFromBothSources(t *testing.T) {
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	b := builder{module: filepath.Join(root, modulePath), out: t.TempDir(), progress: newProgress(io.Discard)}
	if err := os.Mkdir(filepath.Join(b.out, ".stamps"), 0o755); err != nil {
		t.Fatal(err)
	}
	if source, err := b.goOutput(t.Context(), "list", "-m", "-f", "{{.Dir}}", kwokModule); err != nil ||
		strings.TrimSpace(string(source)) == "" {
		t.Skipf("module %s is not downloaded (%v); run: controlplane build", kwokModule, err)
	}
	if _, err := b.stages(t.Context(), []byte("1")); err != nil {
		t.Fatal(err)
	}
	files, err := findStages(b.out)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(kwokStages) + 2; len(files) != want { // those of pods and of volumes are the own ones
		t.Errorf("got %d stages, want %d: %q", len(files), want, files)
	}
	if what, err := b.stages(t.Context(), []byte("1")); err != nil || what != "up to date" {
		t.Errorf("second time: %q, %v; want up to date", what, err)
	}
	// A changed input makes them anew and drops what is no longer listed.
	stray := filepath.Join(b.out, "stages", "stray.yaml")
	if err := os.WriteFile(stray, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := b.stages(t.Context(), []byte("2")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stray); err == nil {
		t.Error("a stage that is no longer listed is still there")
	}
}

func TestAssetsWinWhereTheyExist(t *testing.T) {
	assets, bin := t.TempDir(), t.TempDir()
	t.Setenv(assetsVariable, assets)
	for _, path := range []string{
		filepath.Join(assets, etcdName), filepath.Join(assets, kwokName),
		filepath.Join(bin, etcdName), filepath.Join(bin, kwokName), filepath.Join(bin, apiserverName),
	} {
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, dir := range map[string]string{etcdName: assets, apiserverName: bin, kwokName: bin} {
		if got, err := findBinary(bin, name); err != nil || got != filepath.Join(dir, name) {
			t.Errorf("%s: %s (%v), want the one in %s", name, got, err, dir)
		}
	}
	if _, err := findBinary(bin, "kubectl"); err == nil || !strings.Contains(err.Error(), "controlplane build") {
		t.Errorf("missing binary: error %v does not name the build", err)
	}
}
