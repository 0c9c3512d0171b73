// Package openreports builds the report on a profile in the format of openreports.io, which policy dashboards read. The operator and the
// command line write it.
package openreports

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"
	"time"

	reports "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
)

const (
	// source identifies the reports of this project.
	source = "platformprofile"
	// managedByLabel and its value select them.
	managedByLabel = "app.kubernetes.io/managed-by"
)

// The results of a requirement.
const (
	pass   = reports.Result("pass")
	fail   = reports.Result("fail")
	warn   = reports.Result("warn")
	failed = reports.Result("error") // to evaluate
	skip   = reports.Result("skip")
)

const (
	severityHigh = reports.ResultSeverity("high")
	severityLow  = reports.ResultSeverity("low")
)

// New returns the report on a profile. It depends only on the profile, and changes only with its status.
func New(profile *v1alpha1.PlatformProfile) *reports.ClusterReport {
	reference := corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "PlatformProfile", Name: profile.Name, UID: profile.UID,
	}
	b := &builder{profile: profile, reference: reference, report: &reports.ClusterReport{
		TypeMeta:   metav1.TypeMeta{APIVersion: reports.GroupVersion.String(), Kind: "ClusterReport"},
		ObjectMeta: metav1.ObjectMeta{Name: Name(profile.Name), Labels: map[string]string{managedByLabel: source}},
		Source:     source,
		Scope:      &reference,
	}}
	if profile.UID != "" { // a profile in a file has none
		isController := true
		// blockOwnerDeletion stays unset: setting it needs permission on the finalizers of the profile.
		b.report.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: reference.APIVersion, Kind: reference.Kind, Name: profile.Name, UID: profile.UID, Controller: &isController,
		}}
	}
	ready := meta.FindStatusCondition(profile.Status.Conditions, v1alpha1.ConditionReady)
	b.isSuspended = ready != nil && ready.Reason == conformance.ReasonSuspended
	for i := range profile.Status.Layers {
		layer := &profile.Status.Layers[i]
		for j := range layer.Requirements {
			b.addRequirement(layer.Name, &layer.Requirements[j])
		}
	}
	b.addUndeclared()
	b.addSpecErrors()
	return b.report
}

// Name returns the name of the report on a profile. The prefix avoids the names of other tools' reports.
func Name(profile string) string {
	const maxName, hashLength = 253, 16
	name := source + "-" + profile
	if len(name) > maxName {
		name = name[:maxName-hashLength-1] + "-" + hash(profile)
	}
	return name
}

// builder adds results to the report on a profile.
type builder struct {
	profile     *v1alpha1.PlatformProfile
	reference   corev1.ObjectReference // to the profile
	isSuspended bool
	report      *reports.ClusterReport
}

func (b *builder) addRequirement(layer string, r *v1alpha1.RequirementStatus) {
	result := reports.ReportResult{
		Rule: layer + "/" + r.Name, Category: layer, Severity: severityHigh, Scored: true, Result: b.resultOf(r),
		Description: messageOf(r), Timestamp: b.timestamp(r.LastTransitionTime),
		Properties: map[string]string{},
	}
	if r.Severity == v1alpha1.SeverityRecommended {
		result.Severity, result.Scored = severityLow, false
	}
	since := r.FailingSince
	if since == nil {
		since = r.LastTransitionTime
	}
	properties := map[string]string{
		"verdict": string(r.Verdict), "component": r.Component, "version": r.Version, "health": string(r.Health), "namespace": r.Namespace,
		"managedBy": r.ManagedBy, "remediation": r.Remediation, "since": formatTime(since),
	}
	if w := r.Waived; w != nil {
		maps.Copy(properties, map[string]string{
			"waiver": w.Waiver, "waivedBy": w.By, "waivedReason": w.Reason, "waivedURL": w.URL, "waivedUntil": formatTime(w.Until),
		})
	}
	for key, value := range properties {
		if value != "" {
			result.Properties[key] = value
		}
	}
	b.add(result, r.LastTransitionTime, r.Evidence)
}

// resultOf returns the result of a requirement. The verdicts of a suspended profile are those of the past.
func (b *builder) resultOf(r *v1alpha1.RequirementStatus) reports.Result {
	switch {
	case b.isSuspended || r.Waived != nil:
		return skip
	case r.Verdict == v1alpha1.VerdictSatisfied || r.Verdict == v1alpha1.VerdictAttested:
		return pass
	case r.Verdict == v1alpha1.VerdictUnknown:
		return failed
	case r.Severity == v1alpha1.SeverityRecommended:
		return warn
	}
	return fail
}

