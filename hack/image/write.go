package main

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// write makes the archive of one index over the images, and returns the index's digest.
func write(path, reference string, images []v1.Image) (v1.Hash, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, image := range images {
		config, err := image.ConfigFile()
		if err != nil {
			return v1.Hash{}, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: config.Platform()}})
	}
	digest, err := index.Digest()
	if err != nil {
		return v1.Hash{}, err
	}
	folder, err := os.MkdirTemp(filepath.Dir(path), ".image-")
	if err != nil {
		return v1.Hash{}, err
	}
	defer os.RemoveAll(folder)
	made, err := layout.Write(folder, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	// containerd reads the first, others the second.
	err = made.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          reference,
		"org.opencontainers.image.ref.name": reference,
	}))
	if err != nil {
		return v1.Hash{}, err
	}
	file, err := os.Create(path)
	if err != nil {
		return v1.Hash{}, err
	}
	defer file.Close()
	if err := archive(file, os.DirFS(folder)); err != nil {
		return v1.Hash{}, err
	}
	return digest, file.Close()
}

// archive writes the files of a folder in the order of their names, without times or owners.
func archive(w io.Writer, folder fs.FS) error {
	packed := tar.NewWriter(w)
	err := fs.WalkDir(folder, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(folder, path)
		if err != nil {
			return err
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, Size: int64(len(data)), Format: tar.FormatUSTAR}
		if err := packed.WriteHeader(header); err != nil {
			return err
		}
		_, err = packed.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	return packed.Close()
}
