// Package observe feeds an inventory: Live from an API server by watches, Once from an API server by one paged list of
// each kind. It only reads: it lists and watches, and asks whether it may.
//
// It reads no Secret and watches no Pod, and what it is not allowed to see it reports as out of sight.
//
// Locks are taken in this order: Live.reading, watcher.telling, Live.mu, watcher.mu, and then those of the evaluator
// and the inventory; CONTRIBUTING.md has all of them.
package observe
