// Package controllers keeps the status of both kinds up to date: when to evaluate, how the status is written, which
// events and metrics are published. What is decided, the packages below internal decide.
//
// What is kept of one object belongs to the worker of its key: controller-runtime runs one worker for a key at a time, so
// that a worker needs no lock for it. What others read of it is atomic.
//
// PlatformProfileReconciler.reading is taken before any lock of the reader. The other locks, of which none is held while
// something is called that takes another, are PlatformProfileReconciler.mu, Definitions.mu and Schemas.mu.
package controllers
