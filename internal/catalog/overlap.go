package catalog

import (
	"fmt"
	"slices"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// Overlap is a signal that is a proof in two definitions, so that one object proves both components.
type Overlap struct {
	First, Second string
	Signal        string
}

// String returns the problem and how to fix it.
func (o Overlap) String() string {
	return fmt.Sprintf("%s is a proof of both %s and %s: remove it from one of the definitions, or narrow it by labels, names or kinds",
		o.Signal, o.First, o.Second)
}

// FindOverlaps returns the overlaps of components, in the order of the components. A component may share proofs with those that it bundles.
func FindOverlaps(components ...*Component) []Overlap {
	var overlaps []Overlap
	for i, first := range components {
		for _, second := range components[i+1:] {
			if first.Name == second.Name || slices.Contains(first.Bundles, second.Name) || slices.Contains(second.Bundles, first.Name) {
				continue
			}
			for _, signal := range findSharedProofs(first, second) {
				overlaps = append(overlaps, Overlap{first.Name, second.Name, signal})
			}
		}
	}
	return overlaps
}

func findSharedProofs(first, second *Component) []string {
	var shared []string
	for _, a := range first.names {
		for _, b := range second.names {
			if a.kind == b.kind && a.name == b.name && (a.role == v1alpha1.RoleProof || b.role == v1alpha1.RoleProof) {
				shared = append(shared, string(a.kind)+" "+a.name)
			}
		}
	}
	for _, a := range first.workloads {
		for _, b := range second.workloads {
			if a.role == v1alpha1.RoleProof && b.role == v1alpha1.RoleProof {
				if signal, ok := findOverlap(a, b); ok {
					shared = append(shared, signal)
				}
			}
		}
	}
	return shared
}

// findOverlap returns the image or label that two signals share, if every workload that matches the narrower signal also matches the wider
// one. Signals with different labels do not overlap in practice.
func findOverlap(a, b *workloadSignal) (string, bool) {
	if !slices.ContainsFunc(a.kinds, func(kind v1alpha1.WorkloadKind) bool { return slices.Contains(b.kinds, kind) }) {
		return "", false
	}
	if !isNarrower(a, b) && !isNarrower(b, a) {
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

// isNarrower reports whether the fields of a signal, except its images, imply those of another one.
func isNarrower(narrow, wide *workloadSignal) bool {
	for _, l := range wide.labels {
		if !slices.ContainsFunc(narrow.labels, func(m label) bool { return m.key == l.key && (l.value == "*" || l.value == m.value) }) {
			return false
		}
	}
	return implies(narrow.names, wide.names) && implies(narrow.containers, wide.containers) &&
		isSubset(wide.arguments, narrow.arguments) && isSubset(wide.env, narrow.env)
}

// implies reports whether one of several names is always one of others; none allows any name.
func implies(names, others []string) bool {
	return len(others) == 0 || len(names) > 0 && isSubset(names, others)
}

func isSubset(part, whole []string) bool {
	return !slices.ContainsFunc(part, func(text string) bool { return !slices.Contains(whole, text) })
}