// messageOf returns the verdict and the message of a requirement. A requirement that is satisfied has no message, but a component.
func messageOf(r *v1alpha1.RequirementStatus) string {
	message := r.Message
	if message == "" {
		message = strings.Join(strings.Fields(r.Component+" "+r.Version), " ")
		if message != "" && r.Namespace != "" {
			message += " in " + r.Namespace
		}
	}
	if message == "" {
		return string(r.Verdict)
	}
	return string(r.Verdict) + ": " + message
}

// addUndeclared adds the result for undeclared components, if the profile forbids them.
func (b *builder) addUndeclared() {
	if b.profile.Spec.Undeclared != v1alpha1.UndeclaredForbid {
		return
	}
	unknown := conformance.UndeclaredUnknownReason(&b.profile.Status)
	result := reports.ReportResult{
		Rule: "undeclared", Category: "undeclared", Severity: severityHigh, Scored: true, Result: pass,
		Description: "no undeclared components are installed", Timestamp: b.timestamp(nil),
	}
	switch undeclared := b.profile.Status.Undeclared; {
	case b.isSuspended:
		result.Result, result.Description = skip, "the evaluation is suspended"
	case len(undeclared) > 0:
		names := make([]string, 0, len(undeclared))
		for _, u := range undeclared {
			names = append(names, strings.Join(strings.Fields(u.Component+" "+u.Version), " "))
		}
		result.Result, result.Description = fail, "installed but not declared by any requirement: "+strings.Join(names, ", ")
	case unknown != "":
		result.Result, result.Description = failed, unknown
	}
	b.add(result, nil, nil)
}

// addSpecErrors adds a result for the errors in the spec, if there are any.
func (b *builder) addSpecErrors() {
	stalled := meta.FindStatusCondition(b.profile.Status.Conditions, v1alpha1.ConditionStalled)
	if stalled == nil || b.isSuspended {
		return
	}
	b.add(reports.ReportResult{
		Rule: "spec", Category: "spec", Severity: severityHigh, Scored: true, Result: failed,
		Description: stalled.Message, Timestamp: b.timestamp(&stalled.LastTransitionTime),
	}, &stalled.LastTransitionTime, nil)
}

// add adds a result. since is when the verdict last changed, or nil.
//
// The first resource is the profile, because Policy Reporter takes a result to be about its first resource, and the results of a cluster's
// report to be about resources without a namespace. The evidence follows.
func (b *builder) add(result reports.ReportResult, since *metav1.Time, evidence []v1alpha1.Evidence) {
	result.Source, result.Policy = source, b.profile.Name
	if result.Properties == nil {
		result.Properties = map[string]string{}
	}
	// Policy Reporter sends a notification for each new ID. By default it derives the ID from the message, which changes with every pod
	// that fails. This one changes with the verdict.
	verdict := result.Properties["verdict"]
	result.Properties["resultID"] = hash(source, result.Policy, result.Rule, string(result.Result), verdict, formatTime(since))
	result.Subjects = []corev1.ObjectReference{b.reference}
	for _, e := range evidence {
		result.Subjects = append(result.Subjects,
			corev1.ObjectReference{APIVersion: e.APIVersion, Kind: e.Kind, Namespace: e.Namespace, Name: e.Name})
	}
	b.report.Results = append(b.report.Results, result)
	switch summary := &b.report.Summary; result.Result {
	case pass:
		summary.Pass++
	case fail:
		summary.Fail++
	case warn:
		summary.Warn++
	case failed:
		summary.Error++
	case skip:
		summary.Skip++
	}
}

// timestamp returns when a verdict last changed. A verdict that never changed was found when the status last changed.
func (b *builder) timestamp(since *metav1.Time) metav1.Timestamp {
	if since == nil {
		since = b.profile.Status.LastChangeTime
	}
	if since == nil {
		return metav1.Timestamp{}
	}
	return metav1.Timestamp{Seconds: since.Unix()}
}

func formatTime(t *metav1.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// hash returns a short hash of texts.
func hash(texts ...string) string {
	const length = 8
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(sum[:length])
}
