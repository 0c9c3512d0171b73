// Package report turns what was found into what people and programs read: tables, JSON, YAML, and a profile that declares
// what a cluster has. The shapes of JSON and YAML are stable; scripts build on them. The package decides nothing.
package report
