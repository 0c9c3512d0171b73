package report

import (
	"fmt"
	"io"
	"maps"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
)

// Diagnoses is the output of diagnose. Its JSON fields are stable.
type Diagnoses struct {
	Diagnoses []v1alpha1.Diagnosis `json:"diagnoses"`
	// Unreadable lists what cannot be read.
	Unreadable []string `json:"unreadable,omitempty"`
}

// WriteText writes diagnoses as text. It groups the pods of a workload that have the same symptom.
func (d Diagnoses) WriteText(w io.Writer) error {
	p := &lineWriter{w: w}
	if len(d.Diagnoses) == 0 {
		p.line("No failing pods found.")
	}
	for i, group := range groupByWorkload(d.Diagnoses) {
		if i > 0 {
			p.line("")
		}
		workload := group.Workload
		p.line("%s  %s %s/%s%s", group.Symptom, workload.Kind, workload.Namespace, workload.Name, formatPod(group.Diagnosis, group.pods))
		p.line("  %s", group.Meaning)
		for n, cause := range group.LikelyCauses {
			if n == 0 {
				p.line("  Likely causes:")
			}
			p.line("    %d. %s", n+1, cause)
		}
		for n, command := range group.Commands {
			if n == 0 {
				p.line("  Commands:")
			}
			p.line("    %s", command)
		}
	}
	for _, reason := range d.Unreadable {
		p.line("%s", reason)
	}
	return p.err
}

// podDiagnoses is a diagnosis that several pods of a workload have in common.
type podDiagnoses struct {
	v1alpha1.Diagnosis // of the first of them
	pods               int
}

// groupByWorkload merges diagnoses that only differ in the pod. It keeps their order.
func groupByWorkload(diagnoses []v1alpha1.Diagnosis) []podDiagnoses {
	type key struct {
		workload           v1alpha1.WorkloadReference
		container, symptom string
	}
	var groups []podDiagnoses
	index := map[key]int{}
	for _, d := range diagnoses {
		k := key{d.Workload, d.Container, d.Symptom}
		if n, exists := index[k]; exists {
			groups[n].pods++
			continue
		}
		index[k] = len(groups)
		groups = append(groups, podDiagnoses{d, 1})
	}
	return groups
}

// podDiagnoses returns the diagnoses of all components, most severe first. A workload of several components is included once.
func (d Discovery) podDiagnoses() []podDiagnoses {
	var diagnoses []v1alpha1.Diagnosis
	isIncluded := map[v1alpha1.WorkloadReference]bool{}
	for _, c := range d.Components {
		for i := range c.Installations {
			added := map[v1alpha1.WorkloadReference]bool{}
			for _, diagnosed := range c.Installations[i].Diagnoses {
				if !isIncluded[diagnosed.Workload] {
					added[diagnosed.Workload] = true
					diagnoses = append(diagnoses, diagnosed)
				}
			}
			maps.Copy(isIncluded, added)
		}
	}
	diagnosis.Sort(diagnoses)
	return groupByWorkload(diagnoses)
}

// formatPod returns the pod, how many more there are, and the container.
func formatPod(d v1alpha1.Diagnosis, podCount int) string {
	text := ""
	if d.Pod != "" && d.Workload.Kind != "Pod" {
		text += ", pod " + d.Pod
		if podCount > 1 {
			text += fmt.Sprintf(" and %d more", podCount-1)
		}
	}
	if d.Container != "" {
		text += ", container " + d.Container
	}
	return text
}
