package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	entrypoint = "/operator"
	// user is nobody in particular. It is a number, so that the kubelet can see that it is not root and no /etc/passwd is needed.
	user = "65532:65532"
)

// release is what an image is of.
type release struct {
	version  string
	revision string
}

// tag is how config/default names the image of a version.
func (r release) tag() string {
	if r.version == "devel" {
		return "latest"
	}
	return r.version
}

func (r release) labels() map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":       "PlatformProfile",
		"org.opencontainers.image.description": "A Kubernetes operator that keeps saying whether a cluster's platform is what it should be",
		"org.opencontainers.image.source":      "https://github.com/platformprofile/platformprofile",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     r.version,
	}
	if r.revision != "" {
		labels["org.opencontainers.image.revision"] = r.revision
	}
	return labels
}

// config is how the image runs. The Dockerfile has the same.
func (r release) config() v1.Config {
	return v1.Config{Entrypoint: []string{entrypoint}, User: user, WorkingDir: "/", Labels: r.labels()}
}

// pack makes an image from nothing but a program.
func pack(program string, platform *v1.Platform, origin release) (v1.Image, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	files, err := layer(data)
	if err != nil {
		return nil, err
	}
	packed, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant,
		RootFS: v1.RootFS{Type: "layers"},
		Config: origin.config(),
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(image, mutate.Addendum{Layer: packed, History: v1.History{CreatedBy: "hack/image", Comment: "the program"}})
}

// layer is the archive of the one file: root's, writable for nobody, without a time.
func layer(program []byte) ([]byte, error) {
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	header := &tar.Header{Typeflag: tar.TypeReg, Name: entrypoint[1:], Mode: 0o555, Size: int64(len(program)), Format: tar.FormatUSTAR}
	if err := archive.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := archive.Write(program); err != nil {
		return nil, err
	}
	return packed.Bytes(), archive.Close()
}
