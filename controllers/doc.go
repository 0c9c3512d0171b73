// Package controllers contains the reconcilers of PlatformProfile, PlatformComponent and PlatformWaiver: what they watch, when they run,
// how they write the status, and which events and metrics they publish. Evaluation itself is in the packages under internal.
//
// The state of one object belongs to the worker of its key. controller-runtime runs one worker for a key at a time, so that state needs
// no lock. Fields that other goroutines read are atomic.
//
// PlatformProfileReconciler.readMu is acquired before any lock of the Reader. No other lock (PlatformProfileReconciler.mu,
// Definitions.mu, Schemas.mu) is held while another one is acquired.
package controllers
