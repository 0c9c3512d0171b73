package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
	"github.com/platformprofile/platformprofile/internal/diagnosis"
	"github.com/platformprofile/platformprofile/internal/podcases"
	"github.com/platformprofile/platformprofile/internal/text"
)

// Diagnoses is the output of diagnose. Its JSON fields are stable.
type Diagnoses struct {
	Diagnoses []v1alpha1.Diagnosis `json:"diagnoses"`
	// Unreadable lists what cannot be read.
	Unreadable []string `json:"unreadable,omitempty"`
	// Examined counts what was read, and Now is when.
	Examined podcases.Examined `json:"-"`
	Now      time.Time         `json:"-"`
}

// encodedDiagnosis is a Diagnosis in JSON. Symptoms that were once part of Error keep it, so that scripts which compare it go on working,
// and Reason has the symptom.
type encodedDiagnosis struct {
	v1alpha1.Diagnosis
	Reason string `json:"reason,omitempty"`
}

type encodedDiagnoses struct {
	Diagnoses  []encodedDiagnosis `json:"diagnoses"`
	Unreadable []string           `json:"unreadable,omitempty"`
}

// partsOfError are the symptoms that were once part of Error.
var partsOfError = []string{diagnosis.PodsNotCreated, diagnosis.JobFailed, diagnosis.CronJobNotScheduled, diagnosis.Refused}

