package conformance

import (
	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/text"
)

const (
	// maxEvidence bounds what the status shows for one requirement, maxText each of its texts. With the number of
	// requirements that the schema allows, a status stays below half of what the API server stores.
	maxEvidence = 4
	maxText     = 512
	// Where a profile has more requirements than these, each is given less room.
	manyEvidence = 64
	manyTexts    = 128

	maxCondition = 2048
	maxSignal    = 256
	maxName      = 63 // of a namespace
	maxCommands  = 6
	maxCauses    = 4
)

// limits is what the status shows for each requirement.
type limits struct{ evidence, text int }

// limitsFor shares the status among so many requirements.
func limitsFor(requirements int) limits {
	r := limits{evidence: maxEvidence, text: maxText}
	for n := requirements; n > manyEvidence && r.evidence > 1; n -= manyEvidence {
		r.evidence--
	}
	if requirements > manyTexts {
		r.text /= 2
	}
	return r
}

// selectEvidence are the first few pieces of evidence, each with its texts cut: what a node or a file says may be of any length. Of what
// holds one object is enough.
func (r limits) selectEvidence(all []v1alpha1.Evidence, holds bool) []v1alpha1.Evidence {
	most := r.evidence
	if holds {
		most = 1
	}
	shown := all[:min(most, len(all))]
	if holds && len(shown) > 0 {
		first := shown[0]
		first.Signal = ""
		shown = []v1alpha1.Evidence{first}
	}
	for i := range shown {
		if cut := boundEvidence(shown[i]); cut != shown[i] {
			if &shown[0] == &all[0] {
				shown = append([]v1alpha1.Evidence(nil), shown...) // they are the inventory's
			}
			shown[i] = cut
		}
	}
	return shown
}

func boundEvidence(e v1alpha1.Evidence) v1alpha1.Evidence {
	const group, kind, namespace, name = 128, 63, 63, 253 // as long as the API server allows them
	return v1alpha1.Evidence{
		APIVersion: text.Bound(e.APIVersion, group), Kind: text.Bound(e.Kind, kind), Namespace: text.Bound(e.Namespace, namespace), Name: text.Bound(e.Name, name),
		Signal: text.Bound(e.Signal, maxSignal),
	}
}

func boundDiagnosis(d v1alpha1.Diagnosis) v1alpha1.Diagnosis {
	const name = 253
	d.Workload.Namespace, d.Workload.Name, d.Workload.Kind = text.Bound(d.Workload.Namespace, name), text.Bound(d.Workload.Name, name), text.Bound(d.Workload.Kind, name)
	d.Pod, d.Container, d.Meaning = text.Bound(d.Pod, name), text.Bound(d.Container, name), text.Bound(d.Meaning, maxText)
	d.LikelyCauses, d.Commands = boundTexts(d.LikelyCauses, maxCauses), boundTexts(d.Commands, maxCommands)
	return d
}

func boundTexts(texts []string, most int) []string {
	if texts == nil {
		return nil
	}
	cut := make([]string, 0, min(most, len(texts)))
	for _, s := range texts[:min(most, len(texts))] {
		cut = append(cut, text.Bound(s, maxText))
	}
	return cut
}
