// Package gitops holds the health checks for Argo CD and Flux against the statuses that they will meet: the Lua by a Lua
// machine, the CEL by CEL.
package gitops
