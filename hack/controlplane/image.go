package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
)

// imageEntrypoint is where the one program of an image lies.
const imageEntrypoint = "/app"

// packImage writes an image of one static program, in the form of "docker save", to w. No registry and no engine takes
// part: the real node imports what is written.
func packImage(w io.Writer, name, program string) error {
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	var layer bytes.Buffer
	if err := writeTar(&layer, tarFile{name: imageEntrypoint[1:], mode: 0o755, data: data}); err != nil {
		return err
	}
	sum := sha256.Sum256(layer.Bytes())
	config, err := json.Marshal(object{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       object{"Entrypoint": []string{imageEntrypoint}},
		"rootfs":       object{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]object{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	return writeTar(w,
		tarFile{name: "config.json", mode: 0o644, data: config},
		tarFile{name: "layer.tar", mode: 0o644, data: layer.Bytes()},
		tarFile{name: "manifest.json", mode: 0o644, data: manifest},
	)
}

type tarFile struct {
	name string
	mode int64
	data []byte
}

// writeTar writes files without times or owners, so that the same content is always the same image.
func writeTar(w io.Writer, files ...tarFile) error {
	archive := tar.NewWriter(w)
	for _, file := range files {
		if err := archive.WriteHeader(&tar.Header{Name: file.name, Mode: file.mode, Size: int64(len(file.data))}); err != nil {
			return fmt.Errorf("%s: %w", file.name, err)
		}
		if _, err := archive.Write(file.data); err != nil {
			return fmt.Errorf("%s: %w", file.name, err)
		}
	}
	return archive.Close()
}
