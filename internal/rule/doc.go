// Package rule compiles and runs rules over the objects of one resource, in the Kubernetes dialect of CEL.
//
// A rule is bounded twice: an expression whose estimated cost is too high is refused when it is compiled, and one that
// turns out too costly on real objects is cut off when it runs. The package never talks to a cluster.
package rule
