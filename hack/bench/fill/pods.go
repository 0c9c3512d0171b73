package fill

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func (f *filler) pods(ctx context.Context) error {
	return Each(ctx, f.scale.Pods, func(ctx context.Context, i int) error {
		w := f.deployment(i % f.scale.Deployments)
		template := w.template()
		yes := true
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: w.namespace, Name: fmt.Sprintf("%s-6d8f5c9b7f-%05d", w.name, i), Labels: template.Labels, Annotations: template.Annotations,
				OwnerReferences: []metav1.OwnerReference{
					{
						APIVersion: "apps/v1",
						Kind:       "ReplicaSet",
						Name:       w.name + "-6d8f5c9b7f",
						UID:        types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012x", i)),
						Controller: &yes,
					},
				},
			},
			Spec: template.Spec,
		}
		pod.Spec.NodeName = NodeName(i % f.scale.Nodes)
		client := f.Typed.CoreV1().Pods(w.namespace)
		created, err := client.Create(ctx, pod, metav1.CreateOptions{})
		if err != nil {
			return made("a pod", err)
		}
		created.Status = podStatus(created, i)
		if _, err := client.UpdateStatus(ctx, created, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("writing a pod's status: %w", err)
		}
		return nil
	})
}

// podStatus is the status that a kubelet would write of a pod that runs.
func podStatus(pod *corev1.Pod, i int) corev1.PodStatus {
	now, yes := metav1.NewTime(time.Now().Add(-time.Minute)), true
	address := fmt.Sprintf("10.%d.%d.%d", 128+i/65536, i/256%256, i%256)
	status := corev1.PodStatus{
		Phase:     corev1.PodRunning,
		StartTime: &now,
		PodIP:     address,
		PodIPs:    []corev1.PodIP{{IP: address}},
		HostIP:    "10.64.0.1",
		QOSClass:  corev1.PodQOSBurstable,
	}
	for _, kind := range []corev1.PodConditionType{
		corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady,
		corev1.ContainersReady, corev1.PodScheduled,
	} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	for n, container := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name:        container.Name,
			Image:       container.Image,
			ImageID:     fmt.Sprintf("%s@sha256:%064x", container.Image, i),
			ContainerID: fmt.Sprintf("containerd://%064x", 2*i+n),
			Ready:       true,
			Started:     &yes,
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		})
	}
	return status
}
