// Package upgrade determines what blocks an upgrade of Kubernetes: components that do not support the version, APIs in use
// that it no longer serves, kubelets outside the version skew, and disruption budgets that block a drain.
//
// It decides on an inventory and on objects that a Reader returns, from a cluster or from files. It never writes.
package upgrade
