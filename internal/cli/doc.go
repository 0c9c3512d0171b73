// Package cli is the command line: the operator's decisions, made once over a cluster or over files (discover, check). It parses
// flags, reads and writes; what it decides it asks of the other packages.
package cli
