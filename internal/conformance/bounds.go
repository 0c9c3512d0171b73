package conformance

import (
	"slices"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/text"
)

const (
	// maxEvidence bounds the evidence of one requirement in the status, and maxText bounds each text. With the number of requirements
	// that the schema allows, a status stays below half of the size that the API server accepts.
	maxEvidence = 4
	maxText     = 512
	// Profiles with more requirements than this get less evidence, or shorter texts, for each.
	manyEvidence = 64
	manyTexts    = 128

	maxCondition = 2048
	maxSignal    = 256
	maxName      = 63 // of a namespace
	maxBy        = 128
	maxURL       = 512
	maxCommands  = 6
	maxCauses    = 4
)

// limits bounds the status of one requirement.
type limits struct{ evidence, text int }

// limitsFor returns the limits of each requirement in a profile with this many.
func limitsFor(requirements int) limits {
	l := limits{evidence: maxEvidence, text: maxText}
	for n := requirements; n > manyEvidence && l.evidence > 1; n -= manyEvidence {
		l.evidence--
	}
	if requirements > manyTexts {
		l.text /= 2
	}
	return l
}

// selectEvidence returns the first few pieces of evidence with bounded texts, because texts from nodes and files can have any length.
// A satisfied requirement needs only one object.
func (l limits) selectEvidence(all []v1alpha1.Evidence, isSatisfied bool) []v1alpha1.Evidence {
	limit := l.evidence
	if isSatisfied {
		limit = 1
	}
	selected := all[:min(limit, len(all))]
	if isSatisfied && len(selected) > 0 {
		first := selected[0]
		first.Signal = ""
		selected = []v1alpha1.Evidence{first}
	}
	for i := range selected {
		if bounded := boundEvidence(selected[i]); bounded != selected[i] {
			if &selected[0] == &all[0] {
				selected = slices.Clone(selected) // the inventory owns the original
			}
			selected[i] = bounded
		}
	}
	return selected
}

func boundEvidence(e v1alpha1.Evidence) v1alpha1.Evidence {
	const group, kind, namespace, name = 128, 63, 63, 253 // the limits of the API server
	return v1alpha1.Evidence{
		APIVersion: text.Bound(e.APIVersion, group), Kind: text.Bound(e.Kind, kind), Namespace: text.Bound(e.Namespace, namespace),
		Name: text.Bound(e.Name, name), Signal: text.Bound(e.Signal, maxSignal),
	}
}

func boundDiagnosis(d v1alpha1.Diagnosis) v1alpha1.Diagnosis {
	const name = 253
	w := &d.Workload
	w.Namespace, w.Name, w.Kind = text.Bound(w.Namespace, name), text.Bound(w.Name, name), text.Bound(w.Kind, name)
	d.Pod, d.Container, d.Meaning = text.Bound(d.Pod, name), text.Bound(d.Container, name), text.Bound(d.Meaning, maxText)
	d.LikelyCauses, d.Commands = boundTexts(d.LikelyCauses, maxCauses), boundTexts(d.Commands, maxCommands)
	return d
}

func boundTexts(texts []string, limit int) []string {
	if texts == nil {
		return nil
	}
	bounded := make([]string, 0, min(limit, len(texts)))
	for _, s := range texts[:min(limit, len(texts))] {
		bounded = append(bounded, text.Bound(s, maxText))
	}
	return bounded
}
