// Package v1alpha1 contains the API types of the group platformprofile.dev: PlatformProfile declares what a cluster must have,
// PlatformWaiver waives a requirement of a profile until a time, and PlatformComponent defines how a product is recognised in a cluster.
//
// The package contains types, their validation markers and their documentation, but no logic. The CustomResourceDefinitions, deep copies
// and apply configurations are generated from it.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +kubebuilder:ac:output:package=applyconfiguration
// +groupName=platformprofile.dev
package v1alpha1
