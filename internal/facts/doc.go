// Package facts extracts from live objects the few fields that matching components and assessing their health need.
//
// Kinds lists the kinds that facts are extracted from. Extract is pure: it calls no API, and the returned Fact holds no reference to the
// object.
package facts
