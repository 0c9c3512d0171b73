// Package source feeds an inventory from an API server by watches. It only reads: it lists and watches, and asks whether it may.
//
// Each resource is one source, however many facts and rules read it. State is the state of a source, with a pure transition function:
//
//	            +-- Answered, Listed --+
//	            v                      |
//	Waiting -> Reading ----------------+-> WatchOpened -> Watching
//	   ^          |                                          |
//	   +----------+---- WatchEnded, an error ----------------+
//
// Consumers receive the objects and the state: Synced, Failing with the time and the cause, Forbidden, or NotServed. Package list does the
// same with one list, and package files with files. No Secret is read and no Pod is watched.
//
// Locks are taken in this order: Sources.readMu, Sources.mu, and then those of the evaluator and the inventory; CONTRIBUTING.md has all of
// them.
package source
