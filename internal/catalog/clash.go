package catalog

import (
	"fmt"
	"slices"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// Overlap says that two definitions claim the same signal as a proof, so that one object would prove both.
type Overlap struct {
	First, Second string
	Signal        string
}

// String says what is wrong, and what to do.
func (c Overlap) String() string {
	return fmt.Sprintf("%s and %s both take %s for a proof: leave it to the one that it belongs to alone, or narrow it by labels, names or kinds", c.First, c.Second, c.Signal)
}

// FindOverlaps finds the signals that more than one of the definitions claims as a proof, sorted by component. One definition
// that bundles the other may share a proof with it.
func FindOverlaps(components ...*Component) []Overlap {
	var found []Overlap
	for i, one := range components {
		for _, other := range components[i+1:] {
			if one.Name == other.Name || slices.Contains(one.Bundles, other.Name) || slices.Contains(other.Bundles, one.Name) {
				continue
			}
			for _, signal := range sharedProofs(one, other) {
				found = append(found, Overlap{one.Name, other.Name, signal})
			}
		}
	}
	return found
}

func sharedProofs(one, other *Component) []string {
	var shared []string
	for _, a := range one.names {
		for _, b := range other.names {
			if a.kind == b.kind && a.name == b.name && (a.role == v1alpha1.RoleProof || b.role == v1alpha1.RoleProof) {
				shared = append(shared, string(a.kind)+" "+a.name)
			}
		}
	}
	for _, a := range one.workloads {
		for _, b := range other.workloads {
			if a.role == v1alpha1.RoleProof && b.role == v1alpha1.RoleProof {
				if signal, ok := overlapOf(a, b); ok {
					shared = append(shared, signal)
				}
			}
		}
	}
	return shared
}

// overlapOf tells whether every workload of the shared image, or of the shared labels, that matches the narrower signal
// matches the wider one too. Labels of their own on both sides keep two signals apart in practice.
func overlapOf(a, b *workloadSignal) (string, bool) {
	if !slices.ContainsFunc(a.kinds, func(kind v1alpha1.WorkloadKind) bool { return slices.Contains(b.kinds, kind) }) {
		return "", false
	}
	if !isWithin(a, b) && !isWithin(b, a) {
		return "", false
	}
	for _, image := range a.images {
		if slices.Contains(b.images, image) {
			return "the image " + image, true
		}
	}
	if len(a.images) == 0 && len(b.images) == 0 && len(a.labels) > 0 {
		return "the label " + a.labels[0].key + "=" + a.labels[0].value, true
	}
	return "", false
}

// isWithin tells whether the labels and names of one signal ask for all that those of the other do.
func isWithin(narrow, wide *workloadSignal) bool {
	for _, l := range wide.labels {
		if !slices.ContainsFunc(narrow.labels, func(m label) bool { return m.key == l.key && (l.value == "*" || l.value == m.value) }) {
			return false
		}
	}
	if len(wide.names) == 0 {
		return true
	}
	return len(narrow.names) > 0 && !slices.ContainsFunc(narrow.names, func(name string) bool { return !slices.Contains(wide.names, name) })
}
