// Package rule compiles rules and evaluates them, in the Kubernetes dialect of CEL.
//
// A Rule is a predicate over one object. An Evaluator caches the fields of objects that rules read, evaluates a rule on an object when the
// object is added or changes, and records the Outcome: how many objects match the rule, how many satisfy it, and which fail.
//
// The cost limits of k8s.io/apiserver apply: an expression whose estimated cost is too high does not compile, and the evaluation stops
// when the actual cost exceeds the limit. The package calls no API.
package rule
