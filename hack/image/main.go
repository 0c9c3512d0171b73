// Command image builds the program for each platform and packs it into one image: an OCI layout in a tar file, which
// "ctr images import", "docker load", "skopeo copy oci-archive:" and "crane push" read. The image holds the static program and
// nothing else: no shell, no package, no file that anybody could change.
//
// The same source, version and Go make the same image to the bit, wherever and whenever it is built.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	source := flags.String("source", ".", "root of the source")
	out := flags.String("out", filepath.Join("dist", "image.tar"), "the archive to write; the programs lie beside it")
	name := flags.String("name", "ghcr.io/platformprofile/platformprofile", "the image's name, without its tag")
	ldflags := flags.String("ldflags", "-s -w", "how the program is linked")
	tags := flags.String("tags", "grpcnotrace", "the build tags, separated by commas")
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "what to build it for")
	var origin release
	flags.StringVar(&origin.version, "version", "devel", "the version; also the tag, where devel is latest")
	flags.StringVar(&origin.revision, "revision", "", "the commit that the source is of")
	if err := flags.Parse(args); err != nil {
		return err
	}
	folder := filepath.Dir(*out)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var images []v1.Image
	for text := range strings.SplitSeq(*platforms, ",") {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return err
		}
		program := filepath.Join(folder, "platformprofile-"+platform.OS+"-"+platform.Architecture)
		if err := build(*source, program, *tags, *ldflags, platform); err != nil {
			return fmt.Errorf("building for %s: %w", platform, err)
		}
		image, err := pack(program, platform, origin)
		if err != nil {
			return fmt.Errorf("packing for %s: %w", platform, err)
		}
		images = append(images, image)
	}
	reference := *name + ":" + origin.tag()
	digest, err := write(*out, reference, images)
	if err != nil {
		return fmt.Errorf("writing %s: %w", *out, err)
	}
	fmt.Printf("%s@%s\n", reference, digest)
	return nil
}
