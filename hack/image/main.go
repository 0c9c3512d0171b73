// Command image builds the operator for each platform and packs it into one image: an OCI layout in a tar file, which
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

// options are the flags.
type options struct {
	source    string
	out       string
	name      string
	ldflags   string
	tags      string
	platforms []*v1.Platform
	release   release
}

func parse(args []string) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&o.source, "source", ".", "root of the source")
	flags.StringVar(&o.out, "out", filepath.Join("dist", "image.tar"), "the archive to write; the programs are in the same folder")
	flags.StringVar(&o.name, "name", "ghcr.io/platformprofile/platformprofile", "name of the image without tag")
	flags.StringVar(&o.ldflags, "ldflags", "-s -w", "linker flags of the program")
	flags.StringVar(&o.tags, "tags", "grpcnotrace", "the build tags, separated by commas")
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "platforms of the image")
	flags.StringVar(&o.release.version, "version", "devel", "the version, which is also the tag; the tag of devel is latest")
	flags.StringVar(&o.release.revision, "revision", "", "commit of the source")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	for text := range strings.SplitSeq(*platforms, ",") {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return nil, err
		}
		o.platforms = append(o.platforms, platform)
	}
	return o, nil
}

func run(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	folder := filepath.Dir(o.out)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var images []v1.Image
	for _, platform := range o.platforms {
		program := filepath.Join(folder, "operator-"+platform.OS+"-"+platform.Architecture)
		if err := o.build(program, platform); err != nil {
			return fmt.Errorf("building for %s: %w", platform, err)
		}
		image, err := pack(program, platform, o.release)
		if err != nil {
			return fmt.Errorf("packing for %s: %w", platform, err)
		}
		images = append(images, image)
	}
	reference := o.name + ":" + o.release.tag()
	digest, err := write(o.out, reference, images)
	if err != nil {
		return fmt.Errorf("writing %s: %w", o.out, err)
	}
	fmt.Printf("%s@%s\n", reference, digest)
	return nil
}
