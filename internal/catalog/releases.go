package catalog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// Release is what upstream states about one release cycle of a product.
type Release struct {
	Cycle string
	// Released is the day of the first release; zero if it is unknown.
	Released time.Time
	// EndsAt is the first moment after the end of support; zero if upstream stated no end.
	EndsAt time.Time
	// Kubernetes is the range of minor versions that the cycle supports, and KubernetesText the range as text; nil if there is none.
	Kubernetes     *semver.Constraints
	KubernetesText string
	Source         string
	// AsOf is the day of the statements.
	AsOf time.Time

	numbers []uint64 // of the cycle
}

// Releases are the release cycles of a product, from the oldest to the newest.
type Releases []Release

// factsValidFor is how long it is believed that upstream supports a cycle of which it stated no end.
const factsValidFor = 365 * 24 * time.Hour

func (c *compiler) compileReleases(path *field.Path, releases []v1alpha1.Release) {
	for i, release := range releases {
		at := path.Index(i)
		day := func(name string, date v1alpha1.Date) time.Time {
			if date == "" {
				return time.Time{}
			}
			parsed, err := time.Parse(time.DateOnly, string(date))
			if err != nil {
				c.addError(at.Child(name), date, "not a day, for example 2026-11-29")
			}
			return parsed
		}
		compiled := Release{
			Cycle: release.Cycle, Released: day("released", release.Released), KubernetesText: release.Kubernetes,
			Source: release.Source, AsOf: day("asOf", release.AsOf), numbers: parseNumbers(release.Cycle),
		}
		if compiled.numbers == nil {
			c.addError(at.Child("cycle"), release.Cycle, "not the beginning of a version, for example 1.18")
		}
		if release.EndOfLife != "" {
			compiled.EndsAt = day("endOfLife", release.EndOfLife).AddDate(0, 0, 1)
			if compiled.EndsAt.Before(compiled.Released) {
				c.addError(at.Child("endOfLife"), release.EndOfLife, "is before the day of the release")
			}
		}
		if release.Source == "" {
			c.errs = append(c.errs, field.Required(at.Child("source"), "name the page or file with these statements"))
		}
		if release.AsOf == "" {
			c.errs = append(c.errs, field.Required(at.Child("asOf"), "name the day of these statements"))
		}
		if release.Kubernetes != "" {
			var err error
			if compiled.Kubernetes, err = ParseRange(release.Kubernetes); err != nil {
				c.addError(at.Child("kubernetes"), release.Kubernetes, `not a version range: write it like ">=1.31 <=1.34"`)
			}
		}
		c.component.Releases = append(c.component.Releases, compiled)
	}
	slices.SortFunc(c.component.Releases, func(a, b Release) int { return slices.Compare(a.numbers, b.numbers) })
	for i := 1; i < len(c.component.Releases); i++ {
		if c.component.Releases[i].Cycle == c.component.Releases[i-1].Cycle {
			c.errs = append(c.errs, field.Duplicate(path, c.component.Releases[i].Cycle))
		}
	}
}

// parseNumbers returns the numbers of a version before its pre-release; nil if it has none.
func parseNumbers(version string) []uint64 {
	version, _, _ = strings.Cut(version, "-")
	var numbers []uint64
	for text := range strings.SplitSeq(version, ".") {
		number, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil
		}
		numbers = append(numbers, number)
	}
	return numbers
}

// Find returns the release cycle of a version. The reason says why there is none.
func (r Releases) Find(version string) (release *Release, reason string) {
	numbers := parseNumbers(version)
	switch {
	case len(r) == 0:
		return nil, "the catalog has no facts about its releases"
	case version == "":
		return nil, "its version could not be determined"
	case numbers == nil:
		return nil, version + " is not a version with numbers"
	}
	for i := range r {
		cycle := r[i].numbers
		if len(cycle) <= len(numbers) && slices.Equal(cycle, numbers[:len(cycle)]) && (release == nil || len(cycle) >= len(release.numbers)) {
			release = &r[i]
		}
	}
	newest := r[len(r)-1]
	switch {
	case release != nil:
		return release, ""
	case slices.Compare(numbers, newest.numbers) > 0:
		return nil, fmt.Sprintf("the catalog's facts go up to %s (as of %s)", newest.Cycle, newest.AsOf.Format(time.DateOnly))
	}
	return nil, "the catalog has no facts about the release " + version
}

