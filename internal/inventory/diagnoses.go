package inventory

import (
	"slices"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/facts"
)

// SetDiagnoses takes in what is wrong with the pods of a degraded workload; nothing for one that is no longer degraded.
//
// What is told of the same pods with the same symptoms stays as it was told first: restarts are counted up, and a status
// that followed the count would be written for ever.
func (i *Inventory) SetDiagnoses(workload facts.Ref, found []v1alpha1.Diagnosis) {
	i.update(func(t *changes) {
		same := slices.EqualFunc(i.diagnoses[workload], found, func(a, b v1alpha1.Diagnosis) bool {
			return a.Workload == b.Workload && a.Pod == b.Pod && a.Container == b.Container && a.Symptom == b.Symptom
		})
		if same {
			return
		}
		if len(found) == 0 {
			delete(i.diagnoses, workload)
		} else {
			i.diagnoses[workload] = found
		}
		for _, s := range i.sources {
			if r := s.records[workload]; r != nil {
				markMatches(t, r)
			}
		}
	})
}

// DiagnosedWorkloads are the workloads that something is told of, in no order.
func (i *Inventory) DiagnosedWorkloads() []facts.Ref {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make([]facts.Ref, 0, len(i.diagnoses))
	for ref := range i.diagnoses {
		all = append(all, ref)
	}
	return all
}

// workloadsAtOnce bounds how many degraded workloads are diagnosed at once: a status shows fewer.
const workloadsAtOnce = 32

// DegradedWorkloads are the workloads of installed components that do not run as they should, sorted by component, and no more of
// them than are diagnosed at once.
func (s *Snapshot) DegradedWorkloads() []facts.Ref {
	all := s.degraded()
	return all[:min(len(all), workloadsAtOnce)]
}

// UndiagnosedWorkloads are those of the installation's degraded workloads that are not diagnosed, because too many are degraded.
func (s *Snapshot) UndiagnosedWorkloads(installation *Installation) []facts.Ref {
	if len(installation.DegradedWorkloads) == 0 {
		return nil
	}
	all := s.degraded()
	if len(all) <= workloadsAtOnce {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(installation.DegradedWorkloads), func(ref facts.Ref) bool {
		return slices.Contains(all[:workloadsAtOnce], ref)
	})
}

func (s *Snapshot) findDegraded() []facts.Ref {
	var all []facts.Ref
	seen := map[facts.Ref]bool{}
	for _, found := range s.filterComponents((*Component).isDegraded) {
		for n := range found.Installations {
			for _, ref := range found.Installations[n].DegradedWorkloads {
				if !seen[ref] {
					seen[ref] = true
					all = append(all, ref)
				}
			}
		}
	}
	return all
}

// isDegraded tells whether any workload of it does not run as it should.
func (c *Component) isDegraded() bool {
	return slices.ContainsFunc(c.Installations, func(i Installation) bool { return len(i.DegradedWorkloads) > 0 })
}
