// Package fill puts into a control plane what a large cluster holds: nodes, workloads, pods, CRDs, definitions, profiles,
// Argo CD Applications, cert-manager Certificates and real installs. Nothing runs there: statuses are written as the
// controllers and kubelets would write them. What it makes of a number is the same in every run.
package fill