// MarshalJSON implements json.Marshaler.
func (d Diagnoses) MarshalJSON() ([]byte, error) {
	encoded := encodedDiagnoses{Diagnoses: []encodedDiagnosis{}, Unreadable: d.Unreadable}
	for _, found := range d.Diagnoses {
		e := encodedDiagnosis{Diagnosis: found}
		if slices.Contains(partsOfError, found.Symptom) {
			e.Symptom, e.Reason = diagnosis.Error, found.Symptom
		}
		encoded.Diagnoses = append(encoded.Diagnoses, e)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // commands have < and &
	err := encoder.Encode(encoded)
	return out.Bytes(), err
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Diagnoses) UnmarshalJSON(data []byte) error {
	var encoded encodedDiagnoses
	if err := json.Unmarshal(data, &encoded); err != nil {
		return err
	}
	d.Diagnoses, d.Unreadable = []v1alpha1.Diagnosis{}, encoded.Unreadable
	for _, e := range encoded.Diagnoses {
		e.Symptom = cmp.Or(e.Reason, e.Symptom)
		d.Diagnoses = append(d.Diagnoses, e.Diagnosis)
	}
	return nil
}

// WriteText writes diagnoses as text. It groups the pods of a workload that have the same symptom, and the pods of all workloads that fail
// because of the same node.
func (d Diagnoses) WriteText(w io.Writer) error { return d.write(w, false) }

// WriteWide writes diagnoses as text, with the names of all pods.
func (d Diagnoses) WriteWide(w io.Writer) error { return d.write(w, true) }

func (d Diagnoses) write(w io.Writer, isWide bool) error {
	p := &lineWriter{w: w}
	groups := groupDiagnoses(d.Diagnoses)
	p.line("%s", d.summary(groups))
	for i := range groups {
		group := &groups[i]
		p.line("")
		p.line("%s", group.title())
		if group.Since != nil {
			p.line("  Since %s (%s ago)", group.Since.UTC().Format("2006-01-02 15:04:05 UTC"), duration.HumanDuration(d.Now.Sub(group.Since.Time)))
		}
		p.wrapped("  ", "  ", group.Meaning)
		if isWide && len(group.pods) > 1 {
			p.wrapped("  Pods: ", "    ", strings.Join(group.pods, " "))
		}
		for n, cause := range group.LikelyCauses {
			if n == 0 {
				p.line("  Likely causes:")
			}
			p.wrapped(fmt.Sprintf("    %d. ", n+1), "       ", cause)
		}
		for n, command := range group.Commands {
			if n == 0 {
				p.line("  Commands:")
			}
			p.line("    %s", command) // in one piece, to be copied
		}
	}
	for i, reason := range d.Unreadable {
		if i == 0 {
			p.line("")
		}
		p.wrapped("", "  ", reason)
	}
	return p.err
}

// wrapped writes a text in lines of at most 100 characters.
func (p *lineWriter) wrapped(first, next, text string) {
	const width = 100
	line, length := first, utf8.RuneCountInString(first)
	isEmpty := true
	for word := range strings.FieldsSeq(text) {
		size := utf8.RuneCountInString(word)
		if !isEmpty && length+1+size > width {
			p.line("%s", line)
			line, length, isEmpty = next, utf8.RuneCountInString(next), true
		}
		if !isEmpty {
			line, length = line+" ", length+1
		}
		line, length, isEmpty = line+word, length+size, false
	}
	p.line("%s", line)
}

// summary returns one line that says how much fails, of what symptoms, and what is common to all of it.
func (d Diagnoses) summary(groups []diagnosisGroup) string {
	if len(d.Diagnoses) == 0 {
		summary := "No failing pods or workloads found"
		if e := d.Examined; e != (podcases.Examined{}) {
			summary += fmt.Sprintf(" among %s and %s in %s",
				text.Count(e.Pods, "pod"), text.Count(e.Workloads, "workload"), text.Count(e.Namespaces, "namespace"))
		}
		return summary + "."
	}
	symptoms, pods := map[string]int{}, map[string]bool{}
	workloads, nodes := map[v1alpha1.WorkloadReference]bool{}, map[string]bool{}
	for _, one := range d.Diagnoses {
		symptoms[one.Symptom]++
		workloads[one.Workload], nodes[one.Node] = true, true
		if one.Pod != "" {
			pods[one.Workload.Namespace+"/"+one.Pod] = true
		}
	}
	names := slices.SortedFunc(maps.Keys(symptoms), func(a, b string) int {
		return cmp.Or(symptoms[b]-symptoms[a], slices.Index(diagnosis.Symptoms, a)-slices.Index(diagnosis.Symptoms, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", symptoms[name], name)
	}
	summary, verb := text.Count(len(workloads), "workload"), " fail: "
	if len(workloads) == 1 && len(pods) < 2 {
		verb = " fails: "
	}
	if len(pods) > 0 {
		summary = text.Count(len(pods), "pod") + " of " + summary
	}
	summary += verb + strings.Join(names, ", ") + "."
	switch node := groups[0].Node; {
	case len(nodes) == 1 && node != "" && len(d.Diagnoses) > 1:
		summary += " All of it is because of the node " + node + "."
	case len(groups) == 1 && len(pods) > 1:
		summary += " All have the same cause."
	}
	return summary
}

// diagnosisGroup is a diagnosis that several pods have in common.
type diagnosisGroup struct {
	v1alpha1.Diagnosis          // of the first of them
	pods               []string // their names
	workloads          []v1alpha1.WorkloadReference
}

// groupDiagnoses merges diagnoses that only differ in the pod, and those that have the same cause on the same node. It keeps their order.
func groupDiagnoses(diagnoses []v1alpha1.Diagnosis) []diagnosisGroup {
	type key struct {
		workload                       v1alpha1.WorkloadReference
		container, symptom, node, text string
	}
	var groups []diagnosisGroup
	index := map[key]int{}
	for _, d := range diagnoses {
		k := key{workload: d.Workload, container: d.Container, symptom: d.Symptom}
		if d.Node != "" && len(d.LikelyCauses) > 0 {
			k = key{symptom: d.Symptom, node: d.Node, text: d.LikelyCauses[0]}
		}
		n, exists := index[k]
		if !exists {
			n = len(groups)
			index[k] = n
			groups = append(groups, diagnosisGroup{Diagnosis: d})
		}
		group := &groups[n]
		if d.Pod != "" {
			group.pods = append(group.pods, d.Pod)
		}
		if !slices.Contains(group.workloads, d.Workload) {
			group.workloads = append(group.workloads, d.Workload)
		}
		if d.Since != nil && (group.Since == nil || d.Since.Before(group.Since)) {
			group.Since = d.Since
		}
	}
	return groups
}

// title returns the symptom and what has it.
func (g *diagnosisGroup) title() string {
	if len(g.workloads) > 1 {
		return fmt.Sprintf("%s  Node %s: %s of %s, such as %s/%s",
			g.Symptom, g.Node, text.Count(len(g.pods), "pod"), text.Count(len(g.workloads), "workload"), g.Workload.Namespace, g.Pod)
	}
	w := g.Workload
	return fmt.Sprintf("%s  %s %s/%s%s", g.Symptom, w.Kind, w.Namespace, w.Name, formatPod(g.Diagnosis, len(g.pods)))
}

// podDiagnoses returns the diagnoses of all components, most severe first. A workload of several components is included once.
func (d Discovery) podDiagnoses() []diagnosisGroup {
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
	return groupDiagnoses(diagnoses)
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
