package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// backOffReset is how long a container must run before the kubelet resets its back-off.
	backOffReset = 10 * time.Minute
	// minRecovery is how long a container must run at least to count as recovered.
	minRecovery = 30 * time.Second
	// probeSlack is added to the time that the settings of a probe allow.
	probeSlack = 10 * time.Second
)

// diagnoseContainers returns the findings of the init containers, or else those of the containers.
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
					continue // an init container may run for long, and ends
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

// isSidecar reports whether an init container is a sidecar.
func (d *diagnoser) isSidecar(name string) bool {
	for i := range d.Pod.Spec.InitContainers {
		if c := &d.Pod.Spec.InitContainers[i]; c.Name == name {
			return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return false
}

// specOf returns the spec of a container; an empty one if the pod does not have it.
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

func (d *diagnoser) diagnoseContainer(status *corev1.ContainerStatus) (finding, bool) {
	if waiting := status.State.Waiting; waiting != nil {
		switch waiting.Reason {
		case "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError",
			"SignatureValidationFailed", "ErrImageUnpack":
			return d.newImagePullFailed(status), true
		case "CreateContainerConfigError":
			return d.newConfigMissing(status, waiting.Message), true
		case "CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError":
			return d.newCreateFailed(status, waiting.Reason, waiting.Message), true
		}
	}
	ended, isLooping := d.findRestartLoop(status)
	if isLooping {
		return d.newEnded(status, ended), true
	}
	return d.findNotReady(status)
}

// findRestartLoop reports whether a container terminates repeatedly, and returns its last termination. The status of such a container
// alternates between waiting, terminated and running. It has recovered when it has run twice as long as the last time.
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
			// Other containers may still run. A failure is a symptom, a success is not.
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
	lastDuration := last.FinishedAt.Sub(last.StartedAt.Time)
	duration := d.now.Sub(status.State.Running.StartedAt.Time)
	return last, duration < min(backOffReset, max(minRecovery, 2*lastDuration))
}

// hasEndedForGood reports whether a container has terminated and will not be restarted.
func (d *diagnoser) hasEndedForGood(status *corev1.ContainerStatus) bool {
	if status.State.Terminated == nil {
		return false
	}
	policy := corev1.ContainerRestartPolicy(d.Pod.Spec.RestartPolicy)
	if containerPolicy := d.specOf(status.Name).RestartPolicy; containerPolicy != nil {
		policy = *containerPolicy
	}
	switch policy {
	case corev1.ContainerRestartPolicyNever:
		return true
	case corev1.ContainerRestartPolicyOnFailure:
		return status.State.Terminated.ExitCode == 0
	default:
		return false
	}
}

func (d *diagnoser) isInit(name string) bool {
	return slices.ContainsFunc(d.Pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == name })
}

