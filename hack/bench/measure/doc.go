// Package measure takes the figures: from the operator's process, its metrics, the API server's audit log, and a watch of
// the profiles, on a cluster that package fill has filled.
package measure
