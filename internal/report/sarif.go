package report

import (
	"io"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/text"
)

// Location says where a profile was written down. The zero Place is nowhere.
type Location struct {
	// URI of the file, relative to where the command runs unless it lies elsewhere.
	URI string
	// Line finds the line of a requirement, named PROFILE/LAYER/NAME, or of a profile; 0 where it is not known.
	Line func(name string) int
}

const homepage = "https://github.com/platformprofile/platformprofile"

// WriteSARIF writes what does not hold as the results of an analysis: a rule for each requirement, named PROFILE/LAYER/NAME. What
// is Required and fails is an error, what could not be judged a warning, what is only Recommended a note.
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
			s.addRule(profile.Name+"/spec", "the profile has no mistakes", "error")
			s.addResult(profile.Name+"/spec", profile.Name, profile.Name+"/spec", "error", "mistakes in the profile: "+text)
		}
		if profile.Spec.Undeclared == v1alpha1.UndeclaredForbid {
			id := profile.Name + "/undeclared"
			s.addRule(id, "nothing is installed that no requirement mentions", "error")
			for _, text := range undeclaredComponents(profile) {
				s.addResult(id, profile.Name, id+"/"+text, "error", text+" is installed and mentioned by no requirement")
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
	s.addRule(id, "the requirement "+r.Name+" of the layer "+layer+" holds", level)
	if level, bad := sarifLevels[levelOf(r)]; bad {
		s.addResult(id, id, id, level, string(r.Verdict)+": "+messageWithRemediation(r))
	}
}

func (s *sarifRun) addRule(id, description, level string) {
	s.driver.AddRule(sarif.NewReportingDescriptor().WithID(text.Printable(id)).
		WithShortDescription(sarif.NewMultiformatMessageString().WithText(text.Printable(description))).
		WithHelpURI(homepage + "/blob/main/docs/layers.md").
		WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(level)))
}

// addResult adds a result of the rule that was added last. What tells it from others, also across runs, is what it is about:
// the message may name a version, which changes.
func (s *sarifRun) addResult(id, at, what, level, message string) {
	location := sarif.NewLocation().AddLogicalLocation(sarif.NewLogicalLocation().WithFullyQualifiedName(text.Printable(at)))
	if s.location.URI != "" {
		physical := sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewArtifactLocation().WithURI(s.location.URI))
		if line := s.location.Line(at); line > 0 {
			physical.WithRegion(sarif.NewRegion().WithStartLine(line))
		}
		location.WithPhysicalLocation(physical)
	}
	result := sarif.NewResult().WithRuleID(text.Printable(id)).WithRuleIndex(len(s.driver.Rules) - 1).WithLevel(level).
		WithMessage(sarif.NewMessage().WithText(message)).AddLocation(location).
		WithPartialFingerprints(map[string]string{"requirement/v1": text.Printable(what)})
	s.run.AddResult(result)
}
