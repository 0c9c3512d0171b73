package report

import (
	"io"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/text"
)

// Location is where the profiles are defined; zero if that is not a file.
type Location struct {
	// URI is the URI of the file, relative to the working folder if it contains the file.
	URI string
	// Line returns the line of a profile, or of a requirement named PROFILE/LAYER/NAME; 0 if it is unknown.
	Line func(name string) int
}

const homepage = "https://github.com/platformprofile/platformprofile"

// WriteSARIF writes profiles as a SARIF report: a rule for each requirement, named PROFILE/LAYER/NAME, and a result for each that is not
// satisfied. A Required requirement with a bad verdict is an error, with verdict Unknown a warning. A Recommended one is a note. The
// result of a waived requirement is suppressed.
func WriteSARIF(w io.Writer, profiles []*v1alpha1.PlatformProfile, place Location, version string) error {
	driver := sarif.NewToolComponent().WithName("platformprofile").WithInformationURI(homepage).WithVersion(version)
	run := sarif.NewRun().WithTool(sarif.NewTool().WithDriver(driver))
	s := &sarifRun{run: run, driver: driver, location: place}
	for _, profile := range profiles {
		for i := range profile.Status.Layers {
			layer := &profile.Status.Layers[i]
			for j := range layer.Requirements {
				s.addRequirement(profile, layer.Name, &layer.Requirements[j])
			}
		}
		if text := specErrors(profile); text != "" {
			s.addRule(profile.Name+"/spec", "the profile has no errors", "error")
			s.addResult(profile.Name+"/spec", profile.Name, profile.Name+"/spec", "error", "errors in the profile: "+text)
		}
		if profile.Spec.Undeclared == v1alpha1.UndeclaredForbid {
			id := profile.Name + "/undeclared"
			s.addRule(id, "no undeclared components", "error")
			for _, text := range undeclaredComponents(profile) {
				s.addResult(id, profile.Name, id+"/"+text, "error", text+" is installed but not declared")
			}
			if text := undeclaredUnknownReason(profile); text != "" && len(profile.Status.Undeclared) == 0 {
				s.addResult(id, profile.Name, id, "warning", text)
			}
		}
	}
	report := sarif.NewReport()
	report.AddRun(run)
	return report.PrettyWrite(w)
}

type sarifRun struct {
	run      *sarif.Run
	driver   *sarif.ToolComponent
	location Location
}

var sarifLevels = map[resultLevel]string{levelError: "error", levelWarning: "warning", levelNote: "note"}

func (s *sarifRun) addRequirement(profile *v1alpha1.PlatformProfile, layer string, r *v1alpha1.RequirementStatus) {
	id, level := profile.Name+"/"+layer+"/"+r.Name, "error"
	if r.Severity == v1alpha1.SeverityRecommended {
		level = "note"
	}
	s.addRule(id, "the requirement "+r.Name+" of the layer "+layer+" is satisfied", level)
	if levelOf(r) == levelNone {
		return
	}
	result := s.addResult(id, id, id, sarifLevels[failureLevel(r)], string(r.Verdict)+": "+messageWithRemediation(r))
	if r.Waived != nil {
		result.AddSuppression(sarif.NewSuppression().WithKind("external").WithStatus("accepted").
			WithJustification(text.Printable(conformance.DescribeWaiver(r.Waived))))
	}
}

func (s *sarifRun) addRule(id, description, level string) {
	s.driver.AddRule(sarif.NewReportingDescriptor().WithID(text.Printable(id)).
		WithShortDescription(sarif.NewMultiformatMessageString().WithText(text.Printable(description))).
		WithHelpURI(homepage + "/blob/main/docs/layers.md").
		WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(level)))
}

// addResult adds a result of the rule that was added last. Its fingerprint is its subject, because messages contain versions.
func (s *sarifRun) addResult(id, subject, fingerprint, level, message string) *sarif.Result {
	location := sarif.NewLocation().AddLogicalLocation(sarif.NewLogicalLocation().WithFullyQualifiedName(text.Printable(subject)))
	if s.location.URI != "" {
		physical := sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewArtifactLocation().WithURI(s.location.URI))
		if line := s.location.Line(subject); line > 0 {
			physical.WithRegion(sarif.NewRegion().WithStartLine(line))
		}
		location.WithPhysicalLocation(physical)
	}
	result := sarif.NewResult().WithRuleID(text.Printable(id)).WithRuleIndex(len(s.driver.Rules) - 1).WithLevel(level).
		WithMessage(sarif.NewMessage().WithText(message)).AddLocation(location).
		WithPartialFingerprints(map[string]string{"requirement/v1": text.Printable(fingerprint)})
	s.run.AddResult(result)
	return result
}
