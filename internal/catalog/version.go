package catalog

import (
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// versionShape finds a version: at least major and minor, and a pre-release where the next word is one that means it.
// A lone number ("v3", "20200709") is a moving tag or a date and tells no version.
var versionShape = regexp.MustCompile(`(?i)^v?(\d{1,6}(?:\.\d{1,12}){1,3})(?:[-.]?((?:alpha|beta|rc|dev|pre|preview|snapshot|canary|nightly)(?:[-.]?\d+)*))?(?:$|[^0-9.]|\.[^0-9]|\.$)`)

// prefixedVersion finds a version behind a word, marked as one by its v: "distroless-v1.38.3".
var prefixedVersion = regexp.MustCompile(`(?i)^[a-z][a-z]*(?:[-_][a-z]+)*[-_]v(\d.*)$`)

// maxVersion is longer than any version: what goes on for longer is none.
const maxVersion = 64

// CleanVersion takes the version out of a tag or label: without a leading v, without what a vendor appended
// ("1.18.2-debian-12-r5" is 1.18.2), with a pre-release. It returns "" for what tells no version.
func CleanVersion(raw string) string {
	raw = strings.TrimSpace(raw)
	if prefixed := prefixedVersion.FindStringSubmatch(raw); prefixed != nil {
		raw = prefixed[1]
	}
	found := versionShape.FindStringSubmatch(raw)
	if found == nil {
		return ""
	}
	version := found[1]
	if found[2] != "" {
		version += "-" + strings.ToLower(strings.Trim(found[2], "-."))
	}
	if len(version) > maxVersion {
		return ""
	}
	return version
}

// ParseVersion reads a cleaned version for comparing. A fourth number, which semver does not know, is left out.
// It reports false where there is nothing to compare.
func ParseVersion(cleaned string) (*semver.Version, bool) {
	if cleaned == "" {
		return nil, false
	}
	core, pre, hasPre := strings.Cut(cleaned, "-")
	parts := strings.Split(core, ".")
	if len(parts) > 3 {
		parts = parts[:3]
	}
	text := trimZeros(parts)
	if hasPre {
		text += "-" + trimZeros(strings.Split(pre, "."))
	}
	version, err := semver.NewVersion(text)
	return version, err == nil
}

// trimZeros takes the zeros away that calendar versions write in front of a month, and some a release candidate's number,
// and that semver refuses: 2024.06.1, 1.2.3-rc.01.
func trimZeros(parts []string) string {
	for i, part := range parts {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			continue
		}
		if parts[i] = strings.TrimLeft(part, "0"); parts[i] == "" {
			parts[i] = "0"
		}
	}
	return strings.Join(parts, ".")
}

// ParseRange reads a version range. A pre-release is inside a range when it is by order: 1.17.0-rc.1 satisfies >=1.16.
func ParseRange(text string) (*semver.Constraints, error) {
	constraints, err := semver.NewConstraint(text)
	if err != nil {
		return nil, err
	}
	constraints.IncludePrerelease = true
	return constraints, nil
}
