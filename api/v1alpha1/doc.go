// Package v1alpha1 is the API of PlatformProfile, group platformprofile.dev: what a platform team declares
// (PlatformProfile) and how a product is recognised in a cluster (PlatformComponent).
//
// The package holds types, their validation markers and their documentation, and nothing that decides.
// The custom resource definitions, the deep copies and the apply configurations are generated from it.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +kubebuilder:ac:output:package=applyconfiguration
// +groupName=platformprofile.dev
package v1alpha1
