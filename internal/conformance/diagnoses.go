package conformance

import (
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// maxDiagnoses bounds the diagnoses in the status.
const maxDiagnoses = 16

// diagnosisCollector collects the diagnoses of failing requirements, one for each workloadSymptom.
type diagnosisCollector struct {
	required, recommended []v1alpha1.Diagnosis
	isRequired            map[workloadSymptom]bool // for each collected symptom, whether it affects a Required requirement
	skipped               map[facts.Ref]bool       // workloads that are not diagnosed
}

// workloadSymptom identifies a diagnosis, whichever pods have it.
type workloadSymptom struct {
	workload           v1alpha1.WorkloadReference
	container, symptom string
}

// diagnoses returns the diagnoses of the installation that a failing verdict is about, worst first.
func (o requirementOutcome) diagnoses() []v1alpha1.Diagnosis {
	if o.installation == nil || isGood(o.verdict) {
		return nil
	}
	return o.installation.Diagnoses
}

// SymptomText returns a workload and its symptom, for example "Deployment shop/web: CrashLoop".
func SymptomText(d *v1alpha1.Diagnosis) string {
	workload := facts.Ref{Kind: d.Workload.Kind, Namespace: d.Workload.Namespace, Name: d.Workload.Name}
	return workload.String() + ": " + d.Symptom
}

// mentionsSymptom reports whether a message names any symptom of the workload of a diagnosis. Only the first symptom of a failure is
// published as an event.
func mentionsSymptom(message string, d *v1alpha1.Diagnosis) bool {
	candidate := *d
	for _, symptom := range diagnosis.Symptoms {
		if candidate.Symptom = symptom; strings.Contains(message, SymptomText(&candidate)) {
			return true
		}
	}
	return false
}

func leadingDiagnosis(all []v1alpha1.Diagnosis) *v1alpha1.Diagnosis {
	if len(all) == 0 {
		return nil
	}
	return &all[0]
}

func (d *diagnosisCollector) add(all []v1alpha1.Diagnosis, required bool) {
	for _, diagnosis := range all {
		key := workloadSymptom{diagnosis.Workload, diagnosis.Container, diagnosis.Symptom}
		if isRequired, isCollected := d.isRequired[key]; isCollected && (isRequired || !required) {
			continue
		}
		if d.isRequired == nil {
			d.isRequired = map[workloadSymptom]bool{}
		}
		d.isRequired[key] = required
		if required {
			d.required = append(d.required, diagnosis)
		} else {
			d.recommended = append(d.recommended, diagnosis)
		}
	}
}

// countSkipped counts the workloads behind a failing verdict that are not diagnosed because too many workloads are degraded.
func (d *diagnosisCollector) countSkipped(o requirementOutcome, s *inventory.Snapshot) {
	if o.installation == nil || isGood(o.verdict) {
		return
	}
	for _, ref := range s.UndiagnosedWorkloads(o.installation) {
		if d.skipped == nil {
			d.skipped = map[facts.Ref]bool{}
		}
		d.skipped[ref] = true
	}
}

// worst returns the worst few diagnoses, those of Required requirements first, and the number of omitted ones. A workload that is not
// diagnosed counts as one.
func (d *diagnosisCollector) worst() (worst []v1alpha1.Diagnosis, omitted int32) {
	diagnosis.Sort(d.required)
	diagnosis.Sort(d.recommended)
	all := slices.Clone(d.required)
	for _, diagnosis := range d.recommended {
		if !d.isRequired[workloadSymptom{diagnosis.Workload, diagnosis.Container, diagnosis.Symptom}] {
			all = append(all, diagnosis)
		}
	}
	worst = all[:min(maxDiagnoses, len(all))]
	for i := range worst {
		worst[i] = boundDiagnosis(worst[i])
	}
	return worst, int32(len(all) - len(worst) + len(d.skipped)) //nolint:gosec // bounded by the size of the inventory
}
