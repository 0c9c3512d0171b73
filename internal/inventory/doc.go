// Package inventory maintains what is installed in a cluster: the installations of each component, their versions, health and evidence, and
// the sources that cannot be read.
//
// Each Source adds the facts of one resource. A fact is matched against the catalog once, when it is added or changes. Listeners get the
// names of the changed components, and a Snapshot is an immutable state of the inventory. The package calls no API: the operator, and the
// command line with a cluster or with files, add facts in the same way.
package inventory
