package diagnosis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

var now = time.Date(2027, 1, 2, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// pod returns a pod of a Deployment that was created an hour ago, runs and is ready.
func pod(changes ...func(*corev1.Pod)) *corev1.Pod {
	controller := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:         "shop",
			Name:              "web-7d9f-x2x4z",
			UID:               "1",
			CreationTimestamp: ago(time.Hour),
			Labels:            map[string]string{"pod-template-hash": "7d9f"},
			OwnerReferences:   []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web-7d9f", Controller: &controller}},
		},
		Spec: corev1.PodSpec{
			NodeName: "node-1", RestartPolicy: corev1.RestartPolicyAlways,
			Containers: []corev1.Container{
				{
					Name:           "app",
					Image:          "example/app:1.2.3",
					ReadinessProbe: &corev1.Probe{PeriodSeconds: 10, FailureThreshold: 3},
					LivenessProbe:  &corev1.Probe{PeriodSeconds: 10, FailureThreshold: 3},
					Resources:      corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}},
				},
			},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning,
			Conditions: []corev1.PodCondition{
				{Type: corev1.PodReady, Status: corev1.ConditionTrue},
				{Type: corev1.ContainersReady, Status: corev1.ConditionTrue},
			},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: "app", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(time.Hour)}},
			}},
		},
	}
	for _, change := range changes {
		change(p)
	}
	return p
}

// hints are the pod hints of a definition.
var hints = []v1alpha1.PodHint{
	{Labels: map[string]string{"vault-sealed": "true"}, Meaning: "It is sealed.", Command: "exec {pod} -- vault status"},
}

func labelled(name, value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels[name] = value }
}

func status(change func(*corev1.ContainerStatus)) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		change(&p.Status.ContainerStatuses[0])
		ready := corev1.ConditionFalse
		if p.Status.ContainerStatuses[0].Ready {
			ready = corev1.ConditionTrue
		}
		for i := range p.Status.Conditions {
			p.Status.Conditions[i].Status = ready
		}
	}
}

func waiting(reason, message string) func(*corev1.Pod) {
	return status(func(s *corev1.ContainerStatus) {
		s.Ready = false
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	})
}

func lastEnded(reason string, code int32, restarts int32) func(*corev1.Pod) {
	return status(func(s *corev1.ContainerStatus) {
		s.RestartCount = restarts
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
			Reason:     reason,
			ExitCode:   code,
			StartedAt:  ago(62 * time.Second),
			FinishedAt: ago(60 * time.Second),
		}
	})
}

// runningFor has the container run since a while.
func runningFor(d time.Duration, ready bool) func(*corev1.Pod) {
	return status(func(s *corev1.ContainerStatus) {
		s.Ready = ready
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(d)}}
	})
}

func ended(reason string, code int32) func(*corev1.Pod) {
	return status(func(s *corev1.ContainerStatus) {
		s.Ready = false
		s.State = corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{
				Reason:     reason,
				ExitCode:   code,
				StartedAt:  ago(2 * time.Second),
				FinishedAt: ago(time.Second),
			},
		}
	})
}

func endedAgo(d time.Duration) func(*corev1.Pod) {
	return status(func(s *corev1.ContainerStatus) { s.State.Terminated.FinishedAt = ago(d) })
}

func pending(message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.NodeName = ""
		p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
			Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message,
		}}}
	}
}

// creating has the pod scheduled, and its containers not created yet.
func creating(p *corev1.Pod) {
	p.Status.Phase = corev1.PodPending
	waiting("ContainerCreating", "")(p)
}

func initContainer(state, last corev1.ContainerState) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "setup", Image: "example/setup:1"}}
		p.Status.Phase = corev1.PodPending
		waiting("PodInitializing", "")(p)
		p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "setup", State: state, LastTerminationState: last, RestartCount: 2}}
	}
}

func event(reason, message string) corev1.Event {
	return corev1.Event{
		Reason:         reason,
		Message:        message,
		LastTimestamp:  ago(5 * time.Second),
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", UID: "1"},
	}
}

func counted(e corev1.Event, times int32) corev1.Event {
	e.Count = times
	return e
}

// unreadyFor has the containers not ready since a while.
func unreadyFor(d time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.ContainersReady, Status: corev1.ConditionFalse, LastTransitionTime: ago(d)}}
	}
}

