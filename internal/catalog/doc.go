// Package catalog knows how components are recognised: it compiles PlatformComponents, built in or applied to the
// cluster, and matches facts against all of them at once.
//
// A catalog never changes once it is compiled; another definition makes another catalog. Matching looks facts up in an
// index, so its cost does not grow with the number of definitions. The package decides nothing about health or
// conformance, and never talks to a cluster.
package catalog
