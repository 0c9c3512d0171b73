// Package diagnosis determines what is wrong with a pod or a workload, since when, the likely causes, and the kubectl commands to
// investigate it.
//
// It is pure: its input is the pod with its owner, node, claims and events, or the workload with its events. It never reads from a cluster.
// What the texts of the cluster mean is data: causes.yaml. While a pod fails, its
// status alternates, for example between waiting, terminated and running; the diagnosis stays the same. A pod that is starting,
// rolling out or completed has no symptom.
package diagnosis
