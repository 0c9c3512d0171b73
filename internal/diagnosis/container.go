package diagnosis

import (
	"cmp"
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
	// initPatience is how long an init container may run: as long as a Deployment may take to progress by default
	// (progressDeadlineSeconds).
	initPatience = 10 * time.Minute
	// controllerPatience is how long another controller may take for a readiness gate, and the kubelet to find room for a resize.
	controllerPatience = 3 * time.Minute
	// chronicKills kills within chronicPeriod are a symptom even if the container runs meanwhile.
	chronicKills  = 4
	chronicPeriod = 5 * time.Hour
	// restartSlack is how far the events and states of a restart of the node may be apart.
	restartSlack = 2 * time.Minute
	// instantEnd is how soon a program ends that the processor of the node cannot run.
	instantEnd = 2 * time.Second
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
	if d.isInit(status.Name) && (status.Started == nil || !*status.Started || !d.isSidecar(status.Name)) {
		return d.findEndlessInit(status)
	}
	return d.findNotReady(status)
}

// findEndlessInit returns a finding if an init container does not end, or if a sidecar does not pass its startup probe: the containers
// after it wait.
func (d *diagnoser) findEndlessInit(status *corev1.ContainerStatus) (finding, bool) {
	running := status.State.Running
	spec := d.specOf(status.Name)
	patience := initPatience
	if d.isSidecar(status.Name) && spec.StartupProbe != nil {
		patience = readyTimeout(spec.StartupProbe)
	}
	if running == nil || d.now.Sub(running.StartedAt.Time) < patience || d.isSidecar(status.Name) && spec.StartupProbe == nil {
		return finding{}, false
	}
	f := finding{symptom: InitFailed, container: status.Name, since: running.StartedAt.Time}
	f.commands = []string{fmt.Sprintf("kubectl -n %s logs %s -c %s --tail=50", d.Pod.Namespace, d.Pod.Name, status.Name)}
	if !d.isSidecar(status.Name) {
		f.meaning = fmt.Sprintf("The init container %s has been running since %s, so the containers of the pod do not start.",
			status.Name, formatTime(running.StartedAt.Time))
		f.causes = []string{"the init container " + status.Name + " has not ended: it waits for something, or works for long; see its log"}
		return f, true
	}
	f.meaning = fmt.Sprintf("The sidecar %s has not passed its startup probe since %s, so the containers after it do not start.",
		status.Name, formatTime(running.StartedAt.Time))
	d.explain(&f, d.probeReports(status.Name, "startup probe", running.StartedAt.Time))
	if len(f.causes) == 0 {
		f.causes = []string{"the startup probe of the init container (sidecar) " + status.Name + " has not succeeded; see its log"}
	}
	return f, true
}

// probeReports returns the reports of failures of a probe after a time, those of the most frequent failure first.
func (d *diagnoser) probeReports(container, kind string, after time.Time) []report {
	var found *corev1.Event
	for i := range d.Events {
		event := &d.Events[i]
		if event.Reason == "Unhealthy" && isAbout(event, container) && strings.Contains(strings.ToLower(event.Message), kind) &&
			lastObserved(event).After(after) && (found == nil || isMoreSpecific(event, found)) {
			found = event
		}
	}
	if found == nil {
		return nil
	}
	return eventReports([]corev1.Event{*found}, func(*corev1.Event) bool { return true })
}

func formatTime(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

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
			ended := status.State.Terminated
			return ended, ended.ExitCode != 0 && !d.isJobDeciding(ended.FinishedAt.Time)
		}
		if d.isInit(status.Name) && !d.isSidecar(status.Name) && status.State.Terminated.ExitCode == 0 {
			return nil, false
		}
		ended := status.State.Terminated
		return ended, !isLostWithNode(ended) || d.now.Sub(ended.FinishedAt.Time) > restartSlack
	case last == nil || status.RestartCount == 0 || d.isRestartedWithNode(status):
		return nil, false
	case status.State.Running == nil:
		return last, d.now.Sub(last.FinishedAt.Time) < backOffReset
	}
	lastDuration := last.FinishedAt.Sub(last.StartedAt.Time)
	duration := d.now.Sub(status.State.Running.StartedAt.Time)
	return last, duration < min(backOffReset, max(minRecovery, 2*lastDuration)) || d.isChronic(status)
}

