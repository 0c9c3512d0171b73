package inventory

import (
	"maps"
	"slices"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// SetDiagnoses sets the diagnoses of a degraded workload; empty for a workload that is no longer degraded.
//
// Diagnoses of the same pods with the same symptoms are not updated: a status with the growing number of restarts would be written
// continually.
func (i *Inventory) SetDiagnoses(workload facts.Ref, diagnoses []v1alpha1.Diagnosis) {
	i.update(func(t *changes) {
		isUnchanged := slices.EqualFunc(i.diagnoses[workload], diagnoses, func(a, b v1alpha1.Diagnosis) bool {
			return a.Workload == b.Workload && a.Pod == b.Pod && a.Container == b.Container && a.Symptom == b.Symptom
		})
		if isUnchanged {
			return
		}
		if len(diagnoses) == 0 {
			delete(i.diagnoses, workload)
		} else {
			i.diagnoses[workload] = diagnoses
		}
		for _, s := range i.sources {
			if r := s.records[workload]; r != nil {
				markMatches(t, r)
			}
		}
	})
}

// DiagnosedWorkloads returns the workloads that have diagnoses, unsorted.
func (i *Inventory) DiagnosedWorkloads() []facts.Ref {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Collect(maps.Keys(i.diagnoses))
}

// maxDiagnosedWorkloads limits the workloads that are diagnosed. A status has fewer diagnoses.
const maxDiagnosedWorkloads = 32

// DegradedWorkloads returns the degraded workloads of installed components that are diagnosed, sorted by component.
func (s *Snapshot) DegradedWorkloads() []facts.Ref {
	all := s.degradedWorkloads()
	return all[:min(len(all), maxDiagnosedWorkloads)]
}

// UndiagnosedWorkloads returns the degraded workloads of an installation that are not diagnosed, because there are too many.
func (s *Snapshot) UndiagnosedWorkloads(installation *Installation) []facts.Ref {
	if len(installation.DegradedWorkloads) == 0 {
		return nil
	}
	all := s.degradedWorkloads()
	if len(all) <= maxDiagnosedWorkloads {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(installation.DegradedWorkloads), func(ref facts.Ref) bool {
		return slices.Contains(all[:maxDiagnosedWorkloads], ref)
	})
}

func (s *Snapshot) findDegraded() []facts.Ref {
	var refs []facts.Ref
	isAdded := map[facts.Ref]bool{}
	for _, component := range s.filterComponents((*Component).isDegraded) {
		for n := range component.Installations {
			for _, ref := range component.Installations[n].DegradedWorkloads {
				if !isAdded[ref] {
					isAdded[ref] = true
					refs = append(refs, ref)
				}
			}
		}
	}
	return refs
}

// isDegraded reports whether an installation has degraded workloads.
func (c *Component) isDegraded() bool {
	return slices.ContainsFunc(c.Installations, func(i Installation) bool { return len(i.DegradedWorkloads) > 0 })
}
