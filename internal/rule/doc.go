// Package rule compiles rules and evaluates them, in the Kubernetes dialect of CEL.
//
// A Rule is a predicate over one object. An Evaluator keeps of the objects of each resource the fields that rules read, runs a
// rule on an object when the object arrives or changes, and records the Outcome: how many objects the rule is about, how many
// satisfy it, and which fail.
//
// Cost is bounded by the limits of k8s.io/apiserver: an expression whose estimated cost is too high is refused when it is compiled,
// and one that exceeds its cost limit on a real object is stopped. The package never talks to a cluster.
package rule
