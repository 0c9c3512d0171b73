package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of both kinds.
var GroupVersion = schema.GroupVersion{Group: "platformprofile.dev", Version: "v1alpha1"}

// SchemeGroupVersion is GroupVersion under the name that generated apply configurations look for.
var SchemeGroupVersion = GroupVersion

// AddToScheme registers both kinds with a scheme, so that clients can read and write them.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&PlatformProfile{}, &PlatformProfileList{},
		&PlatformComponent{}, &PlatformComponentList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
