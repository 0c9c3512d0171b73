package report

import (
	"fmt"
	"io"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// Diagnoses is the stable shape of diagnose -o json.
type Diagnoses struct {
	Diagnoses []v1alpha1.Diagnosis `json:"diagnoses"`
	// Unread says what could not be looked at; empty where all was.
	Unread []string `json:"unread,omitempty"`
}

// Text writes diagnoses for people. Pods of one workload that ail alike are told of once.
func (d Diagnoses) Text(w io.Writer) error {
	p := &page{w: w}
	// Messages come from the cluster, and must not steer the terminal.
	say := func(format string, args ...any) { p.line("%s", printable(fmt.Sprintf(format, args...))) }
	if len(d.Diagnoses) == 0 {
		say("Nothing is wrong with any pod that could be looked at.")
	}
	type ailment struct {
		workload           v1alpha1.WorkloadReference
		container, symptom string
	}
	alike := map[ailment]int{}
	for _, one := range d.Diagnoses {
		alike[ailment{one.Workload, one.Container, one.Symptom}]++
	}
	told := map[ailment]bool{}
	for _, one := range d.Diagnoses {
		key := ailment{one.Workload, one.Container, one.Symptom}
		if told[key] {
			continue
		}
		if len(told) > 0 {
			say("")
		}
		told[key] = true
		say("%s  %s %s/%s%s", one.Symptom, one.Workload.Kind, one.Workload.Namespace, one.Workload.Name, where(one, alike[key]))
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
	for _, reason := range d.Unread {
		say("%s", reason)
	}
	return p.err
}

// where names the pod and the container, unless the workload's name says it already.
func where(d v1alpha1.Diagnosis, alike int) string {
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
