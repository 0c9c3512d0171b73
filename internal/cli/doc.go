// Package cli implements the command line: discover, check, explain, diagnose and catalog. It evaluates a cluster or files once, with the
// same packages as the operator. It only parses flags, reads input and selects the output format.
package cli
