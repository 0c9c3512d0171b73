// Package diagnosis says what is wrong with a pod, why, and which commands show it.
//
// It decides from values alone: the pod, what it belongs to, and what lies behind it (its node, its claims, its events).
// It talks to no cluster, and never asks for logs or Secrets. The same pod looks different from one second to the next
// while it fails, for instance waiting, terminated and running in turns; the diagnosis is the same throughout. What is
// merely starting, rolling out or done is no symptom.
package diagnosis
