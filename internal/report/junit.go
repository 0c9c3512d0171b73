package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/text"
)

// The JUnit XML format, as far as CI systems read it.
type (
	junitReport struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string       `xml:"classname,attr"`
		Name    string       `xml:"name,attr"`
		Failure *junitResult `xml:"failure"`
		Error   *junitResult `xml:"error"`
		Skipped *junitResult `xml:"skipped"`
		Out     string       `xml:"system-out,omitempty"`
	}
	junitResult struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes profiles as a JUnit report: a suite for each layer, a case for each requirement. A Required requirement with a bad
// verdict is a failure, with verdict Unknown an error. A Recommended or waived requirement that is not satisfied is skipped.
func WriteJUnit(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
	report := junitReport{Name: "platformprofile"}
	for _, profile := range profiles {
		for i := range profile.Status.Layers {
			layer := &profile.Status.Layers[i]
			suite := junitSuite{Name: text.Printable(profile.Name + "/" + layer.Name)}
			for j := range layer.Requirements {
				suite.add(newJUnitRequirement(profile.Name+"."+layer.Name, &layer.Requirements[j]))
			}
			report.add(suite)
		}
		if message := specErrors(profile); message != "" {
			suite := junitSuite{Name: text.Printable(profile.Name + "/spec")}
			result := &junitResult{Message: message, Type: "InvalidSpec"}
			suite.add(junitCase{Class: text.Printable(profile.Name + ".spec"), Name: "profile", Error: result})
			report.add(suite)
		}
		if profile.Spec.Undeclared == v1alpha1.UndeclaredForbid {
			suite := junitSuite{Name: text.Printable(profile.Name + "/undeclared")}
			suite.add(newJUnitUndeclared(profile))
			report.add(suite)
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(report); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

func newJUnitRequirement(class string, r *v1alpha1.RequirementStatus) junitCase {
	c := junitCase{Class: text.Printable(class), Name: text.Printable(r.Name)}
	verdict := string(r.Verdict)
	result := &junitResult{Message: verdict + ": " + text.Printable(r.Message), Type: verdict, Text: messageWithRemediation(r)}
	switch levelOf(r) {
	case levelError:
		c.Failure = result
	case levelWarning:
		c.Error = result
	case levelWaived:
		c.Skipped = &junitResult{Message: text.Printable(conformance.DescribeWaiver(r.Waived)) + ": " + result.Message}
		c.Out = result.Text
	case levelNote:
		c.Skipped = &junitResult{Message: "recommended: " + result.Message}
		c.Out = result.Text
	case levelNone:
		c.Out = result.Message
	}
	return c
}

func newJUnitUndeclared(profile *v1alpha1.PlatformProfile) junitCase {
	c := junitCase{Class: text.Printable(profile.Name + ".undeclared"), Name: "no undeclared components"}
	if len(profile.Status.Undeclared) > 0 {
		components := strings.Join(undeclaredComponents(profile), "\n")
		c.Failure = &junitResult{Message: "undeclared components are installed", Type: "Undeclared", Text: components}
	} else if reason := undeclaredUnknownReason(profile); reason != "" {
		c.Error = &junitResult{Message: reason, Type: "Unknown"}
	}
	return c
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
}

func (r *junitReport) add(s junitSuite) {
	r.Suites = append(r.Suites, s)
	r.Tests += s.Tests
	r.Failures += s.Failures
	r.Errors += s.Errors
	r.Skipped += s.Skipped
}
