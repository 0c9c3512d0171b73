package facts

import (
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lastApplied is kubectl's copy of the whole object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Strip cuts an object down, in place, to what Of and rules read, so that a list of thousands does not stand in memory
// whole. It returns the object, and has the shape of a client-go transform.
func Strip(object any) (any, error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return object, nil //nolint:nilerr // a tombstone has no metadata, and nothing to strip
	}
	accessor.SetManagedFields(lastWrites(accessor.GetManagedFields()))
	if annotations := accessor.GetAnnotations(); annotations[lastApplied] != "" {
		delete(annotations, lastApplied)
		accessor.SetAnnotations(annotations)
	}
	switch o := object.(type) {
	case *appsv1.Deployment:
		stripTemplate(&o.Spec.Template)
	case *appsv1.DaemonSet:
		stripTemplate(&o.Spec.Template)
	case *appsv1.StatefulSet:
		stripTemplate(&o.Spec.Template)
		o.Spec.VolumeClaimTemplates = nil
	case *corev1.Node:
		o.Status = corev1.NodeStatus{NodeInfo: o.Status.NodeInfo}
	case *admissionv1.ValidatingWebhookConfiguration:
		for i := range o.Webhooks {
			hook := &o.Webhooks[i]
			*hook = admissionv1.ValidatingWebhook{Name: hook.Name, ClientConfig: admissionv1.WebhookClientConfig{Service: hook.ClientConfig.Service}}
		}
	case *admissionv1.MutatingWebhookConfiguration:
		for i := range o.Webhooks {
			hook := &o.Webhooks[i]
			*hook = admissionv1.MutatingWebhook{Name: hook.Name, ClientConfig: admissionv1.WebhookClientConfig{Service: hook.ClientConfig.Service}}
		}
	}
	return object, nil
}

// stripTemplate leaves the labels of a pod template, and of its containers what tells a product: no values of
// environment variables.
func stripTemplate(template *corev1.PodTemplateSpec) {
	containers := make([]corev1.Container, 0, len(template.Spec.Containers))
	for _, container := range template.Spec.Containers {
		kept := corev1.Container{Name: container.Name, Image: container.Image, Args: wordsOf(&container)}
		for _, variable := range container.Env {
			kept.Env = append(kept.Env, corev1.EnvVar{Name: variable.Name})
		}
		containers = append(containers, kept)
	}
	*template = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: template.Labels}, Spec: corev1.PodSpec{Containers: containers}}
}

// lastWrites leaves what tells when an object was last written, status apart: one entry for its spec, one for its scale
// subresource, and one for anything else where that was later. Whoever annotates or labels a workload begins no rollout.
func lastWrites(entries []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	spec := latestOf(entries, "", ofSpec)
	scaled := latestOf(entries, scaleSubresource, nil)
	other := latestOf(entries, "", nil)
	var left []metav1.ManagedFieldsEntry
	if spec != nil {
		left = append(left, metav1.ManagedFieldsEntry{Manager: specWriter, Time: spec})
	}
	if scaled != nil {
		left = append(left, metav1.ManagedFieldsEntry{Subresource: scaleSubresource, Time: scaled})
	}
	if other != nil && (spec == nil || spec.Before(other)) {
		left = append(left, metav1.ManagedFieldsEntry{Time: other})
	}
	return left
}

// specWriter marks the entry that lastWrites leaves for the spec, whose fields are gone.
const specWriter = "spec"

// ofSpec tells whether an entry is of somebody who wrote some of the spec.
func ofSpec(e *metav1.ManagedFieldsEntry) bool {
	if e.FieldsV1 == nil {
		return e.Manager == specWriter
	}
	return strings.Contains(e.FieldsV1.GetRawString(), `"f:spec":`)
}

// scaleSubresource is what "kubectl scale" and autoscalers write through.
const scaleSubresource = "scale"

func latestOf(entries []metav1.ManagedFieldsEntry, subresource string, counts func(*metav1.ManagedFieldsEntry) bool) *metav1.Time {
	var latest *metav1.Time
	for i := range entries {
		e := &entries[i]
		if e.Subresource == subresource && e.Time != nil && (latest == nil || latest.Before(e.Time)) && (counts == nil || counts(e)) {
			latest = e.Time
		}
	}
	return latest
}
