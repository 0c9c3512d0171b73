// Package conformance computes the status of a PlatformProfile from a snapshot of the inventory: verdicts, messages and conditions.
//
// The package is pure: it uses no client, and the caller passes the time. Compile compiles a spec against a catalog, once for each
// generation. Evaluate evaluates the compiled profile against a snapshot. The operator calls both, and so does the command line, on a
// cluster and on files.
package conformance
