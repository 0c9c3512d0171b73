// Package catalog compiles PlatformComponents, built in or applied to the cluster, and matches facts against all of them.
//
// A Catalog is immutable: a changed definition results in a new Catalog. Match looks signals up in an index, so that its cost does not grow
// with the number of definitions. The package does not decide about health or conformance, and calls no API.
package catalog