// isChronic reports whether a container is killed again and again, for its memory or by a probe, however long it runs between. It has
// recovered when it has run twice as long as it does on average.
func (d *diagnoser) isChronic(status *corev1.ContainerStatus) bool {
	last := status.LastTerminationState.Terminated
	if status.RestartCount < chronicKills || last.Reason != "OOMKilled" && d.findProbeFailure(status.Name) == nil {
		return false
	}
	// The status has no history. The kills of a young pod are within the period; an older one was killed as often if its last run was short.
	interval := last.FinishedAt.Sub(last.StartedAt.Time)
	if age := d.now.Sub(d.Pod.CreationTimestamp.Time); age <= chronicPeriod {
		interval = max(interval, age/time.Duration(status.RestartCount))
	}
	return interval <= chronicPeriod/chronicKills+probeSlack && d.now.Sub(last.FinishedAt.Time) < 2*interval
}

// isRestartedWithNode reports whether a container ended because its node or its runtime was restarted: containerd and CRI-O report the exit
// code 255 then, and the kubelet makes a new sandbox at that time.
func (d *diagnoser) isRestartedWithNode(status *corev1.ContainerStatus) bool {
	last := status.LastTerminationState.Terminated
	if status.RestartCount >= chronicKills && d.now.Sub(d.Pod.CreationTimestamp.Time) < chronicPeriod {
		return false
	}
	if isLostWithNode(last) {
		return true
	}
	changed, running := d.latestEvent("SandboxChanged"), status.State.Running
	if changed == nil || running == nil || status.RestartCount > 1 {
		return false
	}
	at := lastObserved(changed)
	return at.After(last.FinishedAt.Add(-restartSlack)) && at.Before(running.StartedAt.Add(restartSlack))
}

// isLostWithNode reports whether the runtime does not know how a container ended, because it was restarted itself.
func isLostWithNode(ended *corev1.ContainerStateTerminated) bool {
	return ended.Reason == "Unknown" || ended.Reason == "ContainerStatusUnknown"
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
	f.since = ended.FinishedAt.Time
	if event := latestEvent(d.Events, "BackOff"); event != nil && isAbout(event, status.Name) {
		f.since = firstObserved(event)
	}
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
		if status.RestartCount > 0 {
			f.meaning += fmt.Sprintf(" It was restarted %d times.", status.RestartCount)
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
		f.since = failedProbe.since
		d.explain(&f, []report{{reason: "Unhealthy", message: failedProbe.message}})
		f.causes = append(f.causes, "the program hangs, or the probe starts before it is up: add a startupProbe")
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
		d.explainExit(&f, ended)
	default:
		f.symptom = CrashLoop
		f.meaning = fmt.Sprintf(
			"The container %s terminates soon after its start with %s. It was restarted %d times, with increasing back-off.",
			status.Name, formatExit(ended), status.RestartCount)
		d.explainExit(&f, ended)
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

// explainExit adds the termination message of the container, what its exit code usually means, and whether the node may have another
// processor than the image.
func (d *diagnoser) explainExit(f *finding, ended *corev1.ContainerStateTerminated) {
	if message := shorten(ended.Message); message != "" {
		f.causes = append(f.causes, "its termination message: "+message)
	}
	code := ended.ExitCode
	if code <= 0 && ended.Signal > 0 {
		code = 128 + ended.Signal
	}
	vars := map[string]string{"namespace": d.Pod.Namespace, "pod": d.Pod.Name}
	e := explain(CrashLoop, vars, []report{{reason: "ExitCode", message: fmt.Sprint(code)}})
	if e.quote == "" { // no entry
		e.causes = []string{"the program fails; see its log"}
	}
	f.causes, f.commands = append(f.causes, e.causes...), append(f.commands, e.commands...)
	arch := ""
	if d.Node != nil {
		arch = d.Node.Status.NodeInfo.Architecture
	}
	// Most images are built for amd64. On another processor the program ends in the moment of its start.
	isInstant := slices.Contains([]int32{1, 126, 255}, code) && ended.FinishedAt.Sub(ended.StartedAt.Time) < instantEnd
	if isInstant && arch != "" && arch != "amd64" {
		f.causes = slices.Insert(f.causes, min(1, len(f.causes)), "the node has the processor architecture "+arch+
			", and the container ends in the moment of its start: the image may be built for another one (its log says exec format error)")
		f.commands = append(f.commands, "kubectl get nodes -L kubernetes.io/arch")
	}
}

// probeFailure is a probe whose failure restarted a container.
type probeFailure struct {
	kind, message string
	since         time.Time
}

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
				found, source = &probeFailure{probe, event.Message, firstObserved(event)}, event
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
		symptom: InitFailed, container: status.Name, usePreviousLogs: status.State.Terminated == nil, since: d.startedAt(),
		meaning: fmt.Sprintf("The init container %s fails with %s, so the containers of the pod do not start.",
			status.Name, formatExit(ended)),
	}
	if ended.Reason == "OOMKilled" {
		f.causes = []string{"it used more memory than its limit of " + d.specOf(status.Name).Resources.Limits.Memory().String()}
	}
	d.explainExit(&f, ended)
	if !f.usePreviousLogs {
		f.commands = []string{fmt.Sprintf("kubectl -n %s logs %s -c %s --tail=50", d.Pod.Namespace, d.Pod.Name, status.Name)}
	}
	return f
}

