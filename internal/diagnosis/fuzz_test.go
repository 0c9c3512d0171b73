package diagnosis

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// expanded matches what a shell interprets outside of quotes, except the pipes that the commands contain.
var (
	quotedWords = regexp.MustCompile(`'[^']*'`)
	expanded    = regexp.MustCompile("[;&$`<>()!*?#~\\\\\"\n\r\x00'{}\\[\\]]")
)

// FuzzPod diagnoses arbitrary pods, events, nodes and claims. Each diagnosis has a known symptom, bounded valid texts, and commands that
// are safe to copy.
func FuzzPod(f *testing.F) {
	add := func(c Case) {
		data, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	waiting := func(reason, message string) func(*corev1.ContainerStatus) {
		return func(s *corev1.ContainerStatus) {
			s.Ready, s.State = false, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
		}
	}
	add(Case{Pod: pod()})
	add(Case{Pod: pod(status(waiting("CrashLoopBackOff", "back-off")), func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1, Message: "\x1b[31m"}
	})})
	add(Case{
		Pod:    pod(status(waiting("ImagePullBackOff", "manifest unknown"))),
		Events: []corev1.Event{{Reason: "Failed", Message: "Failed to pull image"}},
	})
	add(Case{Pod: pod(status(waiting("CreateContainerConfigError", `configmap "x; rm -rf /" not found`)))})
	add(Case{Pod: pod(func(p *corev1.Pod) {
		p.Name, p.Namespace, p.Status.Phase, p.Status.Reason = "$(x)", "a;b", corev1.PodFailed, "Evicted"
	})})
	add(Case{Pod: pod(func(p *corev1.Pod) {
		p.Status.Phase, p.Status.Conditions = corev1.PodPending, []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "unbound immediate PersistentVolumeClaims"},
		}
	}), Claims: []Claim{{Name: "`x`", Claim: &corev1.PersistentVolumeClaim{}}}})
	add(Case{
		Pod:        pod(func(p *corev1.Pod) { at := ago(0); p.DeletionTimestamp = &at; p.Finalizers = []string{"a/b"} }),
		IsNodeGone: true,
		Job:        &batchv1.Job{},
	})
	for _, group := range causeGroups() {
		for _, c := range group.Causes {
			message := strings.NewReplacer("example", "$(reboot)", "n1", "a;b").Replace(c.Example)
			add(Case{Pod: pod(creating), Events: []corev1.Event{event(group.From[0], message)}})
			add(Case{Pod: pod(pending(message)), Events: []corev1.Event{event(group.From[0], message)}})
			add(Case{Pod: pod(failedPhase(group.From[0], message))})
			add(Case{Pod: pod(status(waiting(group.From[0], message)))})
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := Case{}
		if json.Unmarshal(data, &c) != nil || c.Pod == nil {
			return
		}
		for _, d := range Diagnose(c, now) {
			if !slices.Contains(Symptoms, d.Symptom) || d.Meaning == "" {
				t.Fatalf("no known symptom, or no meaning: %+v", d)
			}
			for _, text := range append([]string{d.Meaning}, d.LikelyCauses...) {
				const maxSize = 2048 // without the names, which files may contain in any length
				if !utf8.ValidString(text) || len(text) > maxSize+3*len(data) {
					t.Fatalf("%d bytes, or invalid UTF-8: %q", len(text), text)
				}
			}
			for _, command := range d.Commands {
				if found := expanded.FindString(quotedWords.ReplaceAllString(command, "")); found != "" {
					t.Fatalf("a shell interprets %q in %q", found, command)
				}
			}
		}
	})
}
