package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// backOffReset is how long a container must run until the kubelet forgets its failures, and this package with it.
	backOffReset = 10 * time.Minute
	// minRecovery is the least that a container must run, beyond twice its last run, to count as recovered.
	minRecovery = 30 * time.Second
	// probeSlack is granted to a probe beyond its own settings.
	probeSlack = 10 * time.Second
)

// diagnoseContainers looks for symptoms of single containers, init containers first: nothing else runs before they are done.
func (d *diagnoser) diagnoseContainers() []finding {
	var found []finding
	for i := range d.Pod.Status.InitContainerStatuses {
		status := &d.Pod.Status.InitContainerStatuses[i]
		f, ok := d.diagnoseContainer(status)
		if !ok {
			continue
		}
		switch f.symptom {
		case CrashLoop, Error, OOMKilled, CompletedUnexpectedly, LivenessRestarts, NotReady:
			if !d.isSidecar(status.Name) {
				if f.symptom == NotReady || f.symptom == CompletedUnexpectedly {
					continue // it runs for as long as it needs, and ends
				}
				f = d.newInitFailed(status)
			}
		}
		found = append(found, f)
	}
	if len(found) > 0 {
		return found
	}
	for i := range d.Pod.Status.ContainerStatuses {
		if f, ok := d.diagnoseContainer(&d.Pod.Status.ContainerStatuses[i]); ok {
			found = append(found, f)
		}
	}
	return found
}

// isSidecar tells whether an init container is one that goes on running.
func (d *diagnoser) isSidecar(name string) bool {
	for i := range d.Pod.Spec.InitContainers {
		if c := &d.Pod.Spec.InitContainers[i]; c.Name == name {
			return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return false
}

func (d *diagnoser) specOf(name string) *corev1.Container {
	for _, containers := range [][]corev1.Container{d.Pod.Spec.Containers, d.Pod.Spec.InitContainers} {
		for i := range containers {
			if containers[i].Name == name {
				return &containers[i]
			}
		}
	}
	return &corev1.Container{Name: name}
}

// diagnoseContainer looks at one container.
func (d *diagnoser) diagnoseContainer(status *corev1.ContainerStatus) (finding, bool) {
	if waiting := status.State.Waiting; waiting != nil {
		switch waiting.Reason {
		case "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed", "ErrImageUnpack":
			return d.newImagePullFailed(status), true
		case "CreateContainerConfigError":
			return d.newConfigMissing(status, waiting.Message), true
		case "CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError":
			return d.newCreateFailed(status, waiting.Reason, waiting.Message), true
		}
	}
	ended, looping := d.findRestartLoop(status)
	if looping {
		return d.newEnded(status, ended), true
	}
	if f, ok := d.findNotReady(status); ok {
		return f, true
	}
	return finding{}, false
}

// findRestartLoop tells whether a container keeps ending, and how it ended last. It is seen waiting, terminated and running in turns
// while it does: as long as it runs no longer than twice its last run, it has not recovered.
func (d *diagnoser) findRestartLoop(status *corev1.ContainerStatus) (*corev1.ContainerStateTerminated, bool) {
	last := status.LastTerminationState.Terminated
	switch {
	case status.State.Waiting != nil && status.State.Waiting.Reason == "CrashLoopBackOff":
		if last == nil {
			last = &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: -1}
		}
		return last, true
	case status.State.Terminated != nil:
		if d.hasEndedForGood(status) {
			// Others may still run beside it. That it ended with a failure is a symptom, that it is done is none.
			return status.State.Terminated, status.State.Terminated.ExitCode != 0
		}
		if d.isInit(status.Name) && !d.isSidecar(status.Name) && status.State.Terminated.ExitCode == 0 {
			return nil, false
		}
		return status.State.Terminated, true
	case last == nil || status.RestartCount == 0:
		return nil, false
	case status.State.Running == nil:
		return last, d.now.Sub(last.FinishedAt.Time) < backOffReset
	}
	ran := last.FinishedAt.Sub(last.StartedAt.Time)
	runs := d.now.Sub(status.State.Running.StartedAt.Time)
	return last, runs < min(backOffReset, max(minRecovery, 2*ran))
}

// hasEndedForGood tells whether a container has ended and nothing starts it again.
func (d *diagnoser) hasEndedForGood(status *corev1.ContainerStatus) bool {
	if status.State.Terminated == nil {
		return false
	}
	policy := corev1.ContainerRestartPolicy(d.Pod.Spec.RestartPolicy)
	if own := d.specOf(status.Name).RestartPolicy; own != nil {
		policy = *own
	}
	switch policy {
	case corev1.ContainerRestartPolicyNever:
		return true
	case corev1.ContainerRestartPolicyOnFailure:
		return status.State.Terminated.ExitCode == 0
	}
	return false
}

func (d *diagnoser) isInit(name string) bool {
	return slices.ContainsFunc(d.Pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == name })
}

