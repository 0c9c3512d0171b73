// Package diagnosis determines what is wrong with a pod, the likely causes, and the kubectl commands to investigate it.
//
// It is pure: its input is the pod with its owner, node, claims and events. It never reads from a cluster. While a pod fails, its
// status alternates, for example between waiting, terminated and running; the diagnosis stays the same. A pod that is starting,
// rolling out or completed has no symptom.
package diagnosis
