package report

import (
	"bytes"
	_ "embed" // the checklist
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/conformance"
	"github.com/platformprofile/platformprofile/internal/text"
)

// aiConformance is the checklist of the newest Kubernetes version that has one, without status, evidence and notes.
//
//go:embed checklists/ai-conformance-1.37.yaml
var aiConformance []byte

// The values of the checklist's field status. An item that is undecided has none.
const (
	itemImplemented          = "Implemented"
	itemPartiallyImplemented = "Partially Implemented"
	itemNotImplemented       = "Not Implemented"
)

// checklist has the shape of upstream's file. Nodes keep the order of the fields and the categories.
type checklist struct {
	Metadata yaml.Node `yaml:"metadata"`
	Spec     yaml.Node `yaml:"spec"`
}

// checklistItem is one item of a category. The field description is upstream's text, and left out.
type checklistItem struct {
	ID       string   `yaml:"id"`
	Level    string   `yaml:"level"`
	Status   string   `yaml:"status"`
	Evidence []string `yaml:"evidence"`
	Notes    string   `yaml:"notes"`
}

// WriteAIConformance writes the checklist of Kubernetes AI conformance, filled from the verdicts of a profile: a YAML document for each
// profile. It returns an error if a profile has no requirement of the checklist.
func WriteAIConformance(w io.Writer, profiles []*v1alpha1.PlatformProfile) error {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	for _, profile := range profiles {
		filled, err := fillChecklist(aiConformance, profile)
		if err != nil {
			return err
		}
		var document yaml.Node
		if err := document.Encode(filled); err != nil {
			return err
		}
		document.HeadComment = "Filled by platformprofile from PlatformProfile " + text.Printable(profile.Name)
		if err := encoder.Encode(&document); err != nil {
			return err
		}
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	_, err := w.Write(out.Bytes())
	return err
}

// fillChecklist fills the status, evidence and notes of each item.
func fillChecklist(template []byte, profile *v1alpha1.PlatformProfile) (*checklist, error) {
	filled := &checklist{}
	if err := yaml.Unmarshal(template, filled); err != nil {
		return nil, fmt.Errorf("parse the checklist: %w", err)
	}
	foundAny := false
	for i := 1; i < len(filled.Spec.Content); i += 2 { // a mapping node has keys and values in turn
		var items []checklistItem
		if err := filled.Spec.Content[i].Decode(&items); err != nil {
			return nil, fmt.Errorf("parse the checklist: %w", err)
		}
		for j := range items {
			foundAny = fillItem(&items[j], profile) || foundAny
		}
		if err := filled.Spec.Content[i].Encode(items); err != nil {
			return nil, err
		}
	}
	if !foundAny {
		return nil, fmt.Errorf("PlatformProfile %s has no requirement of the checklist of Kubernetes AI conformance, such as gang-scheduling: "+
			"evaluate a profile that has them, with -f or by its name; config/samples/ai-conformance.yaml is one to start from",
			text.Printable(profile.Name))
	}
	return filled, nil
}

// fillItem fills an item from the requirements that have its name, and from those that add a dot and more to it. It reports whether the
// profile has the requirement.
func fillItem(item *checklistItem, profile *v1alpha1.PlatformProfile) bool {
	name := strings.ReplaceAll(item.ID, "_", "-")
	var itself, parts itemOutcome
	for _, layer := range profile.Status.Layers {
		for i := range layer.Requirements {
			r := &layer.Requirements[i]
			note := describeRequirement(r)
			switch {
			case r.Name == name:
				itself.add(r)
			case strings.HasPrefix(r.Name, name+"."):
				parts.add(r)
				note = r.Name + ": " + note
			default:
				continue
			}
			item.addNote(text.Printable(note))
			if isGood(r.Verdict) {
				item.addEvidence(requirementEvidence(profile, layer.Name, r))
			}
		}
	}
	switch {
	case !itself.isPresent:
		item.Notes = strings.TrimSpace("the profile has no requirement " + name + "\n" + item.Notes)
	case itself.hasFailed:
		item.Status = itemNotImplemented
	case itself.isUndecided:
	case parts.hasFailed:
		item.Status = itemPartiallyImplemented
	case parts.isUndecided:
	default:
		item.Status = itemImplemented
	}
	if item.Status == "" || item.Status == itemNotImplemented {
		item.Evidence = nil
	}
	return itself.isPresent
}

func (item *checklistItem) addNote(note string) {
	if item.Notes != "" {
		item.Notes += "\n"
	}
	item.Notes += note
}

func (item *checklistItem) addEvidence(evidence []string) {
	for _, e := range evidence {
		if !slices.Contains(item.Evidence, e) {
			item.Evidence = append(item.Evidence, e)
		}
	}
}

// itemOutcome is what the verdicts of some requirements amount to.
type itemOutcome struct{ isPresent, hasFailed, isUndecided bool }

func (o *itemOutcome) add(r *v1alpha1.RequirementStatus) {
	o.isPresent = true
	switch {
	case isUndecided(r):
		o.isUndecided = true
	case !isGood(r.Verdict):
		o.hasFailed = true
	}
}

// isUndecided reports whether it is open if the cluster has what the requirement is about. Manifests without a status satisfy a
// requirement, but only a running component implements an item.
func isUndecided(r *v1alpha1.RequirementStatus) bool {
	return r.Verdict == v1alpha1.VerdictUnknown || isGood(r.Verdict) && r.Health == v1alpha1.HealthNotObserved
}

// describeRequirement describes the verdict of a requirement. A healthy component that satisfies one has no message.
func describeRequirement(r *v1alpha1.RequirementStatus) string {
	switch {
	case r.Waived != nil:
		return string(r.Verdict) + ", " + conformance.DescribeWaiver(r.Waived) + ": " + r.Message
	case !isGood(r.Verdict):
		return string(r.Verdict) + ": " + r.Message
	case r.Message != "":
		return r.Message
	}
	return strings.TrimSpace(r.Component+" "+r.Version) + inNamespace(r.Namespace) + " is " + string(r.Health)
}

// requirementEvidence returns the address of an attestation, or the objects that a verdict is based on.
func requirementEvidence(profile *v1alpha1.PlatformProfile, layer string, r *v1alpha1.RequirementStatus) []string {
	var evidence []string
	if a := findAttestation(profile, layer, r.Name); a != nil && a.URL != "" {
		evidence = append(evidence, text.Printable(a.URL))
	}
	for _, e := range r.Evidence {
		evidence = append(evidence, text.Printable(formatEvidence(e)))
	}
	return evidence
}

// findAttestation returns the attestation of a requirement; nil if it has none.
func findAttestation(profile *v1alpha1.PlatformProfile, layer, name string) *v1alpha1.Attestation {
	for i := range profile.Spec.Layers {
		if profile.Spec.Layers[i].Name != layer {
			continue
		}
		for j := range profile.Spec.Layers[i].Requirements {
			if r := &profile.Spec.Layers[i].Requirements[j]; r.Name == name {
				return r.Attestation
			}
		}
	}
	return nil
}