// Support is how long upstream supports a version.
type Support struct {
	// Release is the cycle of the version; nil if it is unknown.
	Release *Release
	// IsKnown is false if Reason says why it is unknown whether upstream supports the version.
	IsKnown bool
	// IsSupported is true until the end of support.
	IsSupported bool
	Reason      string
}

// SupportAt returns whether upstream supports a version at a time.
func (r Releases) SupportAt(version string, now time.Time) Support {
	release, reason := r.Find(version)
	switch {
	case release == nil:
		return Support{Reason: reason}
	case release.EndsAt.IsZero() && release != &r[len(r)-1]:
		return Support{
			Release: release, Reason: fmt.Sprintf("upstream stated no end of support for %s, and there are newer releases", release.Cycle),
		}
	case release.EndsAt.IsZero() && now.After(release.AsOf.Add(factsValidFor)):
		return Support{Release: release, Reason: fmt.Sprintf("upstream stated no end of support for %s, and the fact is of %s",
			release.Cycle, release.AsOf.Format(time.DateOnly))}
	case release.EndsAt.IsZero():
		return Support{Release: release, IsKnown: true, IsSupported: true}
	}
	return Support{Release: release, IsKnown: true, IsSupported: now.Before(release.EndsAt)}
}

// LastDay returns the last day of support as text; empty if upstream stated no end.
func (r *Release) LastDay() string {
	if r.EndsAt.IsZero() {
		return ""
	}
	return r.EndsAt.AddDate(0, 0, -1).Format(time.DateOnly)
}

// Compatibility is whether a version supports a version of Kubernetes.
type Compatibility struct {
	// Release is the cycle of the version; nil if it is unknown.
	Release *Release
	// IsKnown is false if Reason says why the compatibility is unknown.
	IsKnown      bool
	IsCompatible bool
	Reason       string
}

// KubernetesRelease is a minor version of Kubernetes.
type KubernetesRelease struct {
	Version *semver.Version
	// Released is the day of its first release; zero if it is in the future as far as the facts go.
	Released time.Time
}

// NewKubernetesRelease returns the minor version of a version of Kubernetes, with the day of its release according to the releases of
// Kubernetes.
func NewKubernetesRelease(version *semver.Version, releases Releases) KubernetesRelease {
	minor := semver.New(version.Major(), version.Minor(), 0, "", "")
	k := KubernetesRelease{Version: minor}
	for _, release := range releases { // an older version was released before the first one whose day is known
		if cycle, ok := ParseVersion(release.Cycle); ok && !minor.GreaterThan(cycle) && !release.Released.IsZero() {
			k.Released = release.Released
			break
		}
	}
	return k
}

// String returns the minor version, for example "1.38".
func (k KubernetesRelease) String() string {
	return fmt.Sprintf("%d.%d", k.Version.Major(), k.Version.Minor())
}

// CompatibilityWith returns whether a version of the product supports a version of Kubernetes.
func (r Releases) CompatibilityWith(version string, kubernetes KubernetesRelease) Compatibility {
	release, reason := r.Find(version)
	if release == nil {
		return Compatibility{Reason: reason}
	}
	c := release.compatibilityWith(kubernetes)
	c.Release = release
	return c
}

func (r *Release) compatibilityWith(kubernetes KubernetesRelease) Compatibility {
	switch {
	case r.Kubernetes == nil:
		return Compatibility{Reason: "upstream states no versions of Kubernetes for " + r.Cycle}
	case !r.Kubernetes.Check(kubernetes.Version):
		return Compatibility{IsKnown: true}
	case r.hasNoUpperBound() && (kubernetes.Released.IsZero() || kubernetes.Released.After(r.AsOf)):
		return Compatibility{Reason: fmt.Sprintf("upstream's statement for %s is of %s, before the release of Kubernetes %s",
			r.Cycle, r.AsOf.Format(time.DateOnly), kubernetes)}
	}
	return Compatibility{IsKnown: true, IsCompatible: true}
}

// hasNoUpperBound reports whether the range includes versions of Kubernetes that did not exist when upstream stated it.
func (r *Release) hasNoUpperBound() bool { return r.Kubernetes.Check(semver.New(1, 9999, 0, "", "")) }

// CyclesFor returns the cycles that support a version of Kubernetes, from the oldest to the newest.
func (r Releases) CyclesFor(kubernetes KubernetesRelease) []string {
	var cycles []string
	for i := range r {
		if r[i].compatibilityWith(kubernetes).IsCompatible {
			cycles = append(cycles, r[i].Cycle)
		}
	}
	return cycles
}
