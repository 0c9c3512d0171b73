package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/catalog"
	"github.com/platformprofile/platformprofile/internal/text"
)

// WaiversOf returns the waivers of a profile.
func WaiversOf(profile string, all []*v1alpha1.PlatformWaiver) []*v1alpha1.PlatformWaiver {
	return slices.DeleteFunc(slices.Clone(all), func(w *v1alpha1.PlatformWaiver) bool { return w.Spec.Profile != profile })
}

// ValidateWaiver returns what is wrong with a waiver that satisfies the schema; nil if nothing is. A waiver from a file counts as created
// now, unless the file is a dump with an earlier time.
func ValidateWaiver(w *v1alpha1.PlatformWaiver, now time.Time) *field.Error {
	spec := field.NewPath("spec")
	if w.Spec.Versions != "" {
		if _, err := catalog.ParseRange(w.Spec.Versions); err != nil {
			return field.Invalid(spec.Child("versions"), w.Spec.Versions, invalidRange)
		}
	}
	created := w.CreationTimestamp.Time
	if created.IsZero() || created.After(now) {
		created = now
	}
	if limit := created.AddDate(1, 0, 0); w.Spec.Expires != nil && w.Spec.Expires.After(limit) {
		return field.Invalid(spec.Child("expires"), w.Spec.Expires.UTC().Format(time.RFC3339),
			"a waiver lasts a year at most: set a time until "+limit.UTC().Format(time.RFC3339))
	}
	return nil
}

// whyNotCovered returns why a waiver does not cover the verdict on a requirement; empty if it does. Everything that tells waived
// requirements from others goes by it.
func whyNotCovered(w *v1alpha1.PlatformWaiver, r *v1alpha1.RequirementStatus, now time.Time) string {
	if err := ValidateWaiver(w, now); err != nil {
		return err.Error()
	}
	switch {
	case hasExpired(w, now):
		return "the waiver expired at " + formatTime(w.Spec.Expires.Time)
	case !slices.Contains(w.Spec.Verdicts, r.Verdict):
		return "the waiver covers " + joinVerdicts(w.Spec.Verdicts) + " and not " + string(r.Verdict)
	case w.Spec.Component != "" && w.Spec.Component != r.Component:
		return "the verdict is not about " + w.Spec.Component
	case w.Spec.Versions == "":
		return ""
	}
	versions, _ := catalog.ParseRange(w.Spec.Versions)
	version, ok := catalog.ParseVersion(r.Version)
	if !ok {
		return "the version of " + r.Component + " could not be determined, and the waiver covers " + w.Spec.Versions
	}
	if !versions.Check(version) {
		return r.Component + " " + r.Version + " is not in " + w.Spec.Versions
	}
	return ""
}

// hasExpired reports whether a waiver has ended. Only one of a baseline has no end.
func hasExpired(w *v1alpha1.PlatformWaiver, now time.Time) bool {
	return w.Spec.Expires != nil && !now.Before(w.Spec.Expires.Time)
}

// endsLater reports whether a waiver takes precedence over another one. Any precedes one of a baseline.
func endsLater(a, b *v1alpha1.PlatformWaiver) bool {
	if a.Spec.Expires == nil || b.Spec.Expires == nil {
		return b.Spec.Expires == nil && a.Spec.Expires != nil
	}
	return a.Spec.Expires.After(b.Spec.Expires.Time) || a.Spec.Expires.Equal(b.Spec.Expires) && a.Name < b.Name
}

// findWaiver returns the waiver that covers the verdict on a requirement: of several, the one that ends last.
func (e *evaluation) findWaiver(layer string, r *v1alpha1.RequirementStatus, now time.Time) *v1alpha1.AppliedWaiver {
	if len(e.waivers) == 0 || isGood(r.Verdict) {
		return nil
	}
	var found *v1alpha1.PlatformWaiver
	name := layer + "/" + r.Name
	for _, w := range e.waivers {
		if w.Spec.Requirement != name || whyNotCovered(w, r, now) != "" {
			continue
		}
		if found == nil || endsLater(w, found) {
			found = w
		}
	}
	if found == nil {
		return nil
	}
	if found.Spec.Expires != nil {
		e.requeueNoLaterThan(found.Spec.Expires.Time, now)
	}
	return &v1alpha1.AppliedWaiver{
		Waiver: found.Name, By: text.Bound(found.Spec.By, maxBy), Reason: text.Bound(found.Spec.Reason, e.limits.text),
		URL: text.Bound(found.Spec.URL, maxURL), Until: found.Spec.Expires,
	}
}

// AssessWaiver returns the state of a waiver by the status of its profile, and a message. The profile is nil if it does not exist.
func AssessWaiver(
	w *v1alpha1.PlatformWaiver, profile *v1alpha1.PlatformProfile, now time.Time,
) (state v1alpha1.WaiverState, message string) {
	if err := ValidateWaiver(w, now); err != nil {
		return v1alpha1.WaiverUnused, err.Error()
	}
	if hasExpired(w, now) {
		return v1alpha1.WaiverExpired, "expired at " + formatTime(w.Spec.Expires.Time)
	}
	if profile == nil {
		return v1alpha1.WaiverUnused, fmt.Sprintf("the cluster has no PlatformProfile %q", w.Spec.Profile)
	}
	layer, name, _ := strings.Cut(w.Spec.Requirement, "/")
	r := findRequirements(&profile.Status, layer).find(name, 0)
	switch {
	case r == nil && profile.Status.ObservedGeneration != profile.Generation:
		return v1alpha1.WaiverUnused, "the profile has not been evaluated yet"
	case r == nil:
		return v1alpha1.WaiverUnused, "the profile has no requirement " + w.Spec.Requirement
	case isGood(r.Verdict):
		return v1alpha1.WaiverUnused, w.Spec.Requirement + " is " + string(r.Verdict)
	}
	reason := whyNotCovered(w, r, now)
	switch {
	case reason != "":
		return v1alpha1.WaiverUnused, w.Spec.Requirement + " is " + string(r.Verdict) + ": " + reason
	case r.Waived == nil:
		return v1alpha1.WaiverUnused, "the profile has not been evaluated with the waiver yet"
	case r.Waived.Waiver != w.Name:
		return v1alpha1.WaiverUnused, "the PlatformWaiver " + r.Waived.Waiver + " covers " + w.Spec.Requirement + " already"
	}
	return v1alpha1.WaiverActive, w.Spec.Requirement + " is " + string(r.Verdict)
}

// isMet reports whether a requirement does not stand in the way of conformance: it is satisfied or waived.
func isMet(r *v1alpha1.RequirementStatus) bool { return isGood(r.Verdict) || r.Waived != nil }

// DescribeWaiver describes a waiver in one line, for example "waived until 2027-01-31 00:00 UTC by platform-team: upgrade is planned".
func DescribeWaiver(w *v1alpha1.AppliedWaiver) string {
	waived := "waived"
	if w.Until != nil {
		waived += " until " + formatTime(w.Until.Time)
	}
	waived += " by " + w.By + ": " + w.Reason
	if w.URL != "" {
		waived += " (" + w.URL + ")"
	}
	return waived
}

// formatTime formats a time to the minute, or to the second where that matters.
func formatTime(t time.Time) string {
	if t.Second() != 0 {
		return t.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

func joinVerdicts(verdicts []v1alpha1.Verdict) string {
	texts := make([]string, 0, len(verdicts))
	for _, v := range verdicts {
		texts = append(texts, string(v))
	}
	return strings.Join(texts, ", ")
}
