package packaging

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platformprofile/platformprofile/test/cluster"
)

// descriptor, manifest and config are what the tests read of the OCI image format.
type descriptor struct {
	MediaType, Digest string
	Annotations       map[string]string
	Platform          struct{ OS, Architecture string }
}

type manifest struct {
	Config            descriptor
	Manifests, Layers []descriptor
}

type config struct {
	OS, Architecture, Created string
	Config                    struct {
		Entrypoint, Cmd, Env []string
		User, WorkingDir     string
		Labels               map[string]string
	}
}

// archive is an OCI layout in a tar file: the contents by their names.
type archive map[string][]byte

func openArchive(t *testing.T, path string) archive {
	t.Helper()
	file, err := os.Open(path)
	cluster.Must(t, err)
	defer file.Close() //nolint:errcheck // nothing was written
	return entries(t, file)
}

func entries(t *testing.T, r io.Reader) archive {
	t.Helper()
	found := archive{}
	for reader := tar.NewReader(r); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		cluster.Must(t, err)
		if !header.ModTime.Equal(time.Unix(0, 0)) || header.Uid != 0 || header.Gid != 0 || header.Uname != "" {
			t.Errorf("%s reveals when and by whom it was made: %+v", header.Name, header)
		}
		data, err := io.ReadAll(reader)
		cluster.Must(t, err)
		found[header.Name] = data
	}
}

// blob is a content by its digest, which it must have.
func (a archive) blob(t *testing.T, digest string) []byte {
	t.Helper()
	data := a["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")]
	if sum := sha256.Sum256(data); "sha256:"+hex.EncodeToString(sum[:]) != digest {
		t.Fatalf("the content of %s has another digest", digest)
	}
	return data
}

func decode[T any](t *testing.T, data []byte) T {
	t.Helper()
	var value T
	cluster.Must(t, json.Unmarshal(data, &value))
	return value
}

// index is the descriptor of the image and its manifest.
func (a archive) index(t *testing.T) (descriptor, manifest) {
	t.Helper()
	top := decode[manifest](t, a["index.json"])
	if len(top.Manifests) != 1 {
		t.Fatalf("the archive has %d images", len(top.Manifests))
	}
	return top.Manifests[0], decode[manifest](t, a.blob(t, top.Manifests[0].Digest))
}

// files are what an image of one platform holds.
func (a archive) files(t *testing.T, image manifest) archive {
	t.Helper()
	if len(image.Layers) != 1 {
		t.Fatalf("the image has %d layers, want the program's alone", len(image.Layers))
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(a.blob(t, image.Layers[0].Digest)))
	cluster.Must(t, err)
	return entries(t, unpacked)
}

// TestTheImageHoldsTheProgramAlone tests what the image contains: one static program, a user who is not root, and its labels.
func TestTheImageHoldsTheProgramAlone(t *testing.T) {
	needRelease(t)
	archive := openArchive(t, filepath.Join(dist, "image.tar"))
	top, index := archive.index(t)
	if want := "ghcr.io/platformprofile/platformprofile:" + version; top.Annotations["io.containerd.image.name"] != want {
		t.Errorf("its name is %v, want %s", top.Annotations, want)
	}
	if len(index.Manifests) != 1 || index.Manifests[0].Platform.Architecture != runtime.GOARCH {
		t.Fatalf("it is for %+v", index.Manifests)
	}
	image := decode[manifest](t, archive.blob(t, index.Manifests[0].Digest))
	c := decode[config](t, archive.blob(t, image.Config.Digest))
	if c.OS != "linux" || c.Architecture != runtime.GOARCH || c.Config.User != "65532:65532" ||
		!slices.Equal(c.Config.Entrypoint, []string{"/operator"}) ||
		c.Config.Cmd != nil || c.Config.Env != nil || !strings.HasPrefix(c.Created, "0001-01-01") {
		t.Errorf("its configuration is %+v", c)
	}
	for label, want := range map[string]string{
		"version": version, "revision": "0123456789abcdef0123456789abcdef01234567", "licenses": "Apache-2.0",
		"source": "https://github.com/platformprofile/platformprofile", "title": "PlatformProfile",
	} {
		if got := c.Config.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("its label %s is %q, want %q", label, got, want)
		}
	}
	files := archive.files(t, image)
	if names := slices.Collect(maps.Keys(files)); !slices.Equal(names, []string{"operator"}) {
		t.Fatalf("it holds %v", names)
	}
	program, err := elf.NewFile(bytes.NewReader(files["operator"]))
	cluster.Must(t, err)
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Error("the program is not static")
		}
	}
	if !bytes.Equal(files["operator"], programOf(t)) {
		t.Error("the program beside the image is another one than the one in it")
	}
}

// programOf is the program that lies beside the image.
func programOf(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dist, "operator-linux-"+runtime.GOARCH))
	cluster.Must(t, err)
	return data
}

// TestTheSameSourceMakesTheSameImage builds a copy of the source, in another folder, at another time and with a flag that
// the program would record.
func TestTheSameSourceMakesTheSameImage(t *testing.T) {
	needRelease(t)
	elsewhere := filepath.Join(t.TempDir(), "elsewhere", "with-a-longer-name")
	cluster.Must(t, os.MkdirAll(elsewhere, 0o755))
	list := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard")
	list.Dir = cluster.Root()
	names, err := list.Output()
	cluster.Must(t, err)
	for name := range strings.Lines(string(names)) {
		name = strings.TrimSpace(name)
		data, err := os.ReadFile(filepath.Join(cluster.Root(), name))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed, and not committed yet
		}
		cluster.Must(t, err)
		cluster.Must(t, os.MkdirAll(filepath.Dir(filepath.Join(elsewhere, name)), 0o755))
		cluster.Must(t, os.WriteFile(filepath.Join(elsewhere, name), data, 0o600))
	}
	t.Setenv("GOFLAGS", "-tags=elsewhere")
	t.Setenv("TZ", "Asia/Tokyo")
	folder := t.TempDir()
	cluster.Must(t, release(elsewhere, folder, "image"))
	first, err := os.ReadFile(filepath.Join(dist, "image.tar"))
	cluster.Must(t, err)
	second, err := os.ReadFile(filepath.Join(folder, "image.tar"))
	cluster.Must(t, err)
	if !bytes.Equal(first, second) {
		a, _ := openArchive(t, filepath.Join(dist, "image.tar")).index(t)
		b, _ := openArchive(t, filepath.Join(folder, "image.tar")).index(t)
		t.Errorf("the second build differs from the first: %s and %s", a.Digest, b.Digest)
	}
	digest, _ := openArchive(t, filepath.Join(dist, "image.tar")).index(t)
	t.Logf("both are %s, %.1f MB", digest.Digest, float64(len(first))/1e6)
}
