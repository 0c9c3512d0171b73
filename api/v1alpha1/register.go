package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of all kinds.
var GroupVersion = schema.GroupVersion{Group: "platformprofile.dev", Version: "v1alpha1"}

// SchemeGroupVersion is GroupVersion under the name that the generated apply configurations use.
var SchemeGroupVersion = GroupVersion

// AddToScheme registers all kinds with a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&PlatformProfile{}, &PlatformProfileList{},
		&PlatformComponent{}, &PlatformComponentList{},
		&PlatformWaiver{}, &PlatformWaiverList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