// containerReports returns what the kubelet says about the state of a container: its message, and events with the reasons.
func (d *diagnoser) containerReports(container, reason, message string, reasons ...string) []report {
	reports := eventReports(d.Events, func(e *corev1.Event) bool {
		return slices.Contains(reasons, e.Reason) && isAbout(e, container)
	})
	newest := latest(reports)
	reports = slices.DeleteFunc(reports, func(r report) bool { return newest.Sub(r.last) > reportRelevance })
	return append(reports, report{reason: reason, message: message, source: "the kubelet", last: newest})
}

func (d *diagnoser) newImagePullFailed(status *corev1.ContainerStatus) finding {
	f := finding{symptom: ImagePullFailed, container: status.Name}
	image := cmp.Or(d.specOf(status.Name).Image, status.Image)
	f.meaning = fmt.Sprintf("The image %s cannot be pulled (%s).", image, status.State.Waiting.Reason)
	reports := d.containerReports(status.Name, status.State.Waiting.Reason, status.State.Waiting.Message,
		"Failed", "InspectFailed", "ErrImageNeverPull", "FailedToRetrieveImagePullSecret")
	f.since = first(reports)
	d.explain(&f, reports)
	if len(f.causes) == 0 {
		f.causes = []string{"the kubelet gives no reason yet; its next attempt does"}
	}
	return f
}

func (d *diagnoser) newConfigMissing(status *corev1.ContainerStatus, message string) finding {
	f := finding{symptom: ConfigMissing, container: status.Name}
	f.meaning = fmt.Sprintf("The container %s cannot be configured.", status.Name)
	reports := d.containerReports(status.Name, "CreateContainerConfigError", message, "Failed")
	f.since = first(reports)
	d.explain(&f, reports)
	return f
}

func (d *diagnoser) newCreateFailed(status *corev1.ContainerStatus, reason, message string) finding {
	f := finding{symptom: ContainerCreateFailed, container: status.Name}
	f.meaning = fmt.Sprintf("The container %s cannot be started (%s).", status.Name, reason)
	reports := d.containerReports(status.Name, reason, message, "Failed", "FailedPostStartHook")
	f.since = first(reports)
	d.explain(&f, reports)
	if len(f.causes) == 0 {
		f.causes = []string{"the kubelet gives no reason yet; its next attempt does"}
	}
	return f
}

// findNotReady returns a finding if a running container has not been ready for longer than its start may take.
func (d *diagnoser) findNotReady(status *corev1.ContainerStatus) (finding, bool) {
	running := status.State.Running
	if running == nil || status.Ready {
		return finding{}, false
	}
	spec := d.specOf(status.Name)
	probe, kind := spec.ReadinessProbe, "readiness probe"
	if spec.StartupProbe != nil && (status.Started == nil || !*status.Started) {
		probe, kind = spec.StartupProbe, "startup probe"
	}
	failures := d.probeReports(status.Name, kind, running.StartedAt.Time)
	since := d.unreadySince(running.StartedAt.Time)
	allowed := readyTimeout(probe)
	if isStarting := since.Equal(running.StartedAt.Time); isStarting {
		// Many probes run every second from the start, and a start takes longer than three failures.
		allowed = max(allowed, minRecovery)
	} else if probe != nil && len(failures) > 0 && failures[0].count >= failureThreshold(probe) {
		allowed = 0
	}
	if d.now.Sub(since) < allowed {
		return finding{}, false
	}
	f := finding{symptom: NotReady, container: status.Name, since: since}
	f.meaning = fmt.Sprintf("The container %s has been running since %s and is not ready, so Services send it no traffic.",
		status.Name, formatTime(running.StartedAt.Time))
	d.explain(&f, failures)
	if probe == nil && len(f.causes) == 0 {
		f.causes = []string{"it has no " + kind + ": the kubelet has not reported its state"}
	}
	if probe != nil && len(f.causes) < 2 {
		f.causes = append(f.causes, "the program is waiting for a dependency, or the "+kind+" uses the wrong port, path or command")
	}
	for _, r := range d.nodeReports() {
		f.causes = slices.Insert(f.causes, 0, "the node "+d.Pod.Spec.NodeName+" is not ready: "+shorten(r.message))
	}
	f.commands = append(f.commands, fmt.Sprintf("kubectl -n %s logs %s -c %s --tail=50", d.Pod.Namespace, d.Pod.Name, status.Name))
	return f, true
}

