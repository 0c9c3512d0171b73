package facts

import (
	"strings"

	"github.com/distribution/reference"
)

// Image is a container image reference.
type Image struct {
	// Repository is the registry and the path, normalized: "nginx" is docker.io/library/nginx.
	Repository string
	// Tag is empty if the reference has only a digest.
	Tag string
}

// ParseImage parses an image reference. It returns false if the reference is invalid.
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

// String returns the repository and the tag.
func (i Image) String() string {
	if i.Tag == "" {
		return i.Repository
	}
	return i.Repository + ":" + i.Tag
}

// Base returns the last segment of the repository path.
func (i Image) Base() string {
	return i.Repository[strings.LastIndexByte(i.Repository, '/')+1:]
}

// HasPath reports whether the repository ends with the path, on a path boundary: a mirror matches, a similar name does not.
func (i Image) HasPath(path string) bool {
	if !strings.HasSuffix(i.Repository, path) {
		return false
	}
	rest := len(i.Repository) - len(path)
	return rest == 0 || i.Repository[rest-1] == '/'
}