// newEnded says what it means that a container ended as it did.
func (d *diagnoser) newEnded(status *corev1.ContainerStatus, ended *corev1.ContainerStateTerminated) finding {
	f := finding{container: status.Name, usePreviousLogs: !d.hasEndedForGood(status) && d.Pod.Status.Phase != corev1.PodFailed}
	if !f.usePreviousLogs {
		f.commands = []string{fmt.Sprintf("kubectl -n %s logs %s -c %s --tail=50", d.Pod.Namespace, d.Pod.Name, status.Name)}
	}
	spec := d.specOf(status.Name)
	killed := d.findProbeFailure(status.Name)
	switch {
	case ended.Reason == "OOMKilled":
		f.symptom = OOMKilled
		limit := spec.Resources.Limits.Memory()
		if limit.IsZero() {
			f.meaning = fmt.Sprintf("The kernel killed a process of the container %s because memory ran out. It has no limit of its own, so it was the node's.", status.Name)
			f.causes = []string{"the node ran out of memory: set requests so that the scheduler knows what it needs", "the program leaks memory"}
		} else {
			f.meaning = fmt.Sprintf("The kernel killed a process of the container %s because it used more memory than its limit of %s.", status.Name, limit.String())
			f.causes = []string{"the limit of " + limit.String() + " is too low for its work", "the program leaks memory, or its heap is sized without regard to the limit"}
		}
		if f.usePreviousLogs {
			f.commands = []string{fmt.Sprintf("kubectl -n %s top pod %s --containers", d.Pod.Namespace, d.Pod.Name)}
		}
	case ended.Reason == "StartError" || ended.Reason == "ContainerCannotRun":
		return d.newCreateFailed(status, ended.Reason, ended.Message)
	case killed != nil:
		f.symptom = LivenessRestarts
		f.meaning = fmt.Sprintf("The kubelet restarted the container %s %d times because its %s failed.", status.Name, status.RestartCount, killed.kind)
		f.causes = []string{"the probe says: " + shorten(killed.message), "the program hangs, or answers later than timeoutSeconds allows", "the probe begins before the program is up: give it a startupProbe"}
	case ended.ExitCode == 0:
		f.symptom = CompletedUnexpectedly
		f.meaning = fmt.Sprintf("The container %s ends with success again and again, where it should run for as long as the pod is there.", status.Name)
		f.causes = []string{"its command does its work and ends: it belongs into a Job, or needs a command that stays", "a shell was started without anything to do"}
	case d.hasEndedForGood(status) || d.Pod.Status.Phase == corev1.PodFailed:
		f.symptom = Error
		f.meaning = fmt.Sprintf("The container %s ended with %s, and nothing starts it again.", status.Name, formatExit(ended))
		f.causes = exitCauses(ended)
	default:
		f.symptom = CrashLoop
		f.meaning = fmt.Sprintf("The container %s ends soon after its start, with %s; it was restarted %d times, ever later.", status.Name, formatExit(ended), status.RestartCount)
		f.causes = exitCauses(ended)
	}
	return f
}

func formatExit(ended *corev1.ContainerStateTerminated) string {
	switch {
	case ended.Signal != 0:
		return fmt.Sprintf("the signal %d", ended.Signal)
	case ended.ExitCode < 0:
		return "an exit code that nobody recorded"
	}
	return fmt.Sprintf("exit code %d", ended.ExitCode)
}

