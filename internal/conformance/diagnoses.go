package conformance

import (
	"slices"
	"strings"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/facts"
	"github.com/platformprofile/platformprofile/internal/inventory"
)

// maxDiagnoses bounds what the status shows of what is wrong with pods.
const maxDiagnoses = 16

// diagnosisCollector are what is wrong with the pods of what does not hold, each thing once, however many pods or requirements it
// is the same for.
type diagnosisCollector struct {
	required, recommended []v1alpha1.Diagnosis
	told                  map[workloadSymptom]bool // and whether for something that is Required
	passedOver            map[facts.Ref]bool
}

// workloadSymptom is what tells one diagnosis from another, whatever the pod.
type workloadSymptom struct {
	workload           v1alpha1.WorkloadReference
	container, symptom string
}

// diagnoses are those of the installation that a verdict is about, the worst first; none where it holds.
func (o requirementOutcome) diagnoses() []v1alpha1.Diagnosis {
	if o.installation == nil || isGood(o.verdict) {
		return nil
	}
	return o.installation.Diagnoses
}

// SymptomText names a workload and the symptom that it has, for instance "Deployment shop/web: CrashLoop".
func SymptomText(d *v1alpha1.Diagnosis) string {
	of := facts.Ref{Kind: d.Workload.Kind, Namespace: d.Workload.Namespace, Name: d.Workload.Name}
	return of.String() + ": " + d.Symptom
}

// mentionsSymptom tells whether a requirement's message says already what is wrong with the pods of a workload, be it another thing:
// the first that is found is news, and what it turns into stands in the status.
func mentionsSymptom(message string, d *v1alpha1.Diagnosis) bool {
	other := *d
	for _, symptom := range diagnosis.Symptoms {
		if other.Symptom = symptom; strings.Contains(message, SymptomText(&other)) {
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
	for _, one := range all {
		key := workloadSymptom{one.Workload, one.Container, one.Symptom}
		if already, told := d.told[key]; told && (already || !required) {
			continue
		}
		if d.told == nil {
			d.told = map[workloadSymptom]bool{}
		}
		d.told[key] = required
		if required {
			d.required = append(d.required, one)
		} else {
			d.recommended = append(d.recommended, one)
		}
	}
}

// countSkipped counts the workloads behind a verdict that does not hold whose pods nobody looks at, because too many workloads
// are degraded.
func (d *diagnosisCollector) countSkipped(o requirementOutcome, s *inventory.Snapshot) {
	if o.installation == nil || isGood(o.verdict) {
		return
	}
	for _, ref := range s.UndiagnosedWorkloads(o.installation) {
		if d.passedOver == nil {
			d.passedOver = map[facts.Ref]bool{}
		}
		d.passedOver[ref] = true
	}
}

// worst are the worst few, and how many more there are, one for each workload that nobody looked at. What is Required comes first, whatever ails the rest.
func (d *diagnosisCollector) worst() ([]v1alpha1.Diagnosis, int32) {
	diagnosis.Sort(d.required)
	diagnosis.Sort(d.recommended)
	shown := slices.Clone(d.required)
	for _, one := range d.recommended {
		if !d.told[workloadSymptom{one.Workload, one.Container, one.Symptom}] {
			shown = append(shown, one)
		}
	}
	shown, rest := shown[:min(maxDiagnoses, len(shown))], shown[min(maxDiagnoses, len(shown)):]
	for i := range shown {
		shown[i] = boundDiagnosis(shown[i])
	}
	return shown, int32(len(rest) + len(d.passedOver)) //nolint:gosec // it is bounded by what an inventory holds
}
