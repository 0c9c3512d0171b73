package cluster

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/platformprofile/platformprofile/api/v1alpha1"
)

// Profile returns a profile of layers.
func Profile(name string, layers ...v1alpha1.Layer) *v1alpha1.PlatformProfile {
	return &v1alpha1.PlatformProfile{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.PlatformProfileSpec{Layers: layers}}
}

// Layer returns a layer of requirements.
func Layer(name string, requirements ...v1alpha1.Requirement) v1alpha1.Layer {
	return v1alpha1.Layer{Name: name, Requirements: requirements}
}

// AnyOf returns a requirement of one component, in a version unless that is empty.
func AnyOf(name, component, version string) v1alpha1.Requirement {
	return v1alpha1.Requirement{Name: name, AnyOf: []v1alpha1.ComponentChoice{{Component: component, Version: version}}}
}

// StorageClassRule returns a requirement of a rule over each StorageClass.
func StorageClassRule(name, expression, message string) v1alpha1.Requirement {
	return v1alpha1.Requirement{Name: name, Rule: &v1alpha1.Rule{
		Resource: &v1alpha1.ResourceReference{Group: "storage.k8s.io", Resource: "storageclasses"}, Expression: expression, Message: message,
	}}
}

// Component returns a definition of a product that its images prove.
func Component(name string, images ...string) *v1alpha1.PlatformComponent {
	return &v1alpha1.PlatformComponent{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.PlatformComponentSpec{
		Layer: "workloads", Signals: v1alpha1.Signals{Workloads: []v1alpha1.WorkloadSignal{{Images: images}}},
	}}
}

// StorageClass returns a StorageClass that nothing provisions.
func StorageClass(name string) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "example.com/" + name}
}

// Deployment returns a Deployment of one pod with one container.
func Deployment(namespace, name, image string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "server", Image: image}}},
			},
		},
	}
}