func failedPhase(reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status = corev1.PodStatus{
			Phase:     corev1.PodFailed,
			Reason:    reason,
			Message:   message,
			StartTime: &metav1.Time{Time: now.Add(-time.Minute)},
		}
	}
}

func deletedSince(d time.Duration, finalizers ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		at := ago(d)
		p.DeletionTimestamp, p.Finalizers = &at, finalizers
	}
}

func jobs(p *corev1.Pod) {
	controller := true
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "nightly", Controller: &controller}}
	p.Spec.RestartPolicy = corev1.RestartPolicyNever
}

func TestSymptoms(t *testing.T) {
	terminated := func(reason string, code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code, FinishedAt: ago(time.Second)}}
	}
	class := "fast"
	unboundClaim := Claim{Name: "data", Claim: &corev1.PersistentVolumeClaim{
		Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
	}}
	backOff := "back-off 5m0s restarting failed container=app pod=web"
	const unbound = "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
	for name, test := range map[string]struct {
		c       Case
		symptom string
		want    []string // in the meaning, the causes and the commands
	}{
		"no node has room": {
			Case{Pod: pod(pending("0/5 nodes are available: 2 node(s) had untolerated taint {gpu: true}, 3 Insufficient cpu. preemption: 0/5 nodes are available: 5 No preemption victims found for incoming pod."))},
			Unschedulable, []string{"3 of the nodes: less free CPU", "2 of the nodes: a taint", "kubectl -n shop describe pod web-7d9f-x2x4z"},
		},
		"no nodes": {Case{Pod: pod(pending("no nodes available to schedule pods"))}, Unschedulable, []string{"no schedulable nodes"}},
		"no scheduler": {Case{Pod: pod(func(p *corev1.Pod) {
			p.Spec.NodeName = ""
			p.Status = corev1.PodStatus{Phase: corev1.PodPending}
			p.Spec.SchedulerName = "mine"
		})}, Unschedulable, []string{"the scheduler mine"}},
		"the class of a claim does not exist": {Case{Pod: pod(pending(unbound)), Claims: []Claim{unboundClaim}}, VolumeClaimUnbound, []string{"PersistentVolumeClaim data is not bound", "StorageClass fast does not exist", "describe pvc data"}},
		"a claim does not exist": {
			Case{Pod: pod(pending(`0/3 nodes are available: persistentvolumeclaim "data" not found. preemption: …`)), Claims: []Claim{{Name: "data"}}},
			VolumeClaimUnbound, []string{"which does not exist in shop"},
		},
		"the provisioner of a claim is not running": {
			Case{Pod: pod(pending(unbound)), Claims: []Claim{{Name: "data", Claim: unboundClaim.Claim, Class: &storagev1.StorageClass{Provisioner: "csi.example"}}}},
			VolumeClaimUnbound, []string{"the provisioner csi.example of the StorageClass fast is not running"},
		},
		"a volume source does not exist": {
			Case{Pod: pod(creating), Events: []corev1.Event{event("FailedMount", `MountVolume.SetUp failed for volume "config" : configmap "web-config" not found`)}},
			VolumeMountFailed, []string{"the ConfigMap web-config that it mounts does not exist"},
		},
		"no network": {
			Case{Pod: pod(creating), Events: []corev1.Event{event("FailedCreatePodSandBox", `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "ab": plugin type="calico" failed (add): stat /var/lib/calico/nodename: no such file`)}},
			SandboxFailed, []string{"the CNI plugin is not running or not configured on the node", "spec.nodeName=node-1"},
		},
		"the image does not exist": {
			Case{Pod: pod(waiting("ImagePullBackOff", `Back-off pulling image "example/app:1.2.3"`)), Events: []corev1.Event{event("Failed", `Failed to pull image "example/app:1.2.3": rpc error: code = NotFound desc = failed to pull and unpack image: docker.io/example/app:1.2.3: not found`)}},
			ImagePullFailed, []string{"example/app:1.2.3", "the tag or the repository does not exist"},
		},
		"the registry denies access": {Case{Pod: pod(waiting("ErrImagePull", "failed to authorize: 401 Unauthorized"))}, ImagePullFailed, []string{"imagePullSecrets"}},
		"an invalid image name":      {Case{Pod: pod(waiting("InvalidImageName", `Failed to apply default image tag "App": couldn't parse image name`))}, ImagePullFailed, []string{"is invalid"}},
		"a Secret does not exist":    {Case{Pod: pod(waiting("CreateContainerConfigError", `secret "db-password" not found`))}, ConfigMissing, []string{"the Secret db-password", "kubectl -n shop get secrets"}},
		"the command does not exist": {
			Case{Pod: pod(waiting("RunContainerError", `failed to create containerd task: OCI runtime create failed: exec: "/bin/nope": stat /bin/nope: no such file or directory`))},
			ContainerCreateFailed, []string{"the command or its interpreter is not in the image"},
		},
		"it cannot be created":                       {Case{Pod: pod(waiting("CreateContainerError", `failed to reserve container name`))}, ContainerCreateFailed, nil},
		"the command does not exist, in back-off":    {Case{Pod: pod(waiting("CrashLoopBackOff", backOff), lastEnded("StartError", 128, 3))}, ContainerCreateFailed, nil},
		"it crashes, waiting":                        {Case{Pod: pod(waiting("CrashLoopBackOff", backOff), lastEnded("Error", 1, 5))}, CrashLoop, []string{"exit code 1", "restarted 5 times", "logs web-7d9f-x2x4z -c app --previous"}},
		"it crashes, terminated":                     {Case{Pod: pod(lastEnded("Error", 1, 5), ended("Error", 1))}, CrashLoop, []string{"exit code 1"}},
		"it crashes, running again":                  {Case{Pod: pod(lastEnded("Error", 1, 5), runningFor(time.Second, false))}, CrashLoop, []string{"exit code 1"}},
		"it crashes, running and ready for a moment": {Case{Pod: pod(lastEnded("Error", 1, 5), runningFor(time.Second, true))}, CrashLoop, []string{"exit code 1"}},
		"out of memory, waiting":                     {Case{Pod: pod(waiting("CrashLoopBackOff", backOff), lastEnded("OOMKilled", 137, 2))}, OOMKilled, []string{"its limit of 64Mi"}},
		"out of memory, terminated":                  {Case{Pod: pod(ended("OOMKilled", 137))}, OOMKilled, []string{"its limit of 64Mi"}},
		"out of memory, running again":               {Case{Pod: pod(lastEnded("OOMKilled", 137, 2), runningFor(2*time.Second, true))}, OOMKilled, []string{"its limit of 64Mi"}},
		"it exits with code 0":                       {Case{Pod: pod(waiting("CrashLoopBackOff", backOff), lastEnded("Completed", 0, 4))}, CompletedUnexpectedly, []string{"use a Job"}},
		"the whole pod exited with code 0":           {Case{Pod: pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })}, CompletedUnexpectedly, nil},
		"an init container fails":                    {Case{Pod: pod(initContainer(terminated("Error", 3), corev1.ContainerState{}))}, InitFailed, []string{"init container setup", "exit code 3", "logs web-7d9f-x2x4z -c setup"}},
		"an init container backs off": {
			Case{Pod: pod(initContainer(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}, terminated("Error", 1)))},
			InitFailed, []string{"--previous"},
		},
		"an init container's image": {
			Case{Pod: pod(initContainer(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "not found"}}, corev1.ContainerState{}))},
			ImagePullFailed, []string{"example/setup:1"},
		},
		"not ready": {
			Case{Pod: pod(runningFor(10*time.Minute, false)), Events: []corev1.Event{event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")}},
			NotReady, []string{"statuscode: 503", "Services send it no traffic"},
		},
		"not ready, with a hint": {
			Case{Pod: pod(runningFor(10*time.Minute, false), labelled("vault-sealed", "true")), Hints: hints, Events: []corev1.Event{event("Unhealthy", "Readiness probe failed: sealed")}},
			NotReady, []string{"Services send it no traffic. It is sealed.", "kubectl -n shop exec web-7d9f-x2x4z -- vault status"},
		},
		"not ready, and no hint matches": {
			Case{Pod: pod(runningFor(10*time.Minute, false), labelled("vault-sealed", "false")), Hints: hints},
			NotReady, []string{"Services send it no traffic.\n"},
		},
		"killed by its liveness probe": {
			Case{Pod: pod(lastEnded("Error", 137, 3), runningFor(5*time.Second, false)), Events: []corev1.Event{
				event("Unhealthy", "Liveness probe failed: Get \"http://10.0.0.1:8080/healthz\": context deadline exceeded"), event("Killing", "Container app failed liveness probe, will be restarted"),
			}},
			LivenessRestarts, []string{"context deadline exceeded", "restarted the container app 3 times"},
		},
		"not ready, and slow to start": {
			Case{Pod: pod(runningFor(10*time.Minute, false)), Events: []corev1.Event{
				counted(event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"), 60),
				counted(event("Unhealthy", "Readiness probe failed: connection refused"), 2),
			}},
			NotReady, []string{"statuscode: 503"},
		},
		"killed by its liveness probe, and slow to start": {
			Case{Pod: pod(lastEnded("Error", 137, 3), runningFor(5*time.Second, false)), Events: []corev1.Event{
				counted(event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500"), 6),
				counted(event("Unhealthy", "Liveness probe failed: connection refused"), 2),
				counted(event("Killing", "Container app failed liveness probe, will be restarted"), 9),
			}},
			LivenessRestarts, []string{"statuscode: 500"},
		},
		"evicted": {Case{Pod: pod(failedPhase("Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi."))}, Evicted, []string{"the node ran out of memory", "describe node node-1"}},
		// If the program exits with code 0, the kubelet writes phase Succeeded before reason Evicted.
		"evicted, with exit code 0": {
			Case{Pod: pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), Events: []corev1.Event{event("Evicted", "Usage of EmptyDir volume \"data\" exceeds the limit \"4Mi\".")}},
			Evicted, []string{"the sizeLimit of its emptyDir"},
		},
		// The kubelet writes the termination of the container before the phase of the pod.
		"a Job's container that failed": {Case{Pod: pod(jobs, ended("Error", 2), endedAgo(time.Minute)), Job: &batchv1.Job{}}, Error, []string{"exit code 2", "is not restarted"}},
		"readiness lost a moment ago": {
			Case{Pod: pod(runningFor(time.Hour, false), unreadyFor(4*time.Second)), Events: []corev1.Event{counted(event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"), 3)}},
			NotReady, []string{"statuscode: 503"},
		},
		"a node that does not report": {
			Case{Pod: pod(), Node: &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status.", LastHeartbeatTime: ago(5 * time.Minute)}}}}},
			NodeLost, []string{"node-1 has not reported since 2027-01-02 11:55:00 UTC", "kubectl describe node node-1"},
		},
		"a deleted node":                  {Case{Pod: pod(), IsNodeGone: true}, NodeLost, []string{"does not exist anymore"}},
		"a bare pod that failed":          {Case{Pod: pod(func(p *corev1.Pod) { p.OwnerReferences = nil; p.Spec.RestartPolicy = corev1.RestartPolicyNever }, ended("Error", 2), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })}, Error, []string{"exit code 2", "is not restarted"}},
		"a Job's pod that failed":         {Case{Pod: pod(jobs, ended("Error", 2), unreadyFor(time.Minute), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), Job: &batchv1.Job{}}, Error, []string{"exit code 2"}},
		"refused by the kubelet":          {Case{Pod: pod(failedPhase("UnexpectedAdmissionError", "Pod was rejected: unheard of"))}, Refused, []string{"refused the pod", "the kubelet says: Pod was rejected: unheard of"}},
		"a finalizer":                     {Case{Pod: pod(deletedSince(5*time.Minute, "example.com/hold"))}, StuckTerminating, []string{"the finalizer example.com/hold has not been removed"}},
		"the kubelet cannot terminate it": {Case{Pod: pod(deletedSince(5 * time.Minute))}, StuckTerminating, []string{"the kubelet of the node node-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if !NeedsDiagnosis(test.c.Pod, now) && test.c.Node == nil && !test.c.IsNodeGone {
				t.Error("NeedsDiagnosis returns false")
			}
			found := Diagnose(test.c, now)
			if len(found) != 1 || found[0].Symptom != test.symptom {
				t.Fatalf("got %+v, want %s", found, test.symptom)
			}
			text := found[0].Meaning + "\n" + strings.Join(found[0].LikelyCauses, "\n") + "\n" + strings.Join(found[0].Commands, "\n")
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in:\n%s", want, text)
				}
			}
			if found[0].Meaning == "" || len(found[0].LikelyCauses) == 0 || len(found[0].Commands) == 0 {
				t.Errorf("meaning, causes or commands are missing: %+v", found[0])
			}
			for _, command := range found[0].Commands {
				if !strings.HasPrefix(command, "kubectl ") {
					t.Errorf("%q is not a kubectl command", command)
				}
			}
		})
	}
}

// A pod that is healthy, starting, rolling out or completed has no symptom.
func TestNoSymptom(t *testing.T) {
	for name, c := range map[string]Case{
		"a pod that runs": {Pod: pod()},
		"a completed pod of a Job": {Pod: pod(jobs, func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodSucceeded
			ended("Completed", 0)(p)
		})},
		"a Job's pod that failed before another succeeded": {
			Pod: pod(jobs, ended("Error", 1), func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }),
			Job: &batchv1.Job{Status: batchv1.JobStatus{CompletionTime: &metav1.Time{Time: now}}},
		},
		"a Job's container that failed a moment ago": {Pod: pod(jobs, ended("Error", 2)), Job: &batchv1.Job{}},
		"a new pod": {Pod: pod(func(p *corev1.Pod) { p.CreationTimestamp = ago(time.Second) }, pending("0/3 nodes are available: 3 Insufficient cpu."))},
		"a pod whose containers are being created": {Pod: pod(creating)},
		"a pod whose sandbox is being created":     {Pod: pod(creating), Events: []corev1.Event{event("Scheduled", "Successfully assigned shop/web to node-1")}},
		"a container that starts":                  {Pod: pod(runningFor(5*time.Second, false)), Events: []corev1.Event{event("Unhealthy", "Readiness probe failed: connection refused")}},
		"a slow start, probed every second": {
			Pod:    pod(runningFor(20*time.Second, false), func(p *corev1.Pod) { p.Spec.Containers[0].ReadinessProbe.PeriodSeconds = 1 }),
			Events: []corev1.Event{counted(event("Unhealthy", "Readiness probe failed: connection refused"), 15)},
		},
		"an init container that runs": {Pod: pod(initContainer(corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(9 * time.Minute)}}, corev1.ContainerState{}))},
		"a completed init container":  {Pod: pod(initContainer(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}, corev1.ContainerState{}))},
		"a terminating pod":           {Pod: pod(deletedSince(-20 * time.Second))},
		"a crash in the past":         {Pod: pod(lastEnded("Error", 1, 1), runningFor(50*time.Second, true))},
		"a pod in the queue of Kueue": {Pod: pod(pending("SchedulingGated"), func(p *corev1.Pod) {
			p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "kueue.x-k8s.io/admission"}}
		})},
		"a new pod with a scheduling gate": {Pod: pod(pending("SchedulingGated"), func(p *corev1.Pod) {
			p.CreationTimestamp, p.Spec.SchedulingGates = ago(30*time.Second), []corev1.PodSchedulingGate{{Name: "quota"}}
		})},
		"a completed container beside a sidecar": {Pod: pod(jobs, ended("Completed", 0))},
	} {
		t.Run(name, func(t *testing.T) {
			if found := Diagnose(c, now); len(found) > 0 {
				t.Errorf("got %+v, want nothing", found)
			}
		})
	}
}

func TestOwner(t *testing.T) {
	if owner := OwnerOf(pod()); fmt.Sprint(owner) != "{Deployment shop web}" {
		t.Errorf("got %v", owner)
	}
	if owner := OwnerOf(pod(jobs)); fmt.Sprint(owner) != "{Job shop nightly}" {
		t.Errorf("got %v", owner)
	}
	if owner := OwnerOf(pod(func(p *corev1.Pod) { p.OwnerReferences = nil })); fmt.Sprint(owner) != "{Pod shop web-7d9f-x2x4z}" {
		t.Errorf("got %v", owner)
	}
}

// BenchmarkDiagnose diagnoses a pod in a crash loop and a healthy one.
func BenchmarkDiagnose(b *testing.B) {
	looping := Case{
		Pod:    pod(lastEnded("Error", 1, 7), waiting("CrashLoopBackOff", "back-off 5m0s restarting failed container")),
		Events: []corev1.Event{event("BackOff", "Back-off restarting failed container")},
	}
	for name, test := range map[string]struct {
		c    Case
		want int
	}{"looping": {looping, 1}, "healthy": {Case{Pod: pod()}, 0}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if found := Diagnose(test.c, now); len(found) != test.want {
					b.Fatal(found)
				}
			}
		})
	}
}
