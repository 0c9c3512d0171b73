// Package conformance decides: whether what a profile asks for holds in a snapshot of the inventory, and what to say of it.
//
// It is pure. It takes values and a clock's reading and returns values; it knows no client. The operator, the command
// line against a cluster and the command line over files all call the same two functions: Compile, once for a spec and a
// catalog, and Evaluate, for each snapshot.
package conformance
