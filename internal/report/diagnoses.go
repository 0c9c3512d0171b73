package report

import (
	"fmt"
	"io"
	"maps"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/text"
)

// Diagnoses is the stable shape of diagnose -o json.
type Diagnoses struct {
	Diagnoses []v1alpha1.Diagnosis `json:"diagnoses"`
	// Unreadable says what could not be looked at; empty where all was.
	Unreadable []string `json:"unread,omitempty"`
}

// WriteText writes diagnoses for people. Pods of one workload that ail alike are told of once.
func (d Diagnoses) WriteText(w io.Writer) error {
	p := &lineWriter{w: w}
	// Messages come from the cluster, and must not steer the terminal.
	say := func(format string, args ...any) { p.line("%s", text.Printable(fmt.Sprintf(format, args...))) }
	if len(d.Diagnoses) == 0 {
		say("Nothing is wrong with any pod that could be looked at.")
	}
	for i, one := range groupByWorkload(d.Diagnoses) {
		if i > 0 {
			say("")
		}
		say("%s  %s %s/%s%s", one.Symptom, one.Workload.Kind, one.Workload.Namespace, one.Workload.Name, formatPod(one.Diagnosis, one.pods))
		say("  %s", one.Meaning)
		for n, cause := range one.LikelyCauses {
			if n == 0 {
				say("  Likely causes:")
			}
			say("    %d. %s", n+1, cause)
		}
		for n, command := range one.Commands {
			if n == 0 {
				say("  See it:")
			}
			say("    %s", command)
		}
	}
	for _, reason := range d.Unreadable {
		say("%s", reason)
	}
	return p.err
}

// podDiagnoses is a diagnosis that pods of one workload share.
type podDiagnoses struct {
	v1alpha1.Diagnosis // of the first of them
	pods               int
}

// groupByWorkload puts diagnoses together that differ in the pod only, in the order in which they come.
func groupByWorkload(diagnoses []v1alpha1.Diagnosis) []podDiagnoses {
	type key struct {
		workload           v1alpha1.WorkloadReference
		container, symptom string
	}
	var all []podDiagnoses
	at := map[key]int{}
	for _, one := range diagnoses {
		k := key{one.Workload, one.Container, one.Symptom}
		if n, told := at[k]; told {
			all[n].pods++
			continue
		}
		at[k] = len(all)
		all = append(all, podDiagnoses{one, 1})
	}
	return all
}

// podDiagnoses are what is wrong with pods of what was discovered, the worst first. A workload that proves two components is
// told of once.
func (d Discovery) podDiagnoses() []podDiagnoses {
	var all []v1alpha1.Diagnosis
	seen := map[v1alpha1.WorkloadReference]bool{}
	for _, c := range d.Components {
		for i := range c.Installations {
			mine := map[v1alpha1.WorkloadReference]bool{}
			for _, one := range c.Installations[i].Diagnoses {
				if !seen[one.Workload] {
					mine[one.Workload] = true
					all = append(all, one)
				}
			}
			maps.Copy(seen, mine)
		}
	}
	diagnosis.Sort(all)
	return groupByWorkload(all)
}

// formatPod names the pod and the container, unless the workload's name says it already.
func formatPod(d v1alpha1.Diagnosis, alike int) string {
	text := ""
	if d.Pod != "" && d.Workload.Kind != "Pod" {
		text += ", pod " + d.Pod
		if alike > 1 {
			text += fmt.Sprintf(" and %d more", alike-1)
		}
	}
	if d.Container != "" {
		text += ", container " + d.Container
	}
	return text
}
