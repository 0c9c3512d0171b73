package facts

import (
	"strings"

	"github.com/distribution/reference"
)

// Image is a container image as a workload names it.
type Image struct {
	// Repository is the registry and the path, normalised: "nginx" is docker.io/library/nginx.
	Repository string
	// Tag is the tag; empty where the image goes by digest alone.
	Tag string
}

// ParseImage takes an image reference apart. It reports false for one that no container runtime would accept.
func ParseImage(s string) (Image, bool) {
	named, err := reference.ParseNormalizedNamed(strings.TrimSpace(s))
	if err != nil {
		return Image{}, false
	}
	image := Image{Repository: intern(named.Name())}
	if tagged, ok := named.(reference.Tagged); ok {
		image.Tag = intern(tagged.Tag())
	}
	return image, true
}

// String is the image as evidence names it.
func (i Image) String() string {
	if i.Tag == "" {
		return i.Repository
	}
	return i.Repository + ":" + i.Tag
}

// Base is the last segment of the repository path.
func (i Image) Base() string {
	return i.Repository[strings.LastIndexByte(i.Repository, '/')+1:]
}

// HasPath tells whether the repository ends in the path on a path boundary, so that a mirror counts and a namesake does not.
func (i Image) HasPath(path string) bool {
	if !strings.HasSuffix(i.Repository, path) {
		return false
	}
	rest := len(i.Repository) - len(path)
	return rest == 0 || i.Repository[rest-1] == '/'
}
