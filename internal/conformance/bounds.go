package conformance

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
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
		APIVersion: Bounded(e.APIVersion, group), Kind: Bounded(e.Kind, kind), Namespace: Bounded(e.Namespace, namespace), Name: Bounded(e.Name, name),
		Signal: Bounded(e.Signal, maxSignal),
	}
}

func boundDiagnosis(d v1alpha1.Diagnosis) v1alpha1.Diagnosis {
	const name = 253
	d.Workload.Namespace, d.Workload.Name, d.Workload.Kind = Bounded(d.Workload.Namespace, name), Bounded(d.Workload.Name, name), Bounded(d.Workload.Kind, name)
	d.Pod, d.Container, d.Meaning = Bounded(d.Pod, name), Bounded(d.Container, name), Bounded(d.Meaning, maxText)
	d.LikelyCauses, d.Commands = boundTexts(d.LikelyCauses, maxCauses), boundTexts(d.Commands, maxCommands)
	return d
}

func boundTexts(texts []string, most int) []string {
	if texts == nil {
		return nil
	}
	cut := make([]string, 0, min(most, len(texts)))
	for _, text := range texts[:min(most, len(texts))] {
		cut = append(cut, Bounded(text, maxText))
	}
	return cut
}

// Bounded makes a text that may come from the cluster fit for a status or an event: in one line, without what steers a
// terminal or turns the direction of writing, and cut so that its JSON takes at most so many bytes.
func Bounded(text string, limit int) string {
	if len(text) <= limit && plain(text) {
		return text
	}
	var b strings.Builder
	size, fits := 0, 0 // fits is where the text may be cut so that a sign of the cut has room
	for _, r := range text {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			r = ' '
		}
		size += encodedSize(r)
		if size > limit {
			return b.String()[:fits] + "…"
		}
		b.WriteRune(r)
		if size <= limit-len("…") {
			fits = b.Len()
		}
	}
	return b.String()
}

// plain tells whether a text takes in JSON what it takes by itself.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= utf8.RuneSelf || c == 0x7f || encodedSize(rune(c)) != 1 {
			return false
		}
	}
	return true
}

// encodedSize is how many bytes a character takes in the JSON that the API server stores.
func encodedSize(r rune) int {
	switch r {
	case '<', '>', '&':
		return len(`\u003c`)
	case '"', '\\':
		return len(`\"`)
	}
	return utf8.RuneLen(r)
}