// findUnsatisfied returns a finding if the containers are well and the pod still waits: for a readiness gate, or for a resize.
func (d *diagnoser) findUnsatisfied() *finding {
	pod := d.Pod
	if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
		return nil
	}
	containersReady, ready := conditionOf(pod, corev1.ContainersReady), conditionOf(pod, corev1.PodReady)
	if containersReady != nil && containersReady.Status == corev1.ConditionTrue && ready != nil && ready.Status == corev1.ConditionFalse {
		since := containersReady.LastTransitionTime.Time
		if ready.LastTransitionTime.After(since) {
			since = ready.LastTransitionTime.Time
		}
		if f := d.findGate(since); f != nil && d.now.Sub(since) >= controllerPatience {
			return f
		}
		for _, r := range d.nodeReports() { // the node controller sets its pods to not ready
			return &finding{
				symptom: NotReady, since: r.first, isNode: true, causes: []string{quoteOf(r)},
				meaning:  "The node " + pod.Spec.NodeName + " is not ready, so Services send no traffic to the pods on it.",
				commands: []string{"kubectl describe node " + pod.Spec.NodeName},
			}
		}
	}
	return d.findResize()
}

func (d *diagnoser) findGate(since time.Time) *finding {
	f := &finding{
		symptom: NotReady, since: since,
		meaning:  "The containers of the pod are ready, and a readiness gate of the pod is not satisfied, so Services send it no traffic.",
		commands: []string{fmt.Sprintf("kubectl -n %s get pod %s -o wide", d.Pod.Namespace, d.Pod.Name)},
	}
	for _, gate := range d.Pod.Spec.ReadinessGates {
		switch condition := conditionOf(d.Pod, gate.ConditionType); {
		case condition == nil:
			f.causes = append(f.causes, "nobody has set the condition of the readiness gate "+shorten(string(gate.ConditionType))+
				": its controller does not run, or does not know the pod")
		case condition.Status != corev1.ConditionTrue:
			cause := fmt.Sprintf("the readiness gate %s is %s: %s", shorten(string(gate.ConditionType)), condition.Status,
				shorten(condition.Reason+" "+condition.Message))
			f.causes = append(f.causes, tidy(cause))
		}
	}
	if len(f.causes) == 0 {
		return nil
	}
	return f
}

// findResize returns a finding if the kubelet cannot carry out a resize of the running pod.
func (d *diagnoser) findResize() *finding {
	f := &finding{symptom: Error}
	r := report{source: "the kubelet"}
	pending, progress := conditionOf(d.Pod, corev1.PodResizePending), conditionOf(d.Pod, corev1.PodResizeInProgress)
	switch resize := d.Pod.Status.Resize; { // before Kubernetes 1.33 there is no condition
	case pending != nil && pending.Status == corev1.ConditionTrue:
		r.reason, r.message, f.since = pending.Reason, pending.Message, pending.LastTransitionTime.Time
	case progress != nil && progress.Status == corev1.ConditionTrue && progress.Reason == corev1.PodReasonError:
		r.reason, r.message, f.since = "ResizeError", progress.Message, progress.LastTransitionTime.Time
	case resize == corev1.PodResizeStatusInfeasible || resize == corev1.PodResizeStatusDeferred:
		r.reason = string(resize)
		if event := d.latestEvent("ResizeInfeasible", "ResizeDeferred"); event != nil {
			r.message, f.since = event.Message, firstObserved(event)
		}
	default:
		return nil
	}
	switch r.reason {
	case corev1.PodReasonInfeasible:
		f.meaning = "The kubelet cannot resize the pod: the resize is infeasible on its node. The pod keeps its earlier resources."
	case corev1.PodReasonDeferred:
		if d.now.Sub(f.since) < controllerPatience {
			return nil
		}
		f.meaning = "The kubelet defers the resize of the pod until its node has room. The pod keeps its earlier resources."
	default:
		f.meaning = "The kubelet fails to resize the pod."
	}
	d.explain(f, []report{r})
	if len(f.causes) == 0 {
		f.causes = []string{"the node does not have the resources that the resize asks for"}
	}
	f.commands = append(f.commands, "kubectl describe node "+d.Pod.Spec.NodeName)
	return f
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