// exitCauses say what an exit code usually means, after what the container itself left as its last words.
func exitCauses(ended *corev1.ContainerStateTerminated) []string {
	var causes []string
	if message := shorten(ended.Message); message != "" {
		causes = append(causes, "its last words: "+message)
	}
	switch ended.ExitCode {
	case 1, 2:
		causes = append(causes, "the program gives up at its start: a wrong flag or setting, or something that it needs does not answer; its log says which")
	case 126:
		causes = append(causes, "the command is there and may not be executed")
	case 127:
		causes = append(causes, "the command, or a program that it calls, is not in the image")
	case 134, 139:
		causes = append(causes, "the program crashed (abort or segmentation fault): a defect, or an image for another processor")
	case 137:
		causes = append(causes, "it was killed (SIGKILL): memory that ran out in a child process, or a kill after its grace period")
	case 143:
		causes = append(causes, "it was asked to end (SIGTERM), for instance by a probe or by somebody")
	case 255:
		causes = append(causes, "the program gives up, or its image is built for another processor")
	default:
		causes = append(causes, "the program says why in its log")
	}
	return causes
}

// probeFailure is a probe whose failure had a container restarted.
type probeFailure struct{ kind, message string }

// findProbeFailure tells whether the kubelet ended the container because a liveness or startup probe failed.
func (d *diagnoser) findProbeFailure(container string) *probeFailure {
	var found *probeFailure
	var from *corev1.Event
	for i := range d.Events {
		event := &d.Events[i]
		if !isAbout(event, container) || d.now.Sub(lastObserved(event)) > time.Hour {
			continue
		}
		for _, probe := range []string{"liveness probe", "startup probe"} {
			failed := strings.Contains(strings.ToLower(event.Message), probe)
			if !failed || event.Reason != "Killing" && event.Reason != "Unhealthy" {
				continue
			}
			// What the probe said tells more than that the container is to be restarted, and what it said most often tells
			// more than the refused connections of each start.
			if from == nil || isMoreSpecific(event, from) {
				found, from = &probeFailure{probe, event.Message}, event
			}
		}
	}
	if found == nil {
		return nil
	}
	if spec := d.specOf(container); spec.LivenessProbe == nil && spec.StartupProbe == nil {
		return nil
	}
	return found
}

func isMoreSpecific(a, b *corev1.Event) bool {
	if said, other := a.Reason == "Unhealthy", b.Reason == "Unhealthy"; said != other {
		return said
	}
	if a, b := countOf(a), countOf(b); a != b {
		return a > b
	}
	return lastObserved(a).After(lastObserved(b))
}

// countOf is how often an event happened; its fields depend on which of the two APIs it was written by.
func countOf(e *corev1.Event) int32 {
	if e.Series != nil {
		return e.Series.Count
	}
	return max(e.Count, 1)
}

// isAbout tells whether an event of the pod is about the container, or does not say about which.
func isAbout(event *corev1.Event, container string) bool {
	path := event.InvolvedObject.FieldPath
	return path == "" || strings.HasSuffix(path, "{"+container+"}")
}

func (d *diagnoser) newInitFailed(status *corev1.ContainerStatus) finding {
	ended := status.State.Terminated
	if ended == nil {
		ended = status.LastTerminationState.Terminated
	}
	if ended == nil {
		ended = &corev1.ContainerStateTerminated{ExitCode: -1}
	}
	f := finding{
		symptom: InitFailed, container: status.Name, usePreviousLogs: status.State.Terminated == nil,
		meaning: fmt.Sprintf("The init container %s fails with %s, so the pod's containers are never started.", status.Name, formatExit(ended)),
		causes:  exitCauses(ended),
	}
	if ended.Reason == "OOMKilled" {
		f.causes = append([]string{"it used more memory than its limit of " + d.specOf(status.Name).Resources.Limits.Memory().String()}, f.causes...)
	}
	if !f.usePreviousLogs {
		f.commands = []string{fmt.Sprintf("kubectl -n %s logs %s -c %s --tail=50", d.Pod.Namespace, d.Pod.Name, status.Name)}
	}
	return f
}

