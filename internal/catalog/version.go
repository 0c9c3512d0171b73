package catalog

import (
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// versionShape matches a version with at least major and minor, and its pre-release. A single number ("v3", "20200709") is no version, but
// a moving tag or a date.
var versionShape = regexp.MustCompile(`(?i)^v?(\d{1,6}(?:\.\d{1,12}){1,3})` +
	`(?:[-.]?((?:alpha|beta|rc|dev|pre|preview|snapshot|canary|nightly)(?:[-.]?\d+)*))?` +
	`(?:$|[^0-9.]|\.[^0-9]|\.$)`)

// prefixedVersion matches a version with a v after a prefix: "distroless-v1.38.3".
var prefixedVersion = regexp.MustCompile(`(?i)^[a-z][a-z]*(?:[-_][a-z]+)*[-_]v(\d.*)$`)

// dateVersion matches a version that is a date: "RELEASE.2025-04-22T22-12-26Z", "2025-04-22".
var dateVersion = regexp.MustCompile(`^(?:RELEASE\.|v)?(20\d{2})-(\d{2})-(\d{2})(?:T[\d-]+Z)?$`)

// maxVersion is the maximum length of a version.
const maxVersion = 64

// CleanVersion returns the version in a tag or label: without a leading v and without a vendor's suffix ("1.18.2-debian-12-r5" is 1.18.2),
// but with its pre-release. A date is a version of three numbers. It returns "" if there is no version.
func CleanVersion(raw string) string {
	raw = strings.TrimSpace(raw)
	if date := dateVersion.FindStringSubmatch(raw); date != nil {
		return strings.Join(date[1:], ".")
	}
	if prefixed := prefixedVersion.FindStringSubmatch(raw); prefixed != nil {
		raw = prefixed[1]
	}
	groups := versionShape.FindStringSubmatch(raw)
	if groups == nil {
		return ""
	}
	version := groups[1]
	if groups[2] != "" {
		version += "-" + strings.ToLower(strings.Trim(groups[2], "-."))
	}
	if len(version) > maxVersion {
		return ""
	}
	return version
}

// ParseVersion parses a cleaned version. It ignores a fourth number, which semver does not allow. It returns false if the version is empty
// or invalid.
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

// trimZeros joins numbers without leading zeros, which semver does not allow: 2024.06.1, 1.2.3-rc.01.
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

// ParseRange parses a version range. It includes pre-releases by their order: 1.17.0-rc.1 satisfies >=1.16.
func ParseRange(text string) (*semver.Constraints, error) {
	constraints, err := semver.NewConstraint(text)
	if err != nil {
		return nil, err
	}
	constraints.IncludePrerelease = true
	return constraints, nil
}