// newEnded returns the finding of a container that terminated.
func (d *diagnoser) newEnded(status *corev1.ContainerStatus, ended *corev1.ContainerStateTerminated) finding {
	f := finding{container: status.Name, usePreviousLogs: !d.hasEndedForGood(status) && d.Pod.Status.Phase != corev1.PodFailed}
	if !f.usePreviousLogs {
		f.commands = []string{fmt.Sprintf("kubectl -n %s logs %s -c %s --tail=50", d.Pod.Namespace, d.Pod.Name, status.Name)}
	}
	spec := d.specOf(status.Name)
	failedProbe := d.findProbeFailure(status.Name)
	switch {
	case ended.Reason == "OOMKilled":
		f.symptom = OOMKilled
		limit := spec.Resources.Limits.Memory()
		if limit.IsZero() {
			f.meaning = fmt.Sprintf(
				"The kernel killed a process of the container %s because the node ran out of memory. The container has no memory limit.", status.Name)
			f.causes = []string{"the pods on the node use more memory than they request: set memory requests", "the program leaks memory"}
		} else {
			f.meaning = fmt.Sprintf("The kernel killed a process of the container %s because it used more memory than its limit of %s.",
				status.Name, limit.String())
			f.causes = []string{
				"the limit of " + limit.String() + " is too low",
				"the program leaks memory, or its heap size ignores the limit",
			}
		}
		if f.usePreviousLogs {
			f.commands = []string{fmt.Sprintf("kubectl -n %s top pod %s --containers", d.Pod.Namespace, d.Pod.Name)}
		}
	case ended.Reason == "StartError" || ended.Reason == "ContainerCannotRun":
		return d.newCreateFailed(status, ended.Reason, ended.Message)
	case failedProbe != nil:
		f.symptom = LivenessRestarts
		f.meaning = fmt.Sprintf("The kubelet restarted the container %s %d times because its %s failed.",
			status.Name, status.RestartCount, failedProbe.kind)
		f.causes = []string{
			"the probe fails with: " + shorten(failedProbe.message),
			"the program hangs, or responds later than timeoutSeconds allows",
			"the probe starts before the program is up: add a startupProbe",
		}
	case ended.ExitCode == 0:
		f.symptom = CompletedUnexpectedly
		f.meaning = fmt.Sprintf("The container %s exits with code 0 repeatedly. It is expected to keep running.", status.Name)
		f.causes = []string{
			"the command completes its work and exits: use a Job, or a command that keeps running",
			"the command is a shell without a script",
		}
	case d.hasEndedForGood(status) || d.Pod.Status.Phase == corev1.PodFailed:
		f.symptom = Error
		f.meaning = fmt.Sprintf("The container %s terminated with %s and is not restarted.", status.Name, formatExit(ended))
		f.causes = exitCauses(ended)
	default:
		f.symptom = CrashLoop
		f.meaning = fmt.Sprintf(
			"The container %s terminates soon after its start with %s. It was restarted %d times, with increasing back-off.",
			status.Name, formatExit(ended), status.RestartCount)
		f.causes = exitCauses(ended)
	}
	return f
}

func formatExit(ended *corev1.ContainerStateTerminated) string {
	switch {
	case ended.Signal != 0:
		return fmt.Sprintf("signal %d", ended.Signal)
	case ended.ExitCode < 0:
		return "an unknown exit code"
	}
	return fmt.Sprintf("exit code %d", ended.ExitCode)
}

// exitCauses returns the termination message of the container and what its exit code usually means.
func exitCauses(ended *corev1.ContainerStateTerminated) []string {
	var causes []string
	if message := shorten(ended.Message); message != "" {
		causes = append(causes, "its termination message: "+message)
	}
	switch ended.ExitCode {
	case 1, 2:
		causes = append(causes, "the program fails at startup: a wrong flag or setting, or a dependency that does not respond; see its log")
	case 126:
		causes = append(causes, "the command is not executable")
	case 127:
		causes = append(causes, "the command, or a program that it calls, is not in the image")
	case 134, 139:
		causes = append(causes, "the program crashed (abort or segmentation fault): a bug, or an image for another CPU architecture")
	case 137:
		causes = append(causes, "it was killed (SIGKILL): a child process ran out of memory, or the grace period was over")
	case 143:
		causes = append(causes, "it was terminated (SIGTERM), for example because of a failed probe")
	case 255:
		causes = append(causes, "the program fails, or the image is built for another CPU architecture")
	default:
		causes = append(causes, "the program fails; see its log")
	}
	return causes
}

// probeFailure is a probe whose failure restarted a container.
type probeFailure struct{ kind, message string }