func (d *diagnoser) newImagePullFailed(status *corev1.ContainerStatus) finding {
	image := d.specOf(status.Name).Image
	if image == "" {
		image = status.Image
	}
	message := status.State.Waiting.Message
	// While it backs off the message says no more than that; the event before it says why.
	for i := range d.Events {
		if event := &d.Events[i]; event.Reason == "Failed" && isAbout(event, status.Name) && strings.Contains(event.Message, "pull") && len(event.Message) > len(message) {
			message = event.Message
		}
	}
	f := finding{symptom: ImagePullFailed, container: status.Name, meaning: fmt.Sprintf("The image %s cannot be pulled: %s", image, orNone(shorten(message)))}
	lower := strings.ToLower(message)
	switch {
	case status.State.Waiting.Reason == "InvalidImageName":
		f.causes = []string{"the reference " + image + " is not one: look for capitals, spaces or a doubled tag"}
	case status.State.Waiting.Reason == "ErrImageNeverPull":
		f.causes = []string{"imagePullPolicy is Never, and the image is not on the node " + d.Pod.Spec.NodeName}
	case strings.Contains(lower, "toomanyrequests") || strings.Contains(lower, "rate limit"):
		f.causes = []string{"the registry's rate limit is used up: pull through a mirror, or with an account"}
	case strings.Contains(lower, "unauthorized") || strings.Contains(lower, "denied") || strings.Contains(lower, "authentication required"):
		f.causes = []string{"the registry refuses: imagePullSecrets are missing or wrong, or the repository does not exist"}
	case strings.Contains(lower, "not found") || strings.Contains(lower, "manifest unknown"):
		f.causes = []string{"the tag or the repository does not exist", "the repository is private, and the registry does not say so"}
	case strings.Contains(lower, "no such host") || strings.Contains(lower, "i/o timeout") || strings.Contains(lower, "connection refused") || strings.Contains(lower, "deadline exceeded"):
		f.causes = []string{"the registry is not reachable from the node " + d.Pod.Spec.NodeName + ": name resolution, proxy or firewall"}
	case strings.Contains(lower, "x509") || strings.Contains(lower, "certificate"):
		f.causes = []string{"the node does not trust the registry's certificate"}
	case strings.Contains(lower, "no match for platform") || strings.Contains(lower, "no matching manifest"):
		f.causes = []string{"the image is not built for the node's processor"}
	default:
		f.causes = []string{"the tag or the repository does not exist", "the registry refuses, or is not reachable from the node " + d.Pod.Spec.NodeName}
	}
	return f
}

func (d *diagnoser) newConfigMissing(status *corev1.ContainerStatus, message string) finding {
	f := finding{symptom: ConfigMissing, container: status.Name, meaning: fmt.Sprintf("The container %s cannot be configured: %s", status.Name, orNone(shorten(message)))}
	in := "kubectl -n " + d.Pod.Namespace + " get "
	switch found := notFoundPattern.FindStringSubmatch(message); {
	case found != nil:
		kind := kindName(found[1])
		f.causes = []string{"the " + kind + " " + found[2] + " that it takes variables from does not exist in " + d.Pod.Namespace}
		f.commands = []string{in + strings.ToLower(kind) + "s"}
	case strings.Contains(message, "couldn't find key"):
		f.causes = []string{"the ConfigMap or Secret is there and lacks the key: " + shorten(message)}
		f.commands = []string{in + "configmaps"}
	case strings.Contains(message, "runAsNonRoot"):
		f.causes = []string{"it must not run as root, and its image does: set runAsUser, or take an image with a numeric user"}
	default:
		f.causes = []string{shorten(message)}
	}
	return f
}

