// Package report holds the figures of a run against what they must reach: as bin/bench.json, and as a table to read.
package report