// findProbeFailure returns the liveness or startup probe because of which the kubelet restarted the container, or nil.
func (d *diagnoser) findProbeFailure(container string) *probeFailure {
	var found *probeFailure
	var source *corev1.Event
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
			if source == nil || isMoreSpecific(event, source) {
				found, source = &probeFailure{probe, event.Message}, event
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

// isMoreSpecific reports whether event a says more about a failing probe than b. Unhealthy events contain the probe's message. Frequent
// events outweigh the refused connections of each start.
func isMoreSpecific(a, b *corev1.Event) bool {
	if isUnhealthy := a.Reason == "Unhealthy"; isUnhealthy != (b.Reason == "Unhealthy") {
		return isUnhealthy
	}
	if a, b := countOf(a), countOf(b); a != b {
		return a > b
	}
	return lastObserved(a).After(lastObserved(b))
}

// countOf returns how often an event occurred. Which fields are set depends on the API that it was written with.
func countOf(e *corev1.Event) int32 {
	if e.Series != nil {
		return e.Series.Count
	}
	return max(e.Count, 1)
}

// isAbout reports whether an event of the pod is about the container. One that names no container is about all of them.
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
		meaning: fmt.Sprintf("The init container %s fails with %s, so the containers of the pod do not start.",
			status.Name, formatExit(ended)),
		causes: exitCauses(ended),
	}
	if ended.Reason == "OOMKilled" {
		f.causes = append([]string{"it used more memory than its limit of " + d.specOf(status.Name).Resources.Limits.Memory().String()},
			f.causes...)
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
	// During the back-off only the event of the failure contains the reason.
	for i := range d.Events {
		event := &d.Events[i]
		isPullFailure := event.Reason == "Failed" && isAbout(event, status.Name) && strings.Contains(event.Message, "pull")
		if isPullFailure && len(event.Message) > len(message) {
			message = event.Message
		}
	}
	f := finding{symptom: ImagePullFailed, container: status.Name}
	f.meaning = fmt.Sprintf("The image %s cannot be pulled: %s", image, orNone(shorten(message)))
	lower := strings.ToLower(message)
	switch {
	case status.State.Waiting.Reason == "InvalidImageName":
		f.causes = []string{"the image reference " + image + " is invalid: check for capitals, spaces or two tags"}
	case status.State.Waiting.Reason == "ErrImageNeverPull":
		f.causes = []string{"imagePullPolicy is Never, and the image is not present on the node " + d.Pod.Spec.NodeName}
	case containsAny(lower, "toomanyrequests", "rate limit"):
		f.causes = []string{"the rate limit of the registry is exceeded: use a mirror, or authenticate"}
	case containsAny(lower, "unauthorized", "denied", "authentication required"):
		f.causes = []string{"the registry denies access: imagePullSecrets are missing or wrong, or the repository does not exist"}
	case containsAny(lower, "not found", "manifest unknown"):
		f.causes = []string{"the tag or the repository does not exist", "the repository is private, and the registry hides it"}
	case containsAny(lower, "no such host", "i/o timeout", "connection refused", "deadline exceeded"):
		f.causes = []string{"the registry is not reachable from the node " + d.Pod.Spec.NodeName + ": check DNS, proxy and firewall"}
	case containsAny(lower, "x509", "certificate"):
		f.causes = []string{"the node does not trust the registry's certificate"}
	case containsAny(lower, "no match for platform", "no matching manifest"):
		f.causes = []string{"the image is not built for the CPU architecture of the node"}
	default:
		f.causes = []string{
			"the tag or the repository does not exist",
			"the registry denies access, or is not reachable from the node " + d.Pod.Spec.NodeName,
		}
	}
	return f
}

func (d *diagnoser) newConfigMissing(status *corev1.ContainerStatus, message string) finding {
	f := finding{symptom: ConfigMissing, container: status.Name}
	f.meaning = fmt.Sprintf("The container %s cannot be configured: %s", status.Name, orNone(shorten(message)))
	get := "kubectl -n " + d.Pod.Namespace + " get "
	switch found := notFoundPattern.FindStringSubmatch(message); {
	case found != nil:
		kind := kindName(found[1])
		f.causes = []string{"the " + kind + " " + found[2] + " that its environment refers to does not exist in " + d.Pod.Namespace}
		f.commands = []string{get + strings.ToLower(kind) + "s"}
	case strings.Contains(message, "couldn't find key"):
		f.causes = []string{"the ConfigMap or Secret exists and lacks the key: " + shorten(message)}
		f.commands = []string{get + "configmaps"}
	case strings.Contains(message, "runAsNonRoot"):
		f.causes = []string{
			"runAsNonRoot is set, and the image runs as root or as a named user: set runAsUser, or use an image with a numeric user",
		}
	default:
		f.causes = []string{shorten(message)}
	}
	return f
}

func (d *diagnoser) newCreateFailed(status *corev1.ContainerStatus, reason, message string) finding {
	f := finding{symptom: ContainerCreateFailed, container: status.Name}
	f.meaning = fmt.Sprintf("The container %s cannot be started (%s): %s", status.Name, reason, orNone(shorten(message)))
	lower := strings.ToLower(message)
	switch {
	case containsAny(lower, "executable file not found", "no such file or directory"):
		f.causes = []string{"the command or its interpreter is not in the image", "a volume is mounted over the command"}
	case strings.Contains(lower, "permission denied"):
		f.causes = []string{"the user of the container may not execute the command"}
	case strings.Contains(lower, "exec format error"):
		f.causes = []string{"the image is built for another CPU architecture"}
	case strings.Contains(lower, "no command specified"):
		f.causes = []string{"neither the image nor the pod specifies a command"}
	case containsAny(lower, "not a directory", "mount"):
		f.causes = []string{"a volume cannot be mounted at that path, for example a file over a directory"}
	case strings.Contains(lower, "name") && strings.Contains(lower, "reserved"):
		f.causes = []string{"the container runtime still has an earlier container of this name"}
	default:
		f.causes = []string{orNone(shorten(message))}
	}
	return f
}

// findNotReady returns a finding if a running container has not been ready for longer than its start may take.
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
	var probeEvent *corev1.Event
	failures := int32(0)
	for i := range d.Events {
		event := &d.Events[i]
		isProbeFailure := event.Reason == "Unhealthy" && isAbout(event, status.Name) && strings.Contains(strings.ToLower(event.Message), kind)
		if isProbeFailure && lastObserved(event).After(running.StartedAt.Time) {
			if probeEvent == nil || isMoreSpecific(event, probeEvent) {
				probeEvent = event
			}
			failures = max(failures, countOf(event))
		}
	}
	since := d.unreadySince(running.StartedAt.Time)
	allowed := readyTimeout(probe)
	if isStarting := since.Equal(running.StartedAt.Time); isStarting {
		// Many probes run every second from the start, and a start takes longer than three failures.
		allowed = max(allowed, minRecovery)
	} else if probe != nil && failures >= failureThreshold(probe) {
		allowed = 0
	}
	if d.now.Sub(since) < allowed {
		return finding{}, false
	}
	f := finding{symptom: NotReady, container: status.Name}
	f.meaning = fmt.Sprintf("The container %s has been running since %s and is not ready, so Services send it no traffic.",
		status.Name, running.StartedAt.UTC().Format("2006-01-02 15:04:05 UTC"))
	if probeEvent != nil {
		f.causes = append(f.causes, "its "+kind+" fails with: "+shorten(probeEvent.Message))
	}
	if probe != nil {
		f.causes = append(f.causes,
			"the program is waiting for a dependency, such as a database", "the "+kind+" uses the wrong port, path or command")
	} else {
		f.causes = append(f.causes, "it has no "+kind+": a readiness gate of the pod is not satisfied, or the kubelet does not respond")
	}
	f.commands = []string{fmt.Sprintf("kubectl -n %s logs %s -c %s --tail=50", d.Pod.Namespace, d.Pod.Name, status.Name)}
	return f, true
}

// unreadySince returns when the container became not ready: its start, or the last transition of ContainersReady after it.
func (d *diagnoser) unreadySince(started time.Time) time.Time {
	condition := conditionOf(d.Pod, corev1.ContainersReady)
	if condition != nil && condition.Status == corev1.ConditionFalse && condition.LastTransitionTime.After(started) {
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

// readyTimeout returns how long a container may take to become ready according to the settings of its probe.
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