func (d *diagnoser) newCreateFailed(status *corev1.ContainerStatus, reason, message string) finding {
	f := finding{symptom: ContainerCreateFailed, container: status.Name, meaning: fmt.Sprintf("The container %s cannot be started (%s): %s", status.Name, reason, orNone(shorten(message)))}
	lower := strings.ToLower(message)
	switch {
	case strings.Contains(lower, "executable file not found") || strings.Contains(lower, "no such file or directory"):
		f.causes = []string{"the command is not in the image, or its interpreter is not", "a volume is mounted over it"}
	case strings.Contains(lower, "permission denied"):
		f.causes = []string{"the command may not be executed by the user that the container runs as"}
	case strings.Contains(lower, "exec format error"):
		f.causes = []string{"the image is built for another processor"}
	case strings.Contains(lower, "no command specified"):
		f.causes = []string{"neither the image nor the pod says what to run"}
	case strings.Contains(lower, "not a directory") || strings.Contains(lower, "mount"):
		f.causes = []string{"a volume cannot be mounted at that path, for instance a file over a directory"}
	case strings.Contains(lower, "name") && strings.Contains(lower, "reserved"):
		f.causes = []string{"the runtime still holds an earlier container of this name"}
	default:
		f.causes = []string{orNone(shorten(message))}
	}
	return f
}

// findNotReady tells whether a running container is not ready, and longer than its start may take.
func (d *diagnoser) findNotReady(status *corev1.ContainerStatus) (finding, bool) {
	running := status.State.Running
	if running == nil || status.Ready || d.isInit(status.Name) {
		return finding{}, false
	}
	spec := d.specOf(status.Name)
	probe, kind := spec.ReadinessProbe, "readiness probe"
	if spec.StartupProbe != nil && (status.Started == nil || !*status.Started) {
		probe, kind = spec.StartupProbe, "startup probe"
	}
	var said *corev1.Event
	failures := int32(0)
	for i := range d.Events {
		event := &d.Events[i]
		if event.Reason == "Unhealthy" && isAbout(event, status.Name) && strings.Contains(strings.ToLower(event.Message), kind) && lastObserved(event).After(running.StartedAt.Time) {
			if said == nil || isMoreSpecific(event, said) {
				said = event
			}
			failures = max(failures, countOf(event))
		}
	}
	since := d.unreadySince(running.StartedAt.Time)
	allowed := readyTimeout(probe)
	if starting := since.Equal(running.StartedAt.Time); starting {
		// Readiness is often asked for each second from the first on, and a start takes longer than three of them.
		allowed = max(allowed, minRecovery)
	} else if probe != nil && failures >= failureThreshold(probe) {
		allowed = 0
	}
	if d.now.Sub(since) < allowed {
		return finding{}, false
	}
	f := finding{symptom: NotReady, container: status.Name}
	f.meaning = fmt.Sprintf("The container %s runs since %s and is not ready, so no Service sends it requests.", status.Name, running.StartedAt.UTC().Format("2006-01-02 15:04:05 UTC"))
	if said != nil {
		f.causes = append(f.causes, "its "+kind+" says: "+shorten(said.Message))
	}
	if probe != nil {
		f.causes = append(f.causes, "the program is up and waits for something that it needs, such as a database", "the "+kind+" asks the wrong port, path or command")
	} else {
		f.causes = append(f.causes, "it has no "+kind+": a readiness gate of the pod, or the kubelet, holds it back")
	}
	f.commands = []string{fmt.Sprintf("kubectl -n %s logs %s -c %s --tail=50", d.Pod.Namespace, d.Pod.Name, status.Name)}
	return f, true
}

// unreadySince is when the container came into the state of not being ready: its start, or when the pod lost its
// readiness after that.
func (d *diagnoser) unreadySince(started time.Time) time.Time {
	if condition := conditionOf(d.Pod, corev1.ContainersReady); condition != nil && condition.Status == corev1.ConditionFalse && condition.LastTransitionTime.After(started) {
		return condition.LastTransitionTime.Time
	}
	return started
}

func failureThreshold(probe *corev1.Probe) int32 {
	if probe.FailureThreshold > 0 {
		return probe.FailureThreshold
	}
	return 3
}

// readyTimeout is how long a container may take to become ready by its probe's settings.
func readyTimeout(probe *corev1.Probe) time.Duration {
	if probe == nil {
		return minRecovery
	}
	period := probe.PeriodSeconds
	if period <= 0 {
		period = 10
	}
	return time.Duration(probe.InitialDelaySeconds+period*failureThreshold(probe))*time.Second + probeSlack
}
